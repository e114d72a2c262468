// Columns of a frame: Arrow buffers, and the schema that says where they lie.
//
// Nothing here throws, blocks or allocates. A parsed Columns may be read by many threads.
#pragma once

#include "ttp/byte_cursor.hpp"
#include "ttp/text.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ttp {

constexpr size_t kMaxColumns = 64;
constexpr size_t kColumnAlignment = 64;
constexpr size_t kSchemaHeader = 8;
constexpr size_t kSchemaEntry = 40;

enum class ColumnType : uint8_t {
  Bool = 1,          // data: bitmap
  Int64 = 2,         // data: i64
  Float64 = 3,       // data: f64
  Timestamp = 4,     // data: i64 microseconds since 1970, of a wall clock
  TimestampUtc = 5,  // the same, in UTC
  String = 6,        // data: i32 codes into a dictionary of offsets and UTF-8 values
  Value = 7,         // offsets and values: a MessagePack value each; its own nil is the null
};

struct Column {
  std::string_view name;
  ColumnType type = ColumnType::Value;
  Bytes validity;  // LSB bitmap, 1: there is a value; empty: there are all
  Bytes data;
  Bytes offsets;
  Bytes values;

  bool valid(size_t row) const noexcept { return validity.size == 0 || bit(validity, row); }
  int64_t number(size_t row) const noexcept {
    return static_cast<int64_t>(detail::load_le<uint64_t>(data.data + 8 * row));
  }
  bool truth(size_t row) const noexcept { return bit(data, row); }
  size_t code(size_t row) const noexcept { return detail::load_le<uint32_t>(data.data + 4 * row); }
  size_t texts() const noexcept { return offsets.size < 4 ? 0 : offsets.size / 4 - 1; }
  Bytes text(size_t i) const noexcept {
    const size_t begin = offset(i);
    return {values.data + begin, offset(i + 1) - begin};
  }
  size_t offset(size_t i) const noexcept { return detail::load_le<uint32_t>(offsets.data + 4 * i); }

  static bool bit(Bytes bitmap, size_t row) noexcept { return (bitmap.data[row / 8] >> (row % 8) & 1) != 0; }
  static size_t bitmap_size(size_t count) noexcept { return (count + 7) / 8; }

  // nullptr, or what is wrong with these buffers as a column of `count` rows.
  const char* check(size_t count) const noexcept {
    if (name.empty() || name.size() > 255 || !is_utf8(name)) return "no valid column name";
    if (validity.size != 0 && validity.size != bitmap_size(count)) return "validity does not match the count";
    switch (type) {
      case ColumnType::Bool: return check_data(bitmap_size(count));
      case ColumnType::Int64:
      case ColumnType::Float64:
      case ColumnType::Timestamp:
      case ColumnType::TimestampUtc: return check_data(8 * count);
      case ColumnType::String: return check_codes(count);
      case ColumnType::Value: return check_values(count);
    }
    return "unknown column type";
  }

 private:
  const char* check_data(size_t size) const noexcept {
    return data.size != size || offsets.size != 0 || values.size != 0 ? "column does not match the count" : nullptr;
  }

  const char* check_offsets() const noexcept {
    if (offsets.size < 4 || offsets.size % 4 != 0 || offset(0) != 0) return "malformed offsets";
    for (size_t i = 0; i < texts(); ++i)
      if (offset(i + 1) < offset(i)) return "offsets are not rising";
    return offset(texts()) != values.size ? "offsets do not match the values" : nullptr;
  }

  const char* check_codes(size_t count) const noexcept {
    if (data.size != 4 * count) return "column does not match the count";
    if (const char* why = check_offsets()) return why;
    const size_t doubtful = is_ascii(values.text()) ? 0 : texts();
    for (size_t i = 0; i < doubtful; ++i)
      if (!is_utf8(text(i).text())) return "text is not UTF-8";
    const size_t codes = texts();
    for (size_t row = 0; row < count; ++row)
      if (code(row) >= codes && valid(row)) return "code outside the dictionary";
    return nullptr;
  }

  const char* check_values(size_t count) const noexcept {
    if (data.size != 0 || validity.size != 0 || offsets.size != 4 * (count + 1))
      return "column does not match the count";
    return check_offsets();
  }
};

// The columns of a frame that somebody keeps in memory.
class Columns {
 public:
  // nullptr, or what is wrong.
  const char* parse(Bytes schema, Bytes buffers, size_t count) noexcept {
    schema_ = schema;
    buffers_ = buffers;
    if (schema.size < kSchemaHeader) return "no schema";
    size_ = detail::load_le<uint32_t>(schema.data);
    if (size_ == 0 || size_ > kMaxColumns) return "number of columns out of range";
    if (detail::load_le<uint32_t>(schema.data + 4) != 0 || schema.size < names_at()) return "malformed schema";
    for (size_t i = 0; i < size_; ++i) {
      if (const char* why = check_entry(i)) return why;
      const Column column = (*this)[i];
      if (const char* why = column.check(count)) return why;
      for (size_t j = 0; j < i; ++j)
        if ((*this)[j].name == column.name) return "two columns have the same name";
    }
    return nullptr;
  }

  size_t size() const noexcept { return size_; }

  Column operator[](size_t i) const noexcept {
    const uint8_t* at = entry(i);
    Column column;
    column.name = Bytes{schema_.data + detail::load_le<uint32_t>(at), detail::load_le<uint16_t>(at + 4)}.text();
    column.type = static_cast<ColumnType>(at[6]);
    column.validity = buffer(at + 8);
    column.data = buffer(at + 16);
    column.offsets = buffer(at + 24);
    column.values = buffer(at + 32);
    return column;
  }

 private:
  const uint8_t* entry(size_t i) const noexcept { return schema_.data + kSchemaHeader + kSchemaEntry * i; }
  size_t names_at() const noexcept { return kSchemaHeader + kSchemaEntry * size_; }
  Bytes buffer(const uint8_t* at) const noexcept {
    return {buffers_.data + detail::load_le<uint32_t>(at), detail::load_le<uint32_t>(at + 4)};
  }

  const char* check_entry(size_t i) const noexcept {
    const uint8_t* at = entry(i);
    const size_t name = detail::load_le<uint32_t>(at);
    if (name < names_at() || name > schema_.size || detail::load_le<uint16_t>(at + 4) > schema_.size - name)
      return "column name lies outside the schema";
    if (at[7] != 0) return "malformed schema";
    for (size_t k = 1; k <= 4; ++k) {
      const size_t offset = detail::load_le<uint32_t>(at + 8 * k);
      const size_t length = detail::load_le<uint32_t>(at + 8 * k + 4);
      if (offset % kColumnAlignment != 0) return "buffer is not aligned";
      if (offset > buffers_.size || length > buffers_.size - offset) return "buffer lies outside the columns";
    }
    return nullptr;
  }

  Bytes schema_;
  Bytes buffers_;
  size_t size_ = 0;
};

}  // namespace ttp
