// Counters in memory that processes may share.
#pragma once

#include "ttp/config.hpp"

#include <cstddef>
#include <cstdint>

namespace ttp {

// A view of cells that lie in memory of somebody else's, say a shared mapping: it must outlive the view.
//
// All operations are thread-safe, and safe between processes that map the same memory; lock-free, and neither
// allocate nor throw. They are relaxed: a cell guards no other memory, and a reader beside a writer sees some
// recent state of each cell.
class Counters {
 public:
  using Cell = std::atomic<uint64_t>;
  static_assert(Cell::is_always_lock_free && sizeof(Cell) == 8, "a lock would be each process's own");

  // Precondition: `memory` is aligned to 8 bytes and has room for so many cells. What it holds is kept.
  Counters(void* memory, size_t cells) noexcept : cells_(static_cast<Cell*>(memory)), size_(cells) {
    TTP_ASSERT(reinterpret_cast<uintptr_t>(memory) % alignof(Cell) == 0);
  }

  size_t size() const noexcept { return size_; }

  // Precondition of these three: cell < size(). Sums are modulo 2^64.
  void add(size_t cell, uint64_t amount) noexcept { at(cell).fetch_add(amount, std::memory_order_relaxed); }
  void set(size_t cell, uint64_t value) noexcept { at(cell).store(value, std::memory_order_relaxed); }
  uint64_t get(size_t cell) const noexcept { return at(cell).load(std::memory_order_relaxed); }

 private:
  Cell& at(size_t cell) const noexcept {
    TTP_ASSERT(cell < size_);
    return cells_[cell];
  }

  Cell* cells_;
  size_t size_;
};

}  // namespace ttp
