// The frame of docs/wire-format.md: its header, layout and one-shot writer, and the view that reads it.
//
// Nothing here throws, blocks or allocates. Not thread-safe; a parsed FrameView may be read by many threads.
#pragma once

#include "ttp/byte_cursor.hpp"
#include "ttp/column.hpp"
#include "ttp/crc32c.hpp"
#include "ttp/text.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace ttp {

constexpr std::string_view kMagic = "TTPF";
constexpr uint8_t kWireMajor = 1;
constexpr size_t kMaxFrame = size_t{1} << 20;
constexpr size_t kMaxRows = 4096;
constexpr size_t kMaxColumnRows = 65'535;  // of a frame of columns
constexpr size_t kMaxTask = size_t{128} << 10;
constexpr size_t kMaxDepth = 32;
constexpr size_t kMaxSections = 16;
constexpr size_t kMaxTrace = 1024;
constexpr size_t kHeaderSize = 64;
constexpr size_t kEntrySize = 16;
constexpr size_t kTrailerSize = 8;
constexpr uint16_t kFlagResults = 0x01;
constexpr uint16_t kRequiredFlags = 0x00ff;  // of these, an unknown one refuses the frame

using ProducerId = std::array<uint8_t, 12>;

struct FrameHeader {
  uint64_t fid = 0;
  uint64_t origin = 0;
  uint64_t created_at = 0;  // microseconds since 1970
  uint16_t flags = 0;
  uint16_t attempt = 1;
  uint16_t deferrals = 0;
  uint8_t priority = 1;
  uint8_t crashes = 0;
  ProducerId producer{};

  bool derived() const noexcept { return origin != fid; }
};

enum class Kind : uint8_t { Rows = 0, Columns = 1 };

enum class Section : uint16_t {
  Name = 1,
  Queue = 2,
  RowEnds = 3,
  Rows = 4,
  Index = 5,
  Schema = 6,
  Columns = 7,
  Trace = 8
};

// What a frame says of all its tasks in words. They lie in somebody else's memory.
struct FrameTexts {
  std::string_view name;
  std::string_view queue;
  std::string_view trace;  // the context they were sent in; empty: none
};

// Where everything lies in a frame; all sizes and offsets in bytes.
struct FrameLayout {
  size_t name, queue, trace, rows, ends, index;  // sizes without padding; index 0: not derived; trace 0: none
  size_t entries;                                // in the directory
  size_t name_at, queue_at, trace_at, rows_at, ends_at, index_at, trailer_at, length;

  static constexpr size_t padded(size_t size) noexcept { return (size + 7) & ~size_t{7}; }

  FrameLayout(const FrameTexts& texts, size_t rows_size, size_t count, bool derived) noexcept
      : name(texts.name.size()),
        queue(texts.queue.size()),
        trace(texts.trace.size()),
        rows(rows_size),
        ends(4 * count),
        index(derived ? 2 * count : 0),
        entries(sections(texts, derived)) {
    name_at = kHeaderSize + kEntrySize * entries;
    queue_at = name_at + padded(name);
    trace_at = queue_at + padded(queue);
    rows_at = trace_at + padded(trace);
    ends_at = rows_at + padded(rows);
    index_at = ends_at + padded(ends);
    trailer_at = index_at + padded(index);
    length = trailer_at + kTrailerSize;
  }

  static size_t sections(const FrameTexts& texts, bool derived) noexcept {
    return size_t{4} + (derived ? 1 : 0) + (texts.trace.empty() ? 0 : 1);
  }
};

namespace detail {

inline void zero_padding(uint8_t* frame, size_t offset, size_t size) noexcept {
  std::memset(frame + offset + size, 0, FrameLayout::padded(size) - size);
}

inline uint8_t* write_entry(uint8_t* to, Section type, size_t offset, size_t size) noexcept {
  store_le(to, static_cast<uint16_t>(type));
  store_le(to + 2, uint16_t{0});
  store_le(to + 4, static_cast<uint32_t>(offset));
  store_le(to + 8, static_cast<uint32_t>(size));
  store_le(to + 12, static_cast<uint32_t>(size));
  return to + kEntrySize;
}

}  // namespace detail

namespace detail {

inline void write_header(uint8_t* frame, const FrameHeader& header, Kind kind, size_t count, size_t length,
                         size_t sections) noexcept {
  std::memcpy(frame, kMagic.data(), kMagic.size());
  frame[4] = kWireMajor;
  frame[5] = static_cast<uint8_t>(kind);
  store_le(frame + 6, header.flags);
  store_le(frame + 8, static_cast<uint16_t>(kHeaderSize));
  frame[10] = header.priority;
  frame[11] = header.crashes;
  store_le(frame + 12, static_cast<uint32_t>(count));
  store_le(frame + 16, header.fid);
  store_le(frame + 24, header.origin);
  std::memcpy(frame + 32, header.producer.data(), header.producer.size());
  store_le(frame + 44, header.attempt);
  store_le(frame + 46, header.deferrals);
  store_le(frame + 48, header.created_at);
  store_le(frame + 56, static_cast<uint32_t>(length));
  store_le(frame + 60, static_cast<uint16_t>(sections));
  store_le(frame + 62, uint16_t{0});
}

inline void write_trailer(uint8_t* frame, size_t at) noexcept {
  store_le(frame + at, uint32_t{0});
  store_le(frame + at + 4, crc32c(frame, at + 4));
}

}  // namespace detail

