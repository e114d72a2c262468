// One telemetry event that was read from a line, and what the readers of lines have in common.
//
// A reader takes the plain lines of its format and leaves all others to its caller, who knows how to read them or
// says what is wrong with them: what a reader takes, it takes as that caller would. May throw std::bad_alloc.
#pragma once

#include "ttp/frame.hpp"
#include "ttp/msgpack.hpp"
#include "ttp/text.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <locale>
#include <sstream>
#include <string>
#include <vector>

namespace ttp {

constexpr size_t kMaxLine = size_t{64} * 1024;
constexpr size_t kMaxFields = 64;  // of an event in a plain line

struct Event {
  std::string_view device;     // empty: not said
  std::string_view timestamp;  // ISO 8601; empty: not said
  bool has_epoch = false;
  bool has_sequence = false;
  bool high = false;  // its field `priority` is HIGH
  int64_t epoch = 0;
  int64_t sequence = 0;
  Bytes fields;  // a MessagePack map
};

// The fields of the event that is being read, and the texts of its line that needed another form.
class EventScratch {
 public:
  EventScratch() : names_(kMaxTask), fields_(kMaxTask), map_(kMaxTask) {}

  // Begins the next event. A line's texts together are no longer than the line.
  void begin(size_t line) {
    if (texts_.size() < line) texts_.resize(line);
    text_ = 0;
    fields_.truncate(0);
    expected_ = size_;
    size_ = 0;
  }

  ByteWriter& values() noexcept { return fields_; }
  size_t size() const noexcept { return size_; }

  // Room for a text of at most `size` bytes, of which keep() takes those that were needed.
  char* room(size_t size) noexcept { return size <= texts_.size() - text_ ? texts_.data() + text_ : nullptr; }
  std::string_view keep(size_t size) noexcept {
    const std::string_view text(texts_.data() + text_, size);
    text_ += size;
    return text;
  }

  struct Name {
    size_t at, size;
  };

  // A new name, after `prefix` and a dot where there is one. False if there is one like it, or no room.
  //
  // Events mostly have the names of the event before, in its order: as long as they do, they are there already,
  // and are known to be distinct.
  bool add_name(std::string_view prefix, std::string_view text) noexcept {
    if (size_ < expected_) {
      if (is_joined(this->text(size_), prefix, text)) {
        ++size_;
        return true;
      }
      expected_ = 0;
    }
    if (size_ == kMaxFields) return false;
    names_.truncate(size_ == 0 ? 0 : all_[size_ - 1].at + all_[size_ - 1].size);
    const size_t dot = prefix.empty() ? 0 : 1;
    const Name name{names_.size(), prefix.size() + dot + text.size()};
    // The prefix may be one of the names, which move when there is no room for another.
    const bool own = !prefix.empty() && prefix.data() >= data() && prefix.data() < data() + names_.size();
    const size_t from = own ? static_cast<size_t>(prefix.data() - data()) : 0;
    uint8_t* to = names_.extend(name.size);
    if (to == nullptr) return false;
    if (dot != 0) {
      std::memcpy(to, own ? data() + from : prefix.data(), prefix.size());
      to[prefix.size()] = '.';
      to += prefix.size() + 1;
    }
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    for (size_t i = 0; i < size_; ++i)
      if (this->text(i) == std::string_view(data() + name.at, name.size)) return false;
    all_[size_++] = name;
    return true;
  }

  std::string_view text(size_t i) const noexcept { return {data() + all_[i].at, all_[i].size}; }

  // The last name, as the key of the value that follows.
  bool write_key() noexcept {
    const std::string_view key = text(size_ - 1);
    return msgpack::write_str(fields_, key.data(), key.size());
  }

  // The map of `count` fields that lie in parts of values().
  template <size_t N>
  bool write_map(size_t count, const std::array<Bytes, N>& parts, Bytes& map) noexcept {
    map_.truncate(0);
    if (count == 0 || !msgpack::write_map(map_, count)) return false;
    for (const Bytes& part : parts)
      if (!map_.append(part.data, part.size)) return false;
    map = {map_.data(), map_.size()};
    return true;
  }

