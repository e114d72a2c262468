#include "check.hpp"
#include "ttp/histogram.hpp"

#include <algorithm>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace {

using ttp::Histogram;

// The formula of the contract, from the highest bit.
size_t bucket_by_definition(uint64_t value) {
  if (value < 32) return static_cast<size_t>(value);
  uint64_t bit = 0;
  while ((value >> bit) > 1) ++bit;
  return static_cast<size_t>((bit - 4) * 32 + ((value >> (bit - 5)) - 32));
}

void buckets_follow_the_definition_and_cover_everything() {
  uint64_t low = 0;
  for (size_t bucket = 0; bucket < Histogram::kBuckets; ++bucket) {
    const uint64_t high = Histogram::highest_value_of(bucket);
    CHECK(Histogram::bucket_of(low) == bucket && Histogram::bucket_of(high) == bucket);
    CHECK(bucket_by_definition(low) == bucket && bucket_by_definition(high) == bucket);
    CHECK((high - low) * 32 <= low);  // the promised error
    low = high + 1;
  }
  CHECK(low == Histogram::kMaxValue + 1);
}

void an_empty_one_says_zero() {
  const Histogram histogram;
  CHECK(histogram.count() == 0 && histogram.sum() == 0 && histogram.max() == 0);
  CHECK(histogram.percentile(0) == 0 && histogram.percentile(50) == 0 && histogram.percentile(100) == 0);
}

void weights_and_clamping() {
  Histogram histogram;
  histogram.record(5, 0);
  CHECK(histogram.count() == 0 && histogram.max() == 0);
  histogram.record(5, 3);
  histogram.record(UINT64_MAX);
  CHECK(histogram.count() == 4 && histogram.sum() == 15 + Histogram::kMaxValue);
  CHECK(histogram.max() == Histogram::kMaxValue);
  CHECK(histogram.percentile(0) == 5 && histogram.percentile(75) == 5);
  CHECK(histogram.percentile(75.1) == Histogram::kMaxValue);
}

void percentiles_are_those_of_the_sorted_values() {
  std::mt19937_64 random(7);
  Histogram histogram;
  std::vector<uint64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    const uint64_t value = random() >> (24 + random() % 40);
    values.push_back(value);
    histogram.record(value);
  }
  std::sort(values.begin(), values.end());
  for (const double q : {0.0, 0.1, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    const auto rank = static_cast<size_t>(std::ceil(q / 100.0 * static_cast<double>(values.size())));
    const uint64_t exact = values[rank == 0 ? 0 : rank - 1];
    const uint64_t bucket_high = Histogram::highest_value_of(bucket_by_definition(exact));
    CHECK(histogram.percentile(q) == std::min(bucket_high, values.back()));
  }
}

void merge_adds_and_clear_forgets() {
  Histogram a;
  Histogram b;
  a.record(10);
  b.record(1'000, 2);
  a.merge(b);
  CHECK(a.count() == 3 && a.sum() == 2'010 && a.max() == 1'000);
  a.merge(a);
  CHECK(a.count() == 6 && a.sum() == 4'020);
  a.clear();
  CHECK(a.count() == 0 && a.sum() == 0 && a.max() == 0 && b.count() == 2);
}

void threads_lose_no_count() {
  constexpr uint64_t kThreads = 4;
  constexpr uint64_t kEach = 50'000;
  const auto histogram = std::make_unique<Histogram>();
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (uint64_t thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] {
      for (uint64_t i = 0; i < kEach; ++i) histogram->record(thread * kEach + i);
    });
  for (auto& thread : threads) thread.join();
  constexpr uint64_t kAll = kThreads * kEach;
  CHECK(histogram->count() == kAll && histogram->sum() == kAll * (kAll - 1) / 2);
  CHECK(histogram->max() == kAll - 1);
}

}  // namespace

int main() {
  std::puts("histogram");
  RUN(buckets_follow_the_definition_and_cover_everything);
  RUN(an_empty_one_says_zero);
  RUN(weights_and_clamping);
  RUN(percentiles_are_those_of_the_sorted_values);
  RUN(merge_adds_and_clear_forgets);
  RUN(threads_lose_no_count);
}
