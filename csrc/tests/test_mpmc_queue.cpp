#include "check.hpp"
#include "counted.hpp"
#include "ttp/mpmc_queue.hpp"

#include <array>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <thread>
#include <vector>

namespace {

using ttp::MpmcQueue;

void capacity_is_a_power_of_two() {
  using Queue = MpmcQueue<int>;
  for (const size_t good : std::initializer_list<size_t>{1, 2, 4, 1024}) CHECK(Queue::is_valid_capacity(good));
  for (const size_t bad : std::initializer_list<size_t>{0, 3, 6, 1000}) CHECK(!Queue::is_valid_capacity(bad));
  CHECK(!Queue::is_valid_capacity(size_t{1} << 63));
}

void first_in_first_out_over_many_rounds() {
  for (const size_t capacity : std::initializer_list<size_t>{1, 2, 8}) {
    MpmcQueue<uint64_t> queue(capacity);
    uint64_t out = 0;
    CHECK(queue.capacity() == capacity && !queue.try_pop(out));
    for (uint64_t round = 0; round < 100; ++round) {
      for (uint64_t i = 0; i < capacity; ++i) CHECK(queue.try_push(round * 100 + i));
      CHECK(!queue.try_push(uint64_t{9}));
      CHECK(queue.size_approx() == capacity);
      for (uint64_t i = 0; i < capacity; ++i) CHECK(queue.try_pop(out) && out == round * 100 + i);
      CHECK(!queue.try_pop(out) && queue.size_approx() == 0);
    }
  }
}

void bulk_forms_take_what_fits() {
  MpmcQueue<int> queue(8);
  const std::array<int, 10> in{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  std::array<int, 10> out{};
  CHECK(queue.try_push_many(in.begin(), 0) == 0);
  CHECK(queue.try_push_many(in.begin(), 5) == 5);
  CHECK(queue.try_push_many(in.begin() + 5, 5) == 3);
  CHECK(queue.try_push_many(in.begin(), 1) == 0);
  CHECK(queue.try_pop_many(out.begin(), 0) == 0);
  CHECK(queue.try_pop_many(out.begin(), 3) == 3);
  CHECK(queue.try_push_many(in.begin() + 8, 2) == 2);  // round the end of the ring
  CHECK(queue.try_pop_many(out.begin() + 3, 10) == 7);
  CHECK(out == in);
  CHECK(queue.try_pop_many(out.begin(), 10) == 0);
}

void a_refused_item_is_not_moved_from() {
  MpmcQueue<std::unique_ptr<int>> queue(1);
  CHECK(queue.try_push(std::make_unique<int>(1)));
  auto kept = std::make_unique<int>(2);
  CHECK(!queue.try_push(std::move(kept)));
  CHECK(kept != nullptr && *kept == 2);  // NOLINT(bugprone-use-after-move): what this test is about
  queue.close();
  std::unique_ptr<int> out;
  CHECK(queue.try_pop(out) && *out == 1);
  CHECK(!queue.try_push(std::move(kept)));
  CHECK(kept != nullptr);  // NOLINT(bugprone-use-after-move)
}

void closing_stops_pushes_and_lets_the_rest_drain() {
  MpmcQueue<int> queue(4);
  const std::array<int, 2> in{1, 2};
  CHECK(queue.try_push_many(in.begin(), 2) == 2);
  CHECK(!queue.closed() && !queue.drained());
  queue.close();
  queue.close();
  CHECK(queue.closed() && !queue.drained() && queue.size_approx() == 2);
  CHECK(!queue.try_push(3) && queue.try_push_many(in.begin(), 2) == 0);
  int out = 0;
  CHECK(queue.try_pop(out) && out == 1 && !queue.drained());
  CHECK(queue.try_pop(out) && out == 2 && queue.drained());
  CHECK(!queue.try_pop(out) && queue.size_approx() == 0);
}

void every_item_is_destroyed_once() {
  const int64_t before = Counted::alive();
  const int64_t copied = Counted::copied();
  {
    MpmcQueue<Counted> queue(8);
    for (uint64_t i = 0; i < 6; ++i) CHECK(queue.try_push(Counted(i)));
    CHECK(Counted::alive() == before + 6);
    {
      Counted out;
      CHECK(queue.try_pop(out) && out.value() == 0);
      std::vector<Counted> more(3);
      CHECK(queue.try_pop_many(more.begin(), 3) == 3 && more[2].value() == 3);
      CHECK(queue.try_push_many(std::make_move_iterator(more.begin()), 3) == 3);
    }
    CHECK(Counted::alive() == before + 5);
    uint64_t sum = 0;
    queue.for_each([&](const Counted& item) { sum += item.value(); });
    CHECK(sum == 4 + 5 + 1 + 2 + 3);
    CHECK(Counted::copied() == copied);
  }
  CHECK(Counted::alive() == before);
}

// What several producers and consumers have counted, and how often each item arrived.
struct Tally {
  explicit Tally(size_t items) : seen(items) {}
  std::vector<std::atomic<uint8_t>> seen;
  std::atomic<uint64_t> pushed{0};
  std::atomic<uint64_t> popped{0};
};

template <typename Push>
void produce(Tally& tally, uint64_t begin, uint64_t end, Push&& push) {
  uint64_t next = begin;
  while (next != end) {
    const size_t run = push(next, end);
    if (run == SIZE_MAX) break;  // closed
    if (run == 0) std::this_thread::yield();
    next += run;
    tally.pushed.fetch_add(run, std::memory_order_relaxed);
  }
}

// Takes items one by one or in runs, and checks that those of one producer come in order.
void consume(MpmcQueue<Counted>& queue, Tally& tally, size_t producers, uint64_t share, size_t bulk) {
  std::vector<uint64_t> last(producers, UINT64_MAX);
  std::vector<Counted> items(bulk);
  uint64_t popped = 0;
  for (;;) {
    const size_t run = queue.try_pop_many(items.begin(), bulk);
    if (run == 0) {
      if (queue.drained()) break;
      std::this_thread::yield();
      continue;
    }
    for (size_t i = 0; i < run; ++i) {
      const uint64_t value = items[i].value();
      CHECK(value < tally.seen.size());
      uint64_t& before = last[value / share];
      CHECK(before == UINT64_MAX || before < value);
      before = value;
      tally.seen[value].fetch_add(1, std::memory_order_relaxed);
    }
    popped += run;
  }
  tally.popped.fetch_add(popped, std::memory_order_relaxed);
}

size_t push_one(MpmcQueue<Counted>& queue, uint64_t next) {
  if (queue.try_push(Counted(next))) return 1;
  return queue.closed() ? SIZE_MAX : 0;
}

size_t push_run(MpmcQueue<Counted>& queue, uint64_t next, uint64_t end) {
  std::vector<Counted> items;
  for (uint64_t i = next; i < end && i < next + 5; ++i) items.emplace_back(i);
  const size_t run = queue.try_push_many(std::make_move_iterator(items.begin()), items.size());
  return run == 0 && queue.closed() ? SIZE_MAX : run;
}

// Closes the queue once `close_after` items were pushed, if that is not 0.
void contend(size_t producers, size_t consumers, size_t capacity, uint64_t share, uint64_t close_after = 0) {
  const int64_t before = Counted::alive();
  Tally tally(producers * share);
  {
    MpmcQueue<Counted> queue(capacity);
    std::vector<std::thread> pushing;
    std::vector<std::thread> popping;
    pushing.reserve(producers);
    popping.reserve(consumers);
    for (size_t i = 0; i < consumers; ++i)
      popping.emplace_back([&, i] { consume(queue, tally, producers, share, i % 2 == 0 ? 1 : 7); });
    for (size_t i = 0; i < producers; ++i)
      pushing.emplace_back([&, i] {
        const bool bulk = i % 2 == 1;
        produce(tally, i * share, (i + 1) * share,
                [&](uint64_t next, uint64_t end) { return bulk ? push_run(queue, next, end) : push_one(queue, next); });
      });
    if (close_after != 0) {
      while (tally.pushed.load(std::memory_order_relaxed) < close_after) std::this_thread::yield();
      queue.close();
    }
    for (auto& thread : pushing) thread.join();
    queue.close();
    for (auto& thread : popping) thread.join();
    CHECK(queue.drained());
  }
  const uint64_t pushed = tally.pushed.load(std::memory_order_relaxed);
  CHECK(tally.popped.load(std::memory_order_relaxed) == pushed);
  if (close_after == 0) CHECK(pushed == producers * share);
  uint64_t seen = 0;
  for (const auto& count : tally.seen) {
    CHECK(count.load(std::memory_order_relaxed) <= 1);
    seen += count.load(std::memory_order_relaxed);
  }
  CHECK(seen == pushed);
  CHECK(Counted::alive() == before);
}

void contended_nothing_lost_nothing_doubled() {
  contend(1, 1, 1, 5'000);
  contend(2, 2, 2, 20'000);
  contend(4, 4, 64, 30'000);
  contend(1, 4, 1024, 50'000);
  contend(4, 1, 8, 20'000);
}

// A push that was accepted is popped, however close to the closing it was.
void closed_in_mid_use_what_was_accepted_arrives() {
  for (uint64_t round = 1; round <= 200; ++round) contend(3, 3, 16, 2'000, 5 * round);
}

}  // namespace

int main() {
  std::puts("mpmc queue");
  RUN(capacity_is_a_power_of_two);
  RUN(first_in_first_out_over_many_rounds);
  RUN(bulk_forms_take_what_fits);
  RUN(a_refused_item_is_not_moved_from);
  RUN(closing_stops_pushes_and_lets_the_rest_drain);
  RUN(every_item_is_destroyed_once);
  RUN(contended_nothing_lost_nothing_doubled);
  RUN(closed_in_mid_use_what_was_accepted_arrives);
}
