// A bounded lock-free queue for many producers and many consumers.
#pragma once

#include "ttp/config.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace ttp {

// A ring of slots. Each position 0, 1, 2, … of the queue has a slot, position mod capacity, and each slot
// has a turn: 2·position when it is free for the item of that position, 2·position + 1 when it holds it. A
// thread claims a run of positions by moving a cursor over slots whose turn has come, then fills or empties
// the slots, and passes each on by setting its turn.
//
// FIFO by claim: items leave in the order of their positions. try_push may report full, and try_pop empty,
// while another thread is between claiming a slot and passing it on. Nothing blocks, allocates or throws but
// the constructor; all operations are thread-safe unless they say otherwise.
template <typename T>
class MpmcQueue {
  static_assert(std::is_nothrow_destructible_v<T>, "an item that throws would leave its slot claimed for ever");
  static_assert(std::is_nothrow_move_assignable_v<T>, "an item that throws would leave its slot claimed for ever");

 public:
  static constexpr bool is_valid_capacity(size_t capacity) noexcept {
    return capacity != 0 && (capacity & (capacity - 1)) == 0 && capacity <= SIZE_MAX / (2 * sizeof(Slot));
  }

  // Precondition: is_valid_capacity(capacity), which asks for a power of two. Allocates; throws std::bad_alloc.
  explicit MpmcQueue(size_t capacity) : mask_(capacity - 1), slots_(std::make_unique<Slot[]>(capacity)) {
    TTP_ASSERT(is_valid_capacity(capacity));
    // relaxed: nobody else has the queue yet.
    for (size_t i = 0; i < capacity; ++i) slots_[i].turn.store(2 * i, std::memory_order_relaxed);
  }

  // Destroys what is left. Precondition: no operation is under way.
  ~MpmcQueue() {
    for_each([](T& item) { item.~T(); });
  }

  MpmcQueue(const MpmcQueue&) = delete;
  MpmcQueue& operator=(const MpmcQueue&) = delete;

  // False, with the value untouched, when full or closed.
  template <typename U>
  bool try_push(U&& value) noexcept {
    static_assert(std::is_nothrow_constructible_v<T, U&&>, "see above");
    uint64_t position = 0;
    if (claim(tail_, kFree, 1, position) == 0) return false;
    fill(position, std::forward<U>(value));
    return true;
  }

  // Pushes a run from the front of [first, first + count), and returns its length: 0 when full or closed.
  // The items lie next to each other in the queue. A std::move_iterator moves them.
  template <typename Iterator>
  size_t try_push_many(Iterator first, size_t count) noexcept {
    static_assert(std::is_nothrow_constructible_v<T, decltype(*first)>, "see above");
    uint64_t position = 0;
    const size_t run = claim(tail_, kFree, count, position);
    for (size_t i = 0; i < run; ++i, ++first) fill(position + i, *first);
    return run;
  }

  // False, with `out` untouched, when empty.
  bool try_pop(T& out) noexcept { return try_pop_many(&out, 1) == 1; }

  // Pops up to `limit` items to `out`, and returns how many: 0 when empty.
  template <typename Iterator>
  size_t try_pop_many(Iterator out, size_t limit) noexcept {
    static_assert(std::is_nothrow_assignable_v<decltype(*out), T&&>, "see above");
    uint64_t position = 0;
    const size_t run = claim(head_, kFull, limit, position);
    TTP_ASSERT(run <= limit);
    for (size_t i = 0; i < run; ++i, ++out) {
      Slot& slot = slot_at(position + i);
      *out = std::move(slot.item());
      slot.item().~T();
      // release: pairs with the acquire in claim() of the producer one round later; the item is gone.
      slot.turn.store(2 * (position + i + capacity()), std::memory_order_release);
    }
    return run;
  }

  // No push that begins after this succeeds. What was pushed can still be popped. May be called again.
  void close() noexcept {
    // release: pairs with the acquires in closed() and drained(), for what the closer did before.
    tail_.fetch_or(kClosed, std::memory_order_release);
  }

  // acquire: pairs with the release in close().
  bool closed() const noexcept { return (tail_.load(std::memory_order_acquire) & kClosed) != 0; }

