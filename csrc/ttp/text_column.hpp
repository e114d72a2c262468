// A column of text on its way into a frame: a code a row, into a dictionary of distinct texts.
//
// Allocates and so may throw std::bad_alloc; does not block. Not thread-safe.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

namespace ttp {

// Texts by number, each distinct one once.
class TextColumn {
 public:
  TextColumn() : seed_(std::random_device()()) { clear(); }

  void clear() {
    codes_.clear();
    values_.clear();
    ends_.assign(1, 0);
    slots_.assign(kFewest, 0);
  }

  void append(std::string_view text) {
    const uint64_t hash = hashed(text);
    size_t slot = find(text, hash);
    if (slots_[slot] == 0) {
      if ((texts() + 1) * 2 > slots_.size()) {
        grow();
        slot = find(text, hash);
      }
      values_.insert(values_.end(), text.begin(), text.end());
      ends_.push_back(static_cast<uint32_t>(values_.size()));
      slots_[slot] = static_cast<uint32_t>(texts());
    }
    codes_.push_back(slots_[slot] - 1);
  }

  size_t texts() const noexcept { return ends_.size() - 1; }
  size_t size() const noexcept { return values_.size() + 4 * (codes_.size() + texts()); }
  const std::vector<uint32_t>& codes() const noexcept { return codes_; }
  const std::vector<uint32_t>& ends() const noexcept { return ends_; }
  const std::vector<char>& values() const noexcept { return values_; }

 private:
  static constexpr size_t kFewest = 64;

  std::string_view text(size_t i) const noexcept { return {values_.data() + ends_[i], ends_[i + 1] - ends_[i]}; }

  // Seeded, so that a sender cannot choose texts that fall together.
  uint64_t hashed(std::string_view text) const noexcept {
    uint64_t hash = seed_ ^ text.size();
    const char* at = text.data();
    size_t left = text.size();
    for (uint64_t word; left >= 8; at += 8, left -= 8) {
      std::memcpy(&word, at, 8);
      hash = mixed(hash ^ word);
    }
    uint64_t rest = 0;
    if (left != 0) std::memcpy(&rest, at, left);
    return mixed(hash ^ rest);
  }
  static uint64_t mixed(uint64_t x) noexcept {
    x *= 0x9e3779b97f4a7c15;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93;
    return x ^ x >> 32;
  }

  size_t find(std::string_view wanted, uint64_t hash) const noexcept {
    const size_t mask = slots_.size() - 1;
    size_t slot = hash & mask;
    while (slots_[slot] != 0 && text(slots_[slot] - 1) != wanted) slot = (slot + 1) & mask;
    return slot;
  }

  void grow() {
    slots_.assign(slots_.size() * 2, 0);
    for (size_t i = 0; i < texts(); ++i) slots_[find(text(i), hashed(text(i)))] = static_cast<uint32_t>(i + 1);
  }

  uint64_t seed_;
  std::vector<uint32_t> codes_, ends_;
  std::vector<char> values_;
  std::vector<uint32_t> slots_;  // number of a text, from 1 on; 0 is free
};

}  // namespace ttp
