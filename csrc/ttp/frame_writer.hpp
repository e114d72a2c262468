// Builds a frame in place, row by row, in memory that somebody else owns.
//
// Rows grow upwards from where they will lie in the finished frame; row ends grow downwards from the end of
// the memory, and are moved behind the rows when the frame is sealed. So a frame fills its memory to the last
// byte, without a second buffer. Nothing here throws, blocks or allocates. Not thread-safe.
#pragma once

#include "ttp/frame.hpp"

#include <algorithm>

namespace ttp {

class FrameWriter {
 public:
  FrameWriter() noexcept = default;

  // texts: of them, only the sizes are needed later on.
  // first: the index in the origin frame of the first row; not 0: this is the rest of a frame that was cut.
  // may_be_cut: keep room for the index section that the rest will have.
  FrameWriter(uint8_t* memory, size_t capacity, const FrameTexts& texts, size_t first, bool may_be_cut) noexcept
      : memory_(memory), capacity_(capacity & ~size_t{7}), texts_(texts), first_(first), may_be_cut_(may_be_cut) {
    const FrameLayout layout = this->layout(0, 0, derived());
    rows_at_ = layout.rows_at;
    write_texts(memory_, layout, texts);
  }

  // Bytes that a frame of one row needs; what the memory must hold at least.
  static size_t needed(const FrameTexts& texts, size_t row, bool may_be_cut) noexcept {
    return FrameLayout(texts, row, 1, may_be_cut).length;
  }

  // The index in the origin frame of row 0.
  size_t first() const noexcept { return first_; }

  size_t count() const noexcept { return count_; }
  size_t capacity() const noexcept { return capacity_; }
  size_t rows_size() const noexcept { return rows_size_; }

  // Bytes of the sealed frame if one more row of this size went in.
  size_t needed(size_t row) const noexcept {
    return layout(rows_size_ + row, count_ + 1, derived() || may_be_cut_).length;
  }

  // Whether it has as many rows as it may, whatever their size.
  bool full() const noexcept { return count_ == kMaxRows || first_ + count_ > UINT16_MAX; }

  bool fits(size_t row) const noexcept { return !full() && needed(row) <= capacity_; }

  // Precondition: fits(size).
  void append(const uint8_t* row, size_t size) noexcept {
    std::memcpy(memory_ + rows_at_ + rows_size_, row, size);
    rows_size_ += size;
    ++count_;
    detail::store_le(end_slot(count_ - 1), static_cast<uint32_t>(rows_size_));
  }

  // The rows as they lie in memory. Precondition: not sealed.
  Bytes row(size_t row) const noexcept {
    const size_t begin = row == 0 ? 0 : row_end(row - 1);
    return {memory_ + rows_at_ + begin, row_end(row) - begin};
  }

  size_t row_end(size_t row) const noexcept { return detail::load_le<uint32_t>(end_slot(row)); }

  // Takes back all rows but the first `count`. Precondition: not sealed, count <= count().
  void truncate(size_t count) noexcept {
    count_ = count;
    rows_size_ = count == 0 ? 0 : row_end(count - 1);
  }

  // Goes on in larger memory, which is the caller's like the old one.
  void move_to(uint8_t* memory, size_t capacity) noexcept {
    const size_t old_capacity = capacity_;
    const uint8_t* old = memory_;
    memory_ = memory;
    capacity_ = capacity & ~size_t{7};
    std::memcpy(memory_, old, rows_at_ + rows_size_);
    std::memcpy(memory_ + capacity_ - 4 * count_, old + old_capacity - 4 * count_, 4 * count_);
  }

  // Completes the frame; returns its length. Once, and nothing but count() and rows_size() afterwards.
  size_t seal(const FrameHeader& header) noexcept {
    const FrameLayout layout = this->layout(rows_size_, count_, derived());
    uint8_t* ends = memory_ + capacity_ - layout.ends;
    for (size_t low = 0, high = count_; low + 1 < high; ++low) {
      --high;
      std::swap_ranges(ends + 4 * low, ends + 4 * low + 4, ends + 4 * high);
    }
    std::memmove(memory_ + layout.ends_at, ends, layout.ends);
    for (size_t i = 0; i < layout.index / 2; ++i)
      detail::store_le(memory_ + layout.index_at + 2 * i, static_cast<uint16_t>(first_ + i));
    finish_frame(memory_, header, layout);
    return layout.length;
  }

 private:
  bool derived() const noexcept { return first_ != 0; }
  FrameLayout layout(size_t rows, size_t count, bool derived) const noexcept { return {texts_, rows, count, derived}; }
  uint8_t* end_slot(size_t row) const noexcept { return memory_ + capacity_ - 4 * (row + 1); }

  uint8_t* memory_ = nullptr;
  size_t capacity_ = 0;
  FrameTexts texts_;
  size_t rows_at_ = 0;
  size_t rows_size_ = 0;
  size_t count_ = 0;
  size_t first_ = 0;
  bool may_be_cut_ = false;
};

}  // namespace ttp
