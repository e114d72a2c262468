#include "check.hpp"
#include "ttp/memory_pool.hpp"

#include <cstring>
#include <set>
#include <thread>
#include <vector>

namespace {

using ttp::Block;
using ttp::MemoryPool;

void shape_is_checked() {
  CHECK(!MemoryPool::is_valid(0, 1));
  CHECK(!MemoryPool::is_valid(1, 0));
  CHECK(!MemoryPool::is_valid(SIZE_MAX, 1));
  CHECK(!MemoryPool::is_valid(SIZE_MAX / 8, 16));
  CHECK(!MemoryPool::is_valid(1, UINT32_MAX));
  CHECK(MemoryPool::is_valid(1, 1));
  CHECK(MemoryPool::is_valid(32 << 10, 1 << 16));
}

void blocks_are_distinct_aligned_and_whole() {
  const auto pool = MemoryPool::create(100, 5);
  CHECK(pool->block_size() == 100 && pool->capacity() == 5 && pool->available() == 5);
  std::vector<Block> blocks;
  std::set<uint8_t*> addresses;
  for (uint8_t i = 0; i < 5; ++i) {
    blocks.push_back(pool->acquire());
    CHECK(blocks.back());
    CHECK(blocks.back().size() == 100);
    CHECK(reinterpret_cast<uintptr_t>(blocks.back().data()) % ttp::kCacheLine == 0);
    addresses.insert(blocks.back().data());
    std::memset(blocks.back().data(), i, 100);
  }
  CHECK(addresses.size() == 5);
  CHECK(pool->available() == 0);
  CHECK(!pool->acquire());
  for (uint8_t i = 0; i < 5; ++i)
    for (size_t j = 0; j < 100; ++j) CHECK(blocks[i].data()[j] == i);
}

void the_last_block_back_is_the_first_out() {
  const auto pool = MemoryPool::create(8, 3);
  Block a = pool->acquire();
  Block b = pool->acquire();
  const uint8_t* const first = a.data();
  const uint8_t* const second = b.data();
  a.reset();
  b.reset();
  CHECK(pool->acquire().data() == second);  // and back again
  a = pool->acquire();
  b = pool->acquire();
  CHECK(a.data() == second && b.data() == first);
}

void a_handle_moves_and_gives_back_once() {
  const auto pool = MemoryPool::create(8, 2);
  Block a = pool->acquire();
  const uint8_t* const address = a.data();
  Block b = std::move(a);
  // NOLINTNEXTLINE(bugprone-use-after-move,clang-analyzer-cplusplus.Move): this is what a move leaves behind
  CHECK(!a && a.data() == nullptr && a.size() == 0);
  CHECK(b.data() == address);
  b = pool->acquire();
  CHECK(pool->available() == 1);
  Block& itself = b;
  b = std::move(itself);
  CHECK(b && pool->available() == 1);
  b.reset();
  b.reset();
  CHECK(!b && pool->available() == 2);
}

void a_block_keeps_its_pool_alive() {
  auto pool = MemoryPool::create(64, 1);
  const std::weak_ptr<MemoryPool> watch = pool;
  Block block = pool->acquire();
  pool.reset();
  std::memset(block.data(), 7, block.size());
  CHECK(!watch.expired());
  block.reset();
  CHECK(watch.expired());
}

// Every thread writes its mark over all of a block and finds it unchanged: no block has two owners. The
// marks are plain memory, so the thread sanitizer checks that a block's users are ordered.
void threads_never_share_a_block() {
  constexpr size_t kThreads = 4;
  constexpr size_t kBlocks = 6;  // fewer than the threads want together
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  constexpr int kRounds = 30'000;  // slow, and enough to see a data race
#else
  constexpr int kRounds = 1'000'000;  // as many as it takes to meet ABA if the tag is taken out
#endif
  const auto pool = MemoryPool::create(64, kBlocks);
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  std::atomic<size_t> acquired{0};
  for (size_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      const auto mark = static_cast<uint8_t>(thread + 1);
      size_t got = 0;
      for (int round = 0; round < kRounds; ++round) {
        Block held[2];
        for (Block& block : held) {
          block = pool->acquire();
          if (!block) continue;
          ++got;
          std::memset(block.data(), mark, block.size());
        }
        for (const Block& block : held)
          for (size_t i = 0; i < block.size(); ++i) CHECK(block.data()[i] == mark);
        if (round % 2 == 0) held[0].reset();  // in turn, so that the order of the stack changes
      }
      acquired.fetch_add(got, std::memory_order_relaxed);
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(acquired.load(std::memory_order_relaxed) > 0);
  CHECK(pool->available() == kBlocks);
  std::set<uint8_t*> addresses;
  std::vector<Block> all;
  while (Block block = pool->acquire()) {
    addresses.insert(block.data());
    all.push_back(std::move(block));
  }
  CHECK(addresses.size() == kBlocks && all.size() == kBlocks);
}

}  // namespace

int main() {
  std::puts("memory pool");
  RUN(shape_is_checked);
  RUN(blocks_are_distinct_aligned_and_whole);
  RUN(the_last_block_back_is_the_first_out);
  RUN(a_handle_moves_and_gives_back_once);
  RUN(a_block_keeps_its_pool_alive);
  RUN(threads_never_share_a_block);
}