// Copies the texts to their places. The memory of an empty view may be none.
inline void write_texts(uint8_t* frame, const FrameLayout& layout, const FrameTexts& texts) noexcept {
  std::memcpy(frame + layout.name_at, texts.name.data(), layout.name);
  std::memcpy(frame + layout.queue_at, texts.queue.data(), layout.queue);
  if (layout.trace != 0) std::memcpy(frame + layout.trace_at, texts.trace.data(), layout.trace);
}

// Completes a frame of rows whose sections lie in place: header, directory, padding, trailer.
inline void finish_frame(uint8_t* frame, const FrameHeader& header, const FrameLayout& layout) noexcept {
  detail::write_header(frame, header, Kind::Rows, layout.ends / 4, layout.length, layout.entries);

  uint8_t* entry = frame + kHeaderSize;
  entry = detail::write_entry(entry, Section::Name, layout.name_at, layout.name);
  entry = detail::write_entry(entry, Section::Queue, layout.queue_at, layout.queue);
  if (layout.trace != 0) entry = detail::write_entry(entry, Section::Trace, layout.trace_at, layout.trace);
  entry = detail::write_entry(entry, Section::Rows, layout.rows_at, layout.rows);
  entry = detail::write_entry(entry, Section::RowEnds, layout.ends_at, layout.ends);
  if (layout.index != 0) detail::write_entry(entry, Section::Index, layout.index_at, layout.index);

  detail::zero_padding(frame, layout.name_at, layout.name);
  detail::zero_padding(frame, layout.queue_at, layout.queue);
  detail::zero_padding(frame, layout.trace_at, layout.trace);
  detail::zero_padding(frame, layout.rows_at, layout.rows);
  detail::zero_padding(frame, layout.ends_at, layout.ends);
  detail::zero_padding(frame, layout.index_at, layout.index);
  detail::write_trailer(frame, layout.trailer_at);
}

// Writes a whole frame of layout.length bytes. row(i) gives Bytes, index(i) a uint16_t (called where derived).
template <typename Row, typename Index>
void write_frame(uint8_t* frame, const FrameHeader& header, const FrameLayout& layout, const FrameTexts& texts,
                 Row&& row, Index&& index) noexcept {
  write_texts(frame, layout, texts);
  size_t end = 0;
  for (size_t i = 0; i < layout.ends / 4; ++i) {
    const Bytes bytes = row(i);
    if (bytes.size != 0) std::memcpy(frame + layout.rows_at + end, bytes.data, bytes.size);
    end += bytes.size;
    detail::store_le(frame + layout.ends_at + 4 * i, static_cast<uint32_t>(end));
  }
  for (size_t i = 0; i < layout.index / 2; ++i)
    detail::store_le(frame + layout.index_at + 2 * i, static_cast<uint16_t>(index(i)));
  finish_frame(frame, header, layout);
}

inline bool is_name(std::string_view name) noexcept { return !name.empty() && name.size() <= 255 && is_utf8(name); }

inline bool is_queue(std::string_view queue) noexcept {
  if (queue.empty() || queue.size() > 64) return false;
  for (const char c : queue) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && c != '_' && c != '.' && c != '-') return false;
  }
  return true;
}

// Reads a frame that somebody else keeps in memory. Accessors are valid after a `parse` without complaint.
class FrameView {
 public:
  // Checks the whole frame. Returns nullptr, or what is wrong with it.
  const char* parse(const uint8_t* data, size_t size) noexcept {
    using detail::load_le;
    if (size < kHeaderSize + kTrailerSize) return "shorter than a frame";
    if (size > kMaxFrame) return "longer than a frame may be";
    if (std::memcmp(data, kMagic.data(), kMagic.size()) != 0) return "not a frame (magic)";
    if (data[4] != kWireMajor) return "unknown wire major";
    if (load_le<uint32_t>(data + 56) != size) return "length differs from the header's";
    if (load_le<uint32_t>(data + size - 4) != crc32c(data, size - 4)) return "CRC does not match";
    if (load_le<uint32_t>(data + size - 8) != 0) return "trailer is not zero";

    header_.flags = load_le<uint16_t>(data + 6);
    header_.priority = data[10];
    header_.crashes = data[11];
    count_ = load_le<uint32_t>(data + 12);
    header_.fid = load_le<uint64_t>(data + 16);
    header_.origin = load_le<uint64_t>(data + 24);
    std::memcpy(header_.producer.data(), data + 32, header_.producer.size());
    header_.attempt = load_le<uint16_t>(data + 44);
    header_.deferrals = load_le<uint16_t>(data + 46);
    header_.created_at = load_le<uint64_t>(data + 48);
    if (data[5] > static_cast<uint8_t>(Kind::Columns)) return "unknown kind";
    kind_ = static_cast<Kind>(data[5]);
    if ((header_.flags & kRequiredFlags & ~kFlagResults) != 0) return "unknown required flag";
    if (load_le<uint16_t>(data + 8) != kHeaderSize) return "unknown header length";
    if (header_.priority > 2) return "priority out of range";
    if (count_ == 0 || count_ > (columnar() ? kMaxColumnRows : kMaxRows)) return "count out of range";
    if (header_.fid == 0 || header_.origin == 0) return "fid or origin is zero";
    if (header_.attempt == 0) return "attempt is zero";
    return parse_sections(data, size);
  }