  // Whether the queue is closed and every item was popped: try_pop will never succeed again. While closed()
  // holds and this does not, an item is there or about to be.
  bool drained() const noexcept {
    const uint64_t tail = tail_.load(std::memory_order_acquire);  // acquire: pairs with the release in close()
    // relaxed: only a number; an old one says "not yet", which asking again corrects.
    return (tail & kClosed) != 0 && head_.load(std::memory_order_relaxed) == (tail & ~kClosed);
  }

  size_t capacity() const noexcept { return mask_ + 1; }

  // Items in the queue; out of date at once while others push and pop.
  size_t size_approx() const noexcept {
    // relaxed: two numbers of different moments, good for an estimate.
    const uint64_t head = head_.load(std::memory_order_relaxed);
    const uint64_t tail = tail_.load(std::memory_order_relaxed) & ~kClosed;
    return tail <= head ? 0 : std::min(static_cast<size_t>(tail - head), capacity());
  }

  // Calls visit(item) for each item in order. Precondition: no other operation is under way.
  template <typename Visit>
  void for_each(Visit&& visit) {
    // relaxed, three times: by the precondition the caller has synchronised with all others.
    const uint64_t tail = tail_.load(std::memory_order_relaxed) & ~kClosed;
    for (uint64_t position = head_.load(std::memory_order_relaxed); position != tail; ++position) {
      Slot& slot = slot_at(position);
      TTP_ASSERT(slot.turn.load(std::memory_order_relaxed) == 2 * position + kFull);
      visit(slot.item());
    }
  }

 private:
  struct Slot {
    std::atomic<uint64_t> turn{0};
    alignas(T) unsigned char storage[sizeof(T)];

    T& item() noexcept { return *std::launder(reinterpret_cast<T*>(storage)); }
  };

  static constexpr uint64_t kFree = 0;
  static constexpr uint64_t kFull = 1;
  static constexpr uint64_t kClosed = uint64_t{1} << 63;  // of tail_: the same exchange that claims sees it

  Slot& slot_at(uint64_t position) noexcept { return slots_[static_cast<size_t>(position) & mask_]; }

  // Claims up to `limit` positions whose slots are all in this phase: returns their number and the first.
  size_t claim(std::atomic<uint64_t>& cursor, uint64_t phase, size_t limit, uint64_t& position) noexcept {
    uint64_t first = cursor.load(std::memory_order_relaxed);  // relaxed: the exchange below checks it
    for (;;) {
      if ((first & kClosed) != 0) return 0;
      size_t run = 0;
      // acquire: pairs with the release in fill() or try_pop_many(), by whoever passed the slot on.
      while (run < limit && slot_at(first + run).turn.load(std::memory_order_acquire) == 2 * (first + run) + phase)
        ++run;
      if (run != 0) {
        // relaxed: turns carry the synchronisation. No slot seen ready can become unready before the cursor
        // moves, and if it moved the exchange fails.
        if (cursor.compare_exchange_weak(first, first + run, std::memory_order_relaxed, std::memory_order_relaxed)) {
          position = first;
          return run;
        }
      } else {
        const uint64_t seen = first;
        first = cursor.load(std::memory_order_relaxed);  // relaxed: as above
        if (first == seen) return 0;                     // not overtaken, so truly full or empty
      }
    }
  }

  template <typename U>
  void fill(uint64_t position, U&& value) noexcept {
    Slot& slot = slot_at(position);
    ::new (static_cast<void*>(slot.storage)) T(std::forward<U>(value));
    // release: pairs with the acquire in claim() of the consumer; the item is whole.
    slot.turn.store(2 * position + kFull, std::memory_order_release);
  }

  const size_t mask_;
  const std::unique_ptr<Slot[]> slots_;
  // Each cursor on its own cache line, else producers and consumers would slow each other down.
  alignas(kCacheLine) std::atomic<uint64_t> tail_{0};  // next position to fill, and kClosed
  alignas(kCacheLine) std::atomic<uint64_t> head_{0};  // next position to empty
};

}  // namespace ttp
