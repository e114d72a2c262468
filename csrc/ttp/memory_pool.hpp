// A pool of fixed-size memory blocks: no allocation, no lock and no page fault for a block used before.
#pragma once

#include "ttp/config.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <utility>

namespace ttp {

// Blocks lie in one slab that is reserved at once and touched only where used: the free list is a stack of
// block numbers kept outside the slab, and last in, first out, so the blocks in use stay few and warm.
//
// The head of the stack carries a tag that every change increments. Without it a thread that read head A and
// its successor B could, after others took A and B and gave A back, make the taken B the head (ABA).
class MemoryPool : public std::enable_shared_from_this<MemoryPool> {
 public:
  // One block, given back to its pool on destruction. Keeps the pool alive. Empty where there was none.
  // Safe to hand from thread to thread, not to share.
  class Block {
   public:
    Block() noexcept = default;
    Block(Block&& other) noexcept : pool_(std::move(other.pool_)), number_(other.number_) {}
    Block& operator=(Block&& other) noexcept {
      if (this != &other) {
        reset();
        pool_ = std::move(other.pool_);
        number_ = other.number_;
      }
      return *this;
    }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    ~Block() { reset(); }

    explicit operator bool() const noexcept { return pool_ != nullptr; }

    // The memory: uninitialised, aligned to a cache line. nullptr and 0 where empty.
    uint8_t* data() const noexcept { return pool_ ? pool_->address(number_) : nullptr; }
    size_t size() const noexcept { return pool_ ? pool_->block_size() : 0; }

    // Gives the block back now. Lock-free; frees the pool's memory if this was the last to hold it.
    void reset() noexcept {
      if (!pool_) return;
      pool_->release(number_);
      pool_.reset();
    }

   private:
    friend class MemoryPool;
    Block(std::shared_ptr<MemoryPool> pool, uint32_t number) noexcept : pool_(std::move(pool)), number_(number) {}

    std::shared_ptr<MemoryPool> pool_;
    uint32_t number_ = 0;
  };

  // Preconditions: is_valid(block_size, blocks). Allocates; throws std::bad_alloc.
  static std::shared_ptr<MemoryPool> create(size_t block_size, size_t blocks) {
    return std::make_shared<MemoryPool>(Private{}, block_size, blocks);
  }

  // Whether a pool can have this shape: neither is 0, and the slab can be addressed.
  static constexpr bool is_valid(size_t block_size, size_t blocks) noexcept {
    constexpr size_t kMaxSlab = std::numeric_limits<size_t>::max() / 4;
    return block_size != 0 && blocks != 0 && blocks < kNone && block_size <= kMaxSlab &&
           stride(block_size) <= kMaxSlab / blocks;
  }

  // A block, or an empty one if all are in use. Thread-safe, lock-free; neither throws nor allocates.
  Block acquire() noexcept {
    // acquire: pairs with the release in release(), so the link of the number read here is the one stored
    // before that number became head, and what the last user did to the block came before.
    uint64_t head = head_.load(std::memory_order_acquire);
    for (;;) {
      const uint32_t number = number_of(head);
      if (number == kNone) return {};
      // relaxed: if another thread changes this link meanwhile, the tag has moved on and the exchange fails.
      const uint32_t next = links_[number].load(std::memory_order_relaxed);
      // acquire: as above, for the retry as well. An exchange without release suffices, since as a
      // read-modify-write it continues the release sequences of all who pushed what is still on the stack.
      if (head_.compare_exchange_weak(head, next_head(head, next), std::memory_order_acquire,
                                      std::memory_order_acquire)) {
        used_.fetch_add(1, std::memory_order_relaxed);  // relaxed: a statistic
        return Block(weak_from_this().lock(), number);  // never null: create() made this pool
      }
    }
  }

  size_t block_size() const noexcept { return block_size_; }
  size_t capacity() const noexcept { return blocks_; }

  // Blocks not in use; out of date at once while others acquire and release.
  size_t available() const noexcept {
    const uint32_t used = used_.load(std::memory_order_relaxed);  // relaxed: a statistic
    return used > blocks_ ? 0 : blocks_ - used;
  }

 private:
  struct Private {};
  struct FreeSlab {
    void operator()(uint8_t* slab) const noexcept { ::operator delete(slab, std::align_val_t{kCacheLine}); }
  };

  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();

 public:
  MemoryPool(Private /*only create() has one*/, size_t block_size, size_t blocks)
      : block_size_(block_size),
        blocks_(blocks),
        slab_(static_cast<uint8_t*>(::operator new(stride(block_size) * blocks, std::align_val_t{kCacheLine}))),
        links_(std::make_unique<std::atomic<uint32_t>[]>(blocks)) {
    TTP_ASSERT(is_valid(block_size, blocks));
    // relaxed: nobody else has the pool yet.
    for (size_t i = 0; i < blocks; ++i)
      links_[i].store(i + 1 < blocks ? static_cast<uint32_t>(i + 1) : kNone, std::memory_order_relaxed);
  }

 private:
  static constexpr size_t stride(size_t block_size) noexcept {
    return (block_size + kCacheLine - 1) & ~(kCacheLine - 1);
  }
  static constexpr uint32_t number_of(uint64_t head) noexcept { return static_cast<uint32_t>(head); }
  static constexpr uint64_t next_head(uint64_t head, uint32_t number) noexcept {
    return ((head >> 32) + 1) << 32 | number;
  }

  uint8_t* address(uint32_t number) const noexcept { return slab_.get() + stride(block_size_) * number; }

  void release(uint32_t number) noexcept {
    used_.fetch_sub(1, std::memory_order_relaxed);          // relaxed: a statistic
    uint64_t head = head_.load(std::memory_order_relaxed);  // relaxed: the exchange checks it
    do {
      links_[number].store(number_of(head), std::memory_order_relaxed);  // relaxed: the exchange publishes it
      // release: pairs with the acquires in acquire().
    } while (!head_.compare_exchange_weak(head, next_head(head, number), std::memory_order_release,
                                          std::memory_order_relaxed));
  }

  const size_t block_size_;
  const size_t blocks_;
  const std::unique_ptr<uint8_t, FreeSlab> slab_;
  const std::unique_ptr<std::atomic<uint32_t>[]> links_;
  alignas(kCacheLine) std::atomic<uint64_t> head_{0};  // tag << 32 | number of the first free block
  alignas(kCacheLine) std::atomic<uint32_t> used_{0};
};

using Block = MemoryPool::Block;

}  // namespace ttp