 private:
  static bool is_joined(std::string_view name, std::string_view prefix, std::string_view text) noexcept {
    if (prefix.empty()) return name == text;
    const size_t dot = prefix.size();
    return name.size() == dot + 1 + text.size() && name.substr(0, dot) == prefix && name[dot] == '.' &&
           name.substr(dot + 1) == text;
  }

  const char* data() const noexcept { return reinterpret_cast<const char*>(names_.data()); }

  std::vector<char> texts_;
  size_t text_ = 0;
  ByteWriter names_, fields_, map_;
  std::array<Name, kMaxFields> all_;
  size_t size_ = 0;
  size_t expected_ = 0;  // names of the event before; 0 once there is another
};

inline bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// Digits to a number; false if there are none, too many, or others.
inline bool read_digits(std::string_view text, uint64_t& value) noexcept {
  value = 0;
  if (text.empty() || text.size() > 19) return false;  // 19 nines fit 64 bits
  for (const char c : text) {
    if (!is_digit(c)) return false;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return true;
}

inline bool read_integer(std::string_view text, int64_t& value) noexcept {
  const bool negative = !text.empty() && text[0] == '-';
  uint64_t digits;
  if (!read_digits(text.substr(negative ? 1 : 0), digits)) return false;
  if (digits > uint64_t{INT64_MAX} + (negative ? 1 : 0)) return false;
  value = static_cast<int64_t>(negative ? 0 - digits : digits);
  return true;
}

// A decimal number whose form was checked; false where it is no normal float, for underflow and overflow.
inline bool read_float(std::string_view text, double& value) {
#if defined(__cpp_lib_to_chars) && __cpp_lib_to_chars >= 201611L
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return false;
#else
  std::istringstream in{std::string(text)};
  in.imbue(std::locale::classic());
  if (!(in >> value) || in.peek() != std::istringstream::traits_type::eof()) return false;
#endif
  if (!std::isfinite(value)) return false;
  if (std::fabs(value) >= std::numeric_limits<double>::min()) return true;
  if (value != 0) return false;
  for (const char c : text) {
    if (c == 'e' || c == 'E') break;
    if (c >= '1' && c <= '9') return false;
  }
  return true;
}

inline int days_in(int year, int month) noexcept {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29 : kDays[month - 1];
}

// Whether it is YYYY-MM-DD, perhaps with T or a space and HH:MM or HH:MM:SS or HH:MM:SS.FFF…, perhaps with Z or
// ±HH:MM, and such a date and time exist.
inline bool is_timestamp(std::string_view text) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto pair = [&](int most) {  // two digits
    if (end - at < 2 || !is_digit(at[0]) || !is_digit(at[1])) return -1;
    const int value = (at[0] - '0') * 10 + (at[1] - '0');
    at += 2;
    return value <= most ? value : -1;
  };
  const auto sign = [&](char c) {
    if (at == end || *at != c) return false;
    ++at;
    return true;
  };
  const int century = pair(99), years = pair(99);
  if (century < 0 || years < 0 || century + years == 0 || !sign('-')) return false;
  const int month = pair(12);
  if (month < 1 || !sign('-')) return false;
  const int day = pair(31);
  if (day < 1 || day > days_in(century * 100 + years, month)) return false;
  if (at == end) return true;
  if (!sign('T') && !sign(' ')) return false;
  if (pair(23) < 0 || !sign(':') || pair(59) < 0) return false;
  if (sign(':')) {
    if (pair(59) < 0) return false;
    if (sign('.')) {
      const char* const first = at;
      while (at != end && is_digit(*at)) ++at;
      if (at == first) return false;
    }
  }
  if (sign('Z')) return at == end;
  if (sign('+') || sign('-')) return pair(23) >= 0 && sign(':') && pair(59) >= 0 && at == end;
  return at == end;
}

}  // namespace ttp
