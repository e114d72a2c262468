// A histogram in the manner of HdrHistogram: relative error at most 1/32 over the whole range.
#pragma once

#include "ttp/config.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace ttp {

// Values below 32 have a bucket each; above, each power of two is divided into 32 equal buckets. Values
// beyond kMaxValue count as kMaxValue.
//
// All operations are thread-safe and lock-free, and neither allocate nor throw. They are relaxed throughout:
// counters that guard no other memory. A reader beside a writer sees some recent state of each counter.
class Histogram {
 public:
  static constexpr uint64_t kMaxValue = (uint64_t{1} << 40) - 1;
  static constexpr size_t kSteps = 32;
  static constexpr size_t kBuckets = kSteps * 36;  // 32 exact ones, and 32 for each of the bits 5 to 39

  static constexpr size_t bucket_of(uint64_t value) noexcept {
    if (value < kSteps) return static_cast<size_t>(value);
    int shift = 0;
    while ((value >> shift) >= 2 * kSteps) ++shift;
    return kSteps * static_cast<size_t>(shift + 1) + static_cast<size_t>(value >> shift) - kSteps;
  }

  static constexpr uint64_t highest_value_of(size_t bucket) noexcept {
    if (bucket < kSteps) return bucket;
    const size_t shift = bucket / kSteps - 1;
    return ((uint64_t{bucket % kSteps} + kSteps + 1) << shift) - 1;
  }

  // Counts `value` as often as `weight` says; 0 does nothing.
  void record(uint64_t value, uint64_t weight = 1) noexcept {
    if (weight == 0) return;
    value = std::min(value, kMaxValue);
    counts_[bucket_of(value)].fetch_add(weight, std::memory_order_relaxed);
    sum_.fetch_add(value * weight, std::memory_order_relaxed);
    raise_max(value);
  }

  // Adds all that `other` has counted.
  void merge(const Histogram& other) noexcept {
    for (size_t i = 0; i < kBuckets; ++i) {
      const uint64_t count = other.count_in(i);
      if (count != 0) counts_[i].fetch_add(count, std::memory_order_relaxed);
    }
    sum_.fetch_add(other.sum(), std::memory_order_relaxed);
    raise_max(other.max());
  }

  // Forgets everything. What others record meanwhile may be forgotten in part.
  void clear() noexcept {
    for (auto& count : counts_) count.store(0, std::memory_order_relaxed);
    sum_.store(0, std::memory_order_relaxed);
    max_.store(0, std::memory_order_relaxed);
  }

  uint64_t count_in(size_t bucket) const noexcept { return counts_[bucket].load(std::memory_order_relaxed); }

  uint64_t count() const noexcept {
    uint64_t total = 0;
    for (size_t i = 0; i < kBuckets; ++i) total += count_in(i);
    return total;
  }

  uint64_t sum() const noexcept { return sum_.load(std::memory_order_relaxed); }  // modulo 2^64
  uint64_t max() const noexcept { return max_.load(std::memory_order_relaxed); }

  // The highest value of the bucket that holds rank ceil(q/100 · count), at most max(); 0 when empty.
  // Precondition: 0 <= q <= 100.
  uint64_t percentile(double q) const noexcept {
    TTP_ASSERT(q >= 0.0 && q <= 100.0);
    const double rank = std::ceil(q / 100.0 * static_cast<double>(count()));
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
      seen += count_in(i);
      if (seen != 0 && static_cast<double>(seen) >= rank) return std::min(highest_value_of(i), max());
    }
    return max();
  }

 private:
  void raise_max(uint64_t value) noexcept {
    uint64_t seen = max_.load(std::memory_order_relaxed);
    while (seen < value && !max_.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
    }
  }

  std::array<std::atomic<uint64_t>, kBuckets> counts_{};
  std::atomic<uint64_t> sum_{0};
  std::atomic<uint64_t> max_{0};
};

static_assert(Histogram::bucket_of(Histogram::kMaxValue) == Histogram::kBuckets - 1, "the last bucket");
static_assert(Histogram::highest_value_of(Histogram::kBuckets - 1) == Histogram::kMaxValue, "the last bucket");

}  // namespace ttp