  const FrameHeader& header() const noexcept { return header_; }
  bool columnar() const noexcept { return kind_ == Kind::Columns; }
  size_t count() const noexcept { return count_; }
  const Columns& columns() const noexcept { return columns_; }  // of a frame of columns
  std::string_view name() const noexcept { return name_.text(); }
  std::string_view queue() const noexcept { return queue_.text(); }
  std::string_view trace() const noexcept { return trace_.text(); }
  FrameTexts texts() const noexcept { return {name(), queue(), trace()}; }

  size_t row_end(size_t row) const noexcept { return detail::load_le<uint32_t>(ends_.data + 4 * row); }

  Bytes row(size_t row) const noexcept {
    const size_t begin = row == 0 ? 0 : row_end(row - 1);
    return {rows_.data + begin, row_end(row) - begin};
  }

  // The index of a row's task in its origin frame.
  uint16_t index(size_t row) const noexcept {
    return index_.data == nullptr ? static_cast<uint16_t>(row) : detail::load_le<uint16_t>(index_.data + 2 * row);
  }

 private:
  const char* parse_sections(const uint8_t* data, size_t size) noexcept {
    using detail::load_le;
    const size_t sections = load_le<uint16_t>(data + 60);
    const size_t begin = kHeaderSize + kEntrySize * sections;
    const size_t end = size - kTrailerSize;
    if (sections > kMaxSections) return "too many sections";
    if (begin > end) return "directory exceeds the frame";
    Bytes schema, columns;
    Bytes* const known[] = {&name_, &queue_, &ends_, &rows_, &index_, &schema, &columns, &trace_};
    name_ = queue_ = ends_ = rows_ = index_ = trace_ = {};
    for (size_t i = 0; i < sections; ++i) {
      const uint8_t* entry = data + kHeaderSize + kEntrySize * i;
      const size_t type = load_le<uint16_t>(entry);
      const size_t offset = load_le<uint32_t>(entry + 4);
      const size_t length = load_le<uint32_t>(entry + 8);
      for (size_t j = 0; j < i; ++j)
        if (load_le<uint16_t>(entry - kEntrySize * (j + 1)) == type) return "section occurs twice";
      if (offset % 8 != 0) return "section is not aligned";
      if (offset < begin || offset > end || length > end - offset) return "section lies outside the frame";
      if (type == 0 || type > 8) continue;
      if (load_le<uint16_t>(entry + 2) != 0) return "unknown section encoding";
      if (load_le<uint32_t>(entry + 12) != length) return "section's raw length differs from its length";
      *known[type - 1] = {data + offset, length};
    }
    if (!is_name(name_.text())) return "no valid name";
    if (!is_queue(queue_.text())) return "no valid queue";
    if (trace_.size > kMaxTrace) return "trace context too long";
    const char* why = columnar() ? parse_columns(schema, columns) : parse_rows();
    if (why != nullptr) return why;
    if ((index_.data != nullptr) != header_.derived()) return "index does not match the origin";
    if (index_.data != nullptr) {
      if (index_.size != 2 * count_) return "index does not match the count";
      for (size_t i = 1; i < count_; ++i)
        if (index(i) <= index(i - 1)) return "index is not rising";
    }
    return nullptr;
  }

  const char* parse_rows() const noexcept {
    if (rows_.data == nullptr || ends_.data == nullptr) return "no rows";
    if (ends_.size != 4 * count_) return "row ends do not match the count";
    for (size_t i = 1; i < count_; ++i)
      if (row_end(i) < row_end(i - 1)) return "row ends are not rising";
    if (row_end(count_ - 1) != rows_.size) return "row ends do not match the rows";
    return nullptr;
  }

  const char* parse_columns(Bytes schema, Bytes columns) noexcept {
    if (schema.data == nullptr || columns.data == nullptr) return "no columns";
    return columns_.parse(schema, columns, count_);
  }

  FrameHeader header_;
  Kind kind_ = Kind::Rows;
  size_t count_ = 0;
  Columns columns_;
  Bytes name_, queue_, rows_, ends_, index_, trace_;
};

}  // namespace ttp
