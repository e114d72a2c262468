// Writes frames of columns: whole ones, ones of chosen rows, and single rows as the calls they stand for.
//
// Allocates (std::vector) and so may throw std::bad_alloc; does not block. Not thread-safe.
#pragma once

#include "ttp/frame.hpp"
#include "ttp/msgpack.hpp"

#include <vector>

namespace ttp {

// Where everything lies in a frame of columns; all sizes and offsets in bytes.
struct ColumnLayout {
  size_t schema = kSchemaHeader;
  size_t columns = 0;
  size_t name_at, queue_at, trace_at, schema_at, columns_at, index_at, trailer_at, length;

  ColumnLayout(const FrameTexts& texts, const std::vector<Column>& all, size_t count, bool derived) noexcept {
    for (const Column& column : all) {
      schema += kSchemaEntry + column.name.size();
      for (const Bytes& bytes : {column.validity, column.data, column.offsets, column.values})
        columns += aligned(bytes.size);
    }
    name_at = kHeaderSize + kEntrySize * FrameLayout::sections(texts, derived);
    queue_at = name_at + FrameLayout::padded(texts.name.size());
    trace_at = queue_at + FrameLayout::padded(texts.queue.size());
    schema_at = trace_at + FrameLayout::padded(texts.trace.size());
    columns_at = aligned(schema_at + schema);
    index_at = columns_at + columns;
    trailer_at = index_at + (derived ? FrameLayout::padded(2 * count) : 0);
    length = trailer_at + kTrailerSize;
  }

  static size_t aligned(size_t size) noexcept { return (size + kColumnAlignment - 1) & ~(kColumnAlignment - 1); }
};

// Writes layout.length bytes. index(i) gives a uint16_t (called where derived).
template <typename Index>
void write_column_frame(uint8_t* frame, const FrameHeader& header, const ColumnLayout& layout, const FrameTexts& texts,
                        const std::vector<Column>& all, size_t count, Index&& index) noexcept {
  using detail::store_le;
  std::memset(frame, 0, layout.length);
  detail::write_header(frame, header, Kind::Columns, count, layout.length,
                       FrameLayout::sections(texts, header.derived()));
  uint8_t* entry = frame + kHeaderSize;
  entry = detail::write_entry(entry, Section::Name, layout.name_at, texts.name.size());
  entry = detail::write_entry(entry, Section::Queue, layout.queue_at, texts.queue.size());
  if (!texts.trace.empty()) entry = detail::write_entry(entry, Section::Trace, layout.trace_at, texts.trace.size());
  entry = detail::write_entry(entry, Section::Schema, layout.schema_at, layout.schema);
  entry = detail::write_entry(entry, Section::Columns, layout.columns_at, layout.columns);
  if (header.derived()) detail::write_entry(entry, Section::Index, layout.index_at, 2 * count);
  std::memcpy(frame + layout.name_at, texts.name.data(), texts.name.size());
  std::memcpy(frame + layout.queue_at, texts.queue.data(), texts.queue.size());
  if (!texts.trace.empty()) std::memcpy(frame + layout.trace_at, texts.trace.data(), texts.trace.size());

  uint8_t* schema = frame + layout.schema_at;
  store_le(schema, static_cast<uint32_t>(all.size()));
  uint8_t* at = schema + kSchemaHeader;
  size_t text = kSchemaHeader + kSchemaEntry * all.size();
  size_t offset = 0;
  for (const Column& column : all) {
    store_le(at, static_cast<uint32_t>(text));
    store_le(at + 4, static_cast<uint16_t>(column.name.size()));
    at[6] = static_cast<uint8_t>(column.type);
    std::memcpy(schema + text, column.name.data(), column.name.size());
    text += column.name.size();
    at += 8;
    for (const Bytes& bytes : {column.validity, column.data, column.offsets, column.values}) {
      store_le(at, static_cast<uint32_t>(offset));
      store_le(at + 4, static_cast<uint32_t>(bytes.size));
      if (bytes.size != 0) std::memcpy(frame + layout.columns_at + offset, bytes.data, bytes.size);
      offset += ColumnLayout::aligned(bytes.size);
      at += 8;
    }
  }
  for (size_t i = 0; header.derived() && i < count; ++i)
    store_le(frame + layout.index_at + 2 * i, static_cast<uint16_t>(index(i)));
  detail::write_trailer(frame, layout.trailer_at);
}

// Chosen rows of a column, in buffers of its own. A dictionary is taken over whole.
class GatheredColumn {
 public:
  GatheredColumn(const Column& from, const std::vector<size_t>& rows) : column_(from) {
    if (from.validity.size != 0) column_.validity = bitmap(from.validity, rows, validity_);
    switch (from.type) {
      case ColumnType::Bool: column_.data = bitmap(from.data, rows, data_); break;
      case ColumnType::String: column_.data = fixed(from.data, rows, 4); break;
      case ColumnType::Value: gather_values(from, rows); break;
      default: column_.data = fixed(from.data, rows, 8);
    }
  }
  GatheredColumn(GatheredColumn&&) = default;  // vectors keep their memory, so the column stays valid

