// Events as columns on their way into a frame, straight from the lines they came in.
//
// Allocates and so may throw std::bad_alloc; does not block. Not thread-safe.
#pragma once

#include "ttp/column.hpp"
#include "ttp/event.hpp"
#include "ttp/text_column.hpp"

#include <vector>

namespace ttp {

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
  int64_t sequence;      // of the next event that has none; counts on
  std::string_view now;  // empty: an event has to say it
  bool by_line = false;  // the sequence counts lines instead
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
    while (start < data.size() && !full_ && !(defaults.by_line && defaults.sequence == INT64_MAX)) {
      const size_t stop = std::min(data.find('\n', start), data.size());
      const std::string_view line = stripped(data.substr(start, stop - start));
      if (!line.empty() && !reader.skips(line)) {
        if (line.size() > kMaxLine || !reader.read(line, event) || !take(event, defaults)) return start;
      }
      if (defaults.by_line) ++defaults.sequence;
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
    if (timestamp.empty()) return false;
    if (!append(device, epoch, sequence, timestamp, event.fields, event.high)) return false;
    if (!event.has_sequence && !defaults.by_line) ++defaults.sequence;
    return true;
  }

  size_t limit_;
  bool full_ = false;
  EventTable tables_[2];
};

}  // namespace ttp
