// Events as columns on their way into a frame, straight from the lines they came in.
//
// Allocates and so may throw std::bad_alloc; does not block. Not thread-safe.
#pragma once

#include "ttp/column.hpp"
#include "ttp/event.hpp"

#include <random>
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

// The events of one priority.
struct EventTable {
  TextColumn device, timestamp;
  std::vector<int64_t> epoch, sequence;
  std::vector<uint32_t> field_ends{0};
  std::vector<uint8_t> fields;

  size_t rows() const noexcept { return epoch.size(); }
  size_t size() const noexcept { return device.size() + timestamp.size() + 20 * rows() + fields.size(); }
  void clear() {
    device.clear();
    timestamp.clear();
    epoch.clear();
    sequence.clear();
    field_ends.assign(1, 0);
    fields.clear();
  }
};

// What an event gets that does not say it itself.
struct EventDefaults {
  std::string_view device;
  int64_t epoch;
  int64_t sequence;  // of the next event that has none; counts on
  std::string_view now;
};

class EventColumns {
 public:
  explicit EventColumns(size_t limit) noexcept : limit_(limit) {}

  size_t rows() const noexcept { return tables_[0].rows() + tables_[1].rows(); }
  bool full() const noexcept { return full_; }
  const EventTable& table(bool high) const noexcept { return tables_[high]; }

  // False, and nothing added, if the event would take more than a task may.
  bool append(std::string_view device, int64_t epoch, int64_t sequence, std::string_view timestamp, Bytes fields,
              bool high) {
    if (device.size() + timestamp.size() + fields.size > kMaxTask - kRowExtra) return false;
    EventTable& table = tables_[high];
    table.device.append(device);
    table.epoch.push_back(epoch);
    table.sequence.push_back(sequence);
    table.timestamp.append(timestamp);
    table.fields.insert(table.fields.end(), fields.data, fields.data + fields.size);
    table.field_ends.push_back(static_cast<uint32_t>(table.fields.size()));
    full_ = full_ || table.size() >= limit_ || table.rows() == kMaxColumnRows;
    return true;
  }

  // Takes the lines from `start` on; empty ones are left out. Returns where it ended: behind the lines, behind the
  // event that filled the columns, or at the first line that the reader leaves to its caller.
  template <typename Reader>
  size_t read(Reader& reader, std::string_view data, size_t start, EventDefaults& defaults) {
    Event event;
    while (start < data.size() && !full_) {
      const size_t stop = std::min(data.find('\n', start), data.size());
      const std::string_view line = stripped(data.substr(start, stop - start));
      if (!line.empty() && !reader.skips(line)) {
        if (line.size() > kMaxLine || !reader.read(line, event) || !take(event, defaults)) return start;
      }
      start = std::min(stop + 1, data.size());
    }
    return start;
  }

  void clear() {
    for (EventTable& table : tables_) table.clear();
    full_ = false;
  }

 private:
  static constexpr size_t kRowExtra = 64;  // of a row: its numbers and headers

  static bool is_space(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }
  static std::string_view stripped(std::string_view line) noexcept {
    while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
    while (!line.empty() && is_space(line.back())) line.remove_suffix(1);
    return line;
  }

  bool take(const Event& event, EventDefaults& defaults) {
    const std::string_view device = event.device.empty() ? defaults.device : event.device;
    if (device.empty() || (!event.has_sequence && defaults.sequence == INT64_MAX)) return false;
    const int64_t epoch = event.has_epoch ? event.epoch : event.has_sequence ? 0 : defaults.epoch;
    const int64_t sequence = event.has_sequence ? event.sequence : defaults.sequence;
    const std::string_view timestamp = event.timestamp.empty() ? defaults.now : event.timestamp;
    if (!append(device, epoch, sequence, timestamp, event.fields, event.high)) return false;
    if (!event.has_sequence) ++defaults.sequence;
    return true;
  }

  size_t limit_;
  bool full_ = false;
  EventTable tables_[2];
};

}  // namespace ttp