  const Column& column() const noexcept { return column_; }

 private:
  static Bytes bitmap(Bytes from, const std::vector<size_t>& rows, std::vector<uint8_t>& to) {
    to.assign(Column::bitmap_size(rows.size()), 0);
    for (size_t i = 0; i < rows.size(); ++i)
      if (Column::bit(from, rows[i])) to[i / 8] = static_cast<uint8_t>(to[i / 8] | 1u << (i % 8));
    return {to.data(), to.size()};
  }

  Bytes fixed(Bytes from, const std::vector<size_t>& rows, size_t width) {
    data_.resize(rows.size() * width);
    for (size_t i = 0; i < rows.size(); ++i) std::memcpy(&data_[i * width], from.data + rows[i] * width, width);
    return {data_.data(), data_.size()};
  }

  void gather_values(const Column& from, const std::vector<size_t>& rows) {
    offsets_.resize(4 * (rows.size() + 1));
    detail::store_le(offsets_.data(), uint32_t{0});
    for (size_t i = 0; i < rows.size(); ++i) {
      const Bytes value = from.text(rows[i]);
      data_.insert(data_.end(), value.data, value.data + value.size);
      detail::store_le(&offsets_[4 * (i + 1)], static_cast<uint32_t>(data_.size()));
    }
    column_.offsets = {offsets_.data(), offsets_.size()};
    column_.values = {data_.data(), data_.size()};
  }

  Column column_;
  std::vector<uint8_t> validity_, data_, offsets_;
};

// One row as the MessagePack row it stands for; false where it does not fit the writer.
inline bool write_row(ByteWriter& out, const Columns& columns, size_t row) noexcept {
  bool ok = msgpack::write_array(out, columns.size());
  for (size_t i = 0; ok && i < columns.size(); ++i) {
    const Column column = columns[i];
    if (!column.valid(row)) {
      ok = msgpack::write_nil(out);
      continue;
    }
    switch (column.type) {
      case ColumnType::Bool: ok = msgpack::write_bool(out, column.truth(row)); break;
      case ColumnType::Int64: ok = msgpack::write_int(out, column.number(row)); break;
      case ColumnType::Float64: {
        const int64_t bits = column.number(row);
        double value;
        std::memcpy(&value, &bits, sizeof value);
        ok = msgpack::write_float(out, value);
        break;
      }
      case ColumnType::Timestamp:
      case ColumnType::TimestampUtc: {
        char bytes[12] = {};  // extension 1: wall clock, then the offset from UTC where it is known
        detail::store_le(reinterpret_cast<uint8_t*>(bytes), static_cast<uint64_t>(column.number(row)));
        ok = msgpack::write_ext(out, 1, bytes, column.type == ColumnType::Timestamp ? 8 : 12);
        break;
      }
      case ColumnType::String: {
        const std::string_view text = column.text(column.code(row)).text();
        ok = msgpack::write_str(out, text.data(), text.size());
        break;
      }
      case ColumnType::Value: {
        const Bytes value = column.text(row);
        ok = out.append(value.data, value.size);
      }
    }
  }
  return ok;
}

}  // namespace ttp
