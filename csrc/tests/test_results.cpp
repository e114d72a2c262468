#include "check.hpp"
#include "exact_copy.hpp"
#include "ttp/results.hpp"

#include <initializer_list>
#include <random>
#include <string>
#include <vector>

namespace {

using ttp::Outcome;
using ttp::ResultEntry;
using ttp::ResultView;

std::vector<uint8_t> block_of(const std::vector<std::string>& values, uint16_t first) {
  size_t size = 0;
  for (const auto& value : values) size += value.size();
  std::vector<uint8_t> block(ttp::result_block_size(values.size(), size), 0xee);
  ttp::write_result_block(block.data(), block.size(), values.size(), [&](size_t i) {
    return ResultEntry{static_cast<uint16_t>(first + i),
                       static_cast<Outcome>(1 + i % 4),
                       {reinterpret_cast<const uint8_t*>(values[i].data()), values[i].size()}};
  });
  return block;
}

std::vector<std::string> values_of(size_t count) {
  std::vector<std::string> values;
  values.reserve(count);
  for (size_t i = 0; i < count; ++i) values.emplace_back(i % 5, static_cast<char>('a' + i % 26));
  return values;
}

void what_is_written_is_read() {
  for (const size_t count : std::initializer_list<size_t>{0, 1, 2, 3, 4, 4'096}) {
    const auto values = values_of(count);
    auto field = block_of(values, 100);
    const auto second = block_of({"x"}, 7);
    field.insert(field.end(), second.begin(), second.end());
    ResultView view;
    CHECK(view.parse(field.data(), field.size()) == nullptr);
    CHECK(view.entries().size() == count + 1);
    for (size_t i = 0; i < count; ++i) {
      const ResultEntry& entry = view.entries()[i];
      CHECK(entry.index == 100 + i && entry.outcome == static_cast<Outcome>(1 + i % 4));
      CHECK(entry.value.text() == values[i]);
    }
    CHECK(view.entries()[count].index == 7 && view.entries()[count].value.text() == "x");
  }
}

void read_all(const ResultView& view) {
  volatile uint8_t sink = 0;
  for (const ResultEntry& entry : view.entries())
    for (size_t i = 0; i < entry.value.size; ++i) sink = entry.value.data[i];
  (void)sink;
}

void truncated_anywhere_it_is_refused() {
  const auto block = block_of(values_of(6), 0);
  for (size_t size = 0; size < block.size(); ++size) {
    ExactCopy part(block.data(), size);
    ResultView view;
    CHECK(view.parse(part.data(), size) != nullptr);
    if (size < 8) continue;
    ttp::detail::store_le(part.data(), static_cast<uint32_t>(size));  // and if the length agrees
    CHECK(view.parse(part.data(), size) != nullptr);
  }
}

void flipped_bits_do_no_harm() {
  const auto block = block_of(values_of(6), 0);
  std::mt19937_64 random(5);
  const auto attempt = [](ExactCopy& copy) {
    ResultView view;
    if (view.parse(copy.data(), copy.size()) == nullptr) read_all(view);
  };
  for (size_t bit = 0; bit < 8 * block.size(); ++bit) {
    ExactCopy copy(block.data(), block.size());
    copy.flip(bit);
    attempt(copy);
  }
  for (int round = 0; round < 20'000; ++round) {
    ExactCopy copy(block.data(), block.size());
    for (uint64_t flips = 1 + random() % 4; flips != 0; --flips) copy.flip(random() % (8 * block.size()));
    attempt(copy);
  }
}

}  // namespace

int main() {
  std::puts("results");
  RUN(what_is_written_is_read);
  RUN(truncated_anywhere_it_is_refused);
  RUN(flipped_bits_do_no_harm);
}
