// Results of tasks as docs/wire-format.md lays them out: a writer of one block, a reader of one or more.
#pragma once

#include "ttp/byte_cursor.hpp"
#include "ttp/frame.hpp"

#include <cstdint>
#include <vector>

namespace ttp {

enum class Outcome : uint8_t { None = 0, Done = 1, Retry = 2, Dead = 3, Cancelled = 4, Back = 5 };

struct ResultEntry {
  uint16_t index;
  Outcome outcome;
  Bytes value;
};

namespace detail {

inline size_t ends_offset(size_t count) noexcept { return (8 + 3 * count + 3) & ~size_t{3}; }

}  // namespace detail

inline size_t result_block_size(size_t count, size_t values) noexcept {
  return detail::ends_offset(count) + 4 * count + values;
}

// Writes a block of result_block_size(count, sum of the values' sizes) bytes. entry(i) gives a ResultEntry.
template <typename Entry>
void write_result_block(uint8_t* to, size_t size, size_t count, Entry&& entry) noexcept {
  const size_t outcomes_at = 8 + 2 * count;
  const size_t ends_at = detail::ends_offset(count);
  const size_t values_at = ends_at + 4 * count;
  detail::store_le(to, static_cast<uint32_t>(size));
  detail::store_le(to + 4, static_cast<uint32_t>(count));
  std::memset(to + outcomes_at + count, 0, ends_at - outcomes_at - count);
  size_t end = 0;
  for (size_t i = 0; i < count; ++i) {
    const ResultEntry item = entry(i);
    detail::store_le(to + 8 + 2 * i, item.index);
    to[outcomes_at + i] = static_cast<uint8_t>(item.outcome);
    if (item.value.size != 0) std::memcpy(to + values_at + end, item.value.data, item.value.size);
    end += item.value.size;
    detail::store_le(to + ends_at + 4 * i, static_cast<uint32_t>(end));
  }
}

// Reads all blocks of a field, which somebody else keeps in memory.
class ResultView {
 public:
  // Checks all blocks. Returns nullptr, or what is wrong. Allocates; throws std::bad_alloc.
  const char* parse(const uint8_t* data, size_t size) {
    entries_.clear();
    if (size == 0) return "no result block";
    while (size != 0) {
      if (size < 8) return "truncated result block";
      const size_t length = detail::load_le<uint32_t>(data);
      const size_t count = detail::load_le<uint32_t>(data + 4);
      if (length < 8 || length > size) return "truncated result block";
      if (count > length / 7) return "result count exceeds the block";
      const size_t ends_at = detail::ends_offset(count);
      const size_t values_at = ends_at + 4 * count;
      if (values_at > length) return "result count exceeds the block";
      size_t begin = 0;
      for (size_t i = 0; i < count; ++i) {
        const uint8_t outcome = data[8 + 2 * count + i];
        const size_t end = detail::load_le<uint32_t>(data + ends_at + 4 * i);
        if (outcome < 1 || outcome > 4) return "unknown outcome";
        if (end < begin || end > length - values_at) return "result ends do not match the values";
        entries_.push_back({detail::load_le<uint16_t>(data + 8 + 2 * i),
                            static_cast<Outcome>(outcome),
                            {data + values_at + begin, end - begin}});
        begin = end;
      }
      if (begin != length - values_at) return "result ends do not match the values";
      data += length;
      size -= length;
    }
    return nullptr;
  }

  const std::vector<ResultEntry>& entries() const noexcept { return entries_; }

 private:
  std::vector<ResultEntry> entries_;
};

}  // namespace ttp
