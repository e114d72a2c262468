// A column of text on its way into a frame: a code a row, into a dictionary of distinct texts.
//
// Allocates and so may throw std::bad_alloc; does not block. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

namespace ttp {

// Texts by number, each distinct one once.
class TextColumn {
 public:
  TextColumn() { clear(); }

  void clear() {
    size_t slots = std::max(slots_.size(), kFewest);
    while (slots > kFewest && slots > 8 * texts()) slots /= 2;  // as many as were needed are needed again
    slots_.assign(slots, Slot());
    codes_.clear();
    values_.clear();
    ends_.assign(1, 0);
  }

  void append(std::string_view text) {
    const uint32_t hash = hashed(text);
    Slot* slot = &find(text, hash);
    if (slot->number == 0) {
      if ((texts() + 1) * 2 > slots_.size()) {
        grow();
        slot = &find(text, hash);
      }
      values_.insert(values_.end(), text.begin(), text.end());
      ends_.push_back(static_cast<uint32_t>(values_.size()));
      *slot = {hash, static_cast<uint32_t>(texts())};
    }
    codes_.push_back(slot->number - 1);
  }

  size_t texts() const noexcept { return ends_.size() - 1; }
  size_t size() const noexcept { return values_.size() + 4 * (codes_.size() + texts()); }
  const std::vector<uint32_t>& codes() const noexcept { return codes_; }
  const std::vector<uint32_t>& ends() const noexcept { return ends_; }
  const std::vector<char>& values() const noexcept { return values_; }

 private:
  static constexpr size_t kFewest = 64;

  struct Slot {
    uint32_t hash = 0;
    uint32_t number = 0;  // of a text, from 1 on; 0: free
  };

  std::string_view text(size_t i) const noexcept { return {values_.data() + ends_[i], ends_[i + 1] - ends_[i]}; }

  // Seeded, so that a sender cannot choose texts that fall together.
  static uint32_t hashed(std::string_view text) {
    uint64_t hash = seed() ^ text.size();
    const char* at = text.data();
    size_t left = text.size();
    for (uint64_t word; left >= 8; at += 8, left -= 8) {
      std::memcpy(&word, at, 8);
      hash = mixed(hash ^ word);
    }
    uint64_t rest = 0;
    if (left != 0) std::memcpy(&rest, at, left);
    return static_cast<uint32_t>(mixed(hash ^ rest));
  }
  static uint64_t seed() {
    static const uint64_t once = std::random_device()();
    return once;
  }
  static uint64_t mixed(uint64_t x) noexcept {
    x *= 0x9e3779b97f4a7c15;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93;
    return x ^ x >> 32;
  }

  // Where the text is, or is to be.
  Slot& find(std::string_view wanted, uint32_t hash) noexcept {
    const size_t mask = slots_.size() - 1;
    size_t at = hash & mask;
    while (slots_[at].number != 0 && (slots_[at].hash != hash || text(slots_[at].number - 1) != wanted))
      at = (at + 1) & mask;
    return slots_[at];
  }

  void grow() {
    std::vector<Slot> before(slots_.size() * 2);
    before.swap(slots_);
    const size_t mask = slots_.size() - 1;
    for (const Slot& slot : before) {
      if (slot.number == 0) continue;
      size_t at = slot.hash & mask;
      while (slots_[at].number != 0) at = (at + 1) & mask;
      slots_[at] = slot;
    }
  }

  std::vector<uint32_t> codes_, ends_{0};
  std::vector<char> values_;
  std::vector<Slot> slots_;
};

}  // namespace ttp
