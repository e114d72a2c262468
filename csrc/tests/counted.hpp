// A value that keeps count: every construction is matched by one destruction, and no item is copied where it
// should be moved.
#pragma once

#include "check.hpp"

#include <atomic>
#include <cstdint>

class Counted {
 public:
  static int64_t alive() noexcept { return alive_.load(std::memory_order_relaxed); }
  static int64_t made() noexcept { return made_.load(std::memory_order_relaxed); }
  static int64_t copied() noexcept { return copied_.load(std::memory_order_relaxed); }

  Counted() noexcept { born(); }
  explicit Counted(uint64_t value) noexcept : value_(value) { born(); }
  Counted(const Counted& other) noexcept : value_(other.value()) {
    born();
    copied_.fetch_add(1, std::memory_order_relaxed);
  }
  Counted(Counted&& other) noexcept : value_(other.take()) { born(); }
  Counted& operator=(const Counted& other) noexcept {
    value_ = other.value();
    copied_.fetch_add(1, std::memory_order_relaxed);
    return *this;
  }
  Counted& operator=(Counted&& other) noexcept {
    value_ = other.take();
    return *this;
  }
  ~Counted() {
    CHECK(mark_ == kAlive);
    mark_ = kDead;
    alive_.fetch_sub(1, std::memory_order_relaxed);
  }

  uint64_t value() const noexcept {
    CHECK(mark_ == kAlive);
    return value_;
  }

 private:
  static constexpr uint32_t kAlive = 0xa11fe;
  static constexpr uint32_t kDead = 0xdead;

  static void born() noexcept {
    alive_.fetch_add(1, std::memory_order_relaxed);
    made_.fetch_add(1, std::memory_order_relaxed);
  }
  uint64_t take() noexcept {
    const uint64_t value = this->value();
    value_ = UINT64_MAX;
    return value;
  }

  // relaxed throughout: counts that are compared once all threads have been joined.
  static inline std::atomic<int64_t> alive_{0};
  static inline std::atomic<int64_t> made_{0};
  static inline std::atomic<int64_t> copied_{0};

  uint64_t value_ = 0;
  uint32_t mark_ = kAlive;
};
