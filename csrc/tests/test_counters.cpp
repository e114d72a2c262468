#include "check.hpp"
#include "ttp/counters.hpp"

#include <array>
#include <thread>
#include <vector>

namespace {

using ttp::Counters;

void what_the_memory_holds_is_kept() {
  alignas(8) std::array<uint64_t, 3> memory{7, 0, 9};
  Counters counters(memory.data(), memory.size());
  counters.add(0, 1);
  counters.set(1, 5);
  CHECK(counters.size() == 3);
  CHECK(counters.get(0) == 8 && counters.get(1) == 5 && counters.get(2) == 9);
  CHECK(Counters(memory.data(), memory.size()).get(0) == 8);
}

void threads_lose_no_count() {
  constexpr uint64_t kThreads = 4;
  constexpr uint64_t kEach = 50'000;
  alignas(8) std::array<uint64_t, 2> memory{};
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (uint64_t thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&] {
      Counters counters(memory.data(), memory.size());  // a view of its own, as each process has
      for (uint64_t i = 0; i < kEach; ++i) counters.add(1, 3);
    });
  for (auto& thread : threads) thread.join();
  const Counters counters(memory.data(), memory.size());
  CHECK(counters.get(0) == 0 && counters.get(1) == 3 * kThreads * kEach);
}

}  // namespace

int main() {
  std::puts("counters");
  RUN(what_the_memory_holds_is_kept);
  RUN(threads_lose_no_count);
}
