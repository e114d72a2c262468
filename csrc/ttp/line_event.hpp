// Reads an event from a line of Influx line protocol: `measurement,tag=value field=1.5,other=2i 1700000000000000000`.
//
// The device is the tag device, device_id or host, else the measurement; fields are named `measurement.field`, other
// tags `tag.name`; tags epoch and sequence number an event. Left to the caller: what is none, two tags or two fields
// of one name, more than 64 of them, numbers that are not finite or not normal, dates beyond the years 1 to 9999.
#pragma once

#include "ttp/event.hpp"

namespace ttp {

class LineEventReader {
 public:
  // per_second: what timestamps count, a power of 1000 from 1 to 10^9.
  explicit LineEventReader(int64_t per_second) noexcept : per_second_(per_second) {}

  static bool skips(std::string_view line) noexcept { return line.front() == '#'; }

  // False leaves the line to the caller. The event points into the line and into this reader.
  bool read(std::string_view line, Event& event) {
    if (!is_utf8(line)) return false;
    event = Event();
    at_ = line.data();
    end_ = at_ + line.size();
    scratch_.begin(line.size() + kTimestamp);
    tags_ = 0;
    std::string_view measurement;
    if (!name(", ", measurement)) return false;
    while (take(','))
      if (!tag()) return false;
    if (!take(' ')) return false;
    size_t count = 0;
    do {
      if (!field(measurement)) return false;
      ++count;
    } while (take(','));
    if (!stamp(event) || !own_tags(measurement, event, count)) return false;
    const ByteWriter& out = scratch_.values();
    return scratch_.write_map<1>(count, {Bytes{out.data(), out.size()}}, event.fields);
  }

 private:
  static constexpr size_t kTimestamp = 32;  // at most, as ISO 8601
  static constexpr std::string_view kUtc = "+00:00";

  struct Tag {
    std::string_view name, value;
  };

  bool take(char c) noexcept {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  // Text up to an unescaped end; a backslash before one of `,= ` takes it literally.
  bool name(std::string_view ends, std::string_view& text) noexcept {
    const char* const first = at_;
    bool escaped = false;
    while (at_ != end_ && *at_ != ' ' && ends.find(*at_) == std::string_view::npos) {
      if (escapes(",= ")) {
        escaped = true;
        ++at_;
      }
      ++at_;
    }
    text = {first, static_cast<size_t>(at_ - first)};
    return !text.empty() && (!escaped || unescaped(",= ", text));
  }

  bool escapes(std::string_view which) const noexcept {
    return *at_ == '\\' && end_ - at_ > 1 && which.find(at_[1]) != std::string_view::npos;
  }

  bool unescaped(std::string_view which, std::string_view& text) noexcept {
    char* const begin = scratch_.room(text.size());
    if (begin == nullptr) return false;
    char* to = begin;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\\' && i + 1 < text.size() && which.find(text[i + 1]) != std::string_view::npos) ++i;
      *to++ = text[i];
    }
    text = scratch_.keep(static_cast<size_t>(to - begin));
    return true;
  }

  bool tag() noexcept {
    if (tags_ == kMaxFields) return false;
    Tag& tag = all_tags_[tags_];
    if (!name("=", tag.name) || !take('=') || !name(", ", tag.value)) return false;
    for (size_t i = 0; i < tags_; ++i)
      if (all_tags_[i].name == tag.name) return false;
    ++tags_;
    return true;
  }

  // A field's or a tag's name, after `prefix` and a dot, as the key of the value that follows.
  bool key(std::string_view prefix, std::string_view text) noexcept {
    return scratch_.add_name(prefix, text) && scratch_.write_key();
  }

  bool field(std::string_view measurement) {
    std::string_view text;
    if (!name("=", text) || !take('=') || !key(measurement, text)) return false;
    ByteWriter& out = scratch_.values();
    if (at_ != end_ && *at_ == '"') return quoted(text) && msgpack::write_str(out, text.data(), text.size());
    const char* const first = at_;
    while (at_ != end_ && *at_ != ',' && *at_ != ' ') ++at_;
    return value({first, static_cast<size_t>(at_ - first)});
  }

  bool quoted(std::string_view& text) noexcept {
    const char* const first = ++at_;
    bool escaped = false;
    while (at_ != end_ && *at_ != '"') {
      if (escapes("\"\\")) {
        escaped = true;
        ++at_;
      }
      ++at_;
    }
    if (at_ == end_) return false;
    text = {first, static_cast<size_t>(at_++ - first)};
    if (at_ != end_ && *at_ != ',' && *at_ != ' ') return false;
    return !escaped || unescaped("\"\\", text);
  }

  bool value(std::string_view token) {
    ByteWriter& out = scratch_.values();
    if (token.empty()) return false;
    for (const char* word : {"t", "T", "true", "True", "TRUE"})
      if (token == word) return msgpack::write_bool(out, true);
    for (const char* word : {"f", "F", "false", "False", "FALSE"})
      if (token == word) return msgpack::write_bool(out, false);
    if (token.back() == 'i' || token.back() == 'u') {
      int64_t whole;
      return integer(token.substr(0, token.size() - 1), whole) && msgpack::write_int(out, whole);
    }
    if (token.front() == '+' && token.substr(1, 1) != "-") token.remove_prefix(1);
    double number;
    return is_decimal(token) && read_float(token, number) && msgpack::write_float(out, number);
  }

  static bool integer(std::string_view token, int64_t& value) noexcept {
    if (!token.empty() && token.front() == '+' && token.substr(1, 1) != "-") token.remove_prefix(1);
    return read_integer(token, value);
  }

  static bool is_decimal(std::string_view token) noexcept {
    size_t at = token.substr(0, 1) == "-" ? 1 : 0;
    const auto digits = [&] {
      const size_t first = at;
      while (at < token.size() && is_digit(token[at])) ++at;
      return at - first;
    };
    size_t count = digits();
    if (at < token.size() && token[at] == '.') {
      ++at;
      count += digits();
    }
    if (count == 0) return false;
    if (at < token.size() && (token[at] == 'e' || token[at] == 'E')) {
      ++at;
      if (at < token.size() && (token[at] == '+' || token[at] == '-')) ++at;
      if (digits() == 0) return false;
    }
    return at == token.size();
  }

  bool stamp(Event& event) noexcept {
    while (take(' ')) {
    }
    if (at_ == end_) return true;
    int64_t count;
    if (!integer({at_, static_cast<size_t>(end_ - at_)}, count)) return false;
    constexpr int64_t kMicro = 1'000'000;
    int64_t micros;
    if (per_second_ > kMicro) {
      const int64_t step = per_second_ / kMicro;
      micros = count / step - (count % step < 0 ? 1 : 0);
    } else {
      const int64_t step = kMicro / per_second_;
      if (count < kYear1 / step || count > kYear10000 / step) return false;
      micros = count * step;
    }
    if (micros < kYear1 || micros >= kYear10000) return false;
    char* const to = scratch_.room(kTimestamp);
    if (to == nullptr) return false;
    event.timestamp = scratch_.keep(written(micros, to));
    return true;
  }

  static constexpr int64_t kYear1 = -62'135'596'800'000'000;  // microseconds since 1970
  static constexpr int64_t kYear10000 = 253'402'300'800'000'000;

  // ISO 8601 in UTC, the fraction only where there is one.
  static size_t written(int64_t micros, char* const begin) noexcept {
    constexpr int64_t kDay = 86'400'000'000;
    const int64_t since_year_1 = micros - kYear1;
    const int64_t in_day = since_year_1 % kDay;
    int64_t days = since_year_1 / kDay;   // since 0001-01-01
    const int64_t eras = days / 146'097;  // of 400 years
    days %= 146'097;
    int64_t year = eras * 400 + 1;
    const int64_t centuries = std::min<int64_t>(days / 36'524, 3);
    days -= centuries * 36'524;
    const int64_t fours = days / 1461;
    days %= 1461;
    const int64_t years = std::min<int64_t>(days / 365, 3);
    days -= years * 365;
    year += centuries * 100 + fours * 4 + years;
    int month = 1;
    for (; days >= days_in(static_cast<int>(year), month); ++month) days -= days_in(static_cast<int>(year), month);
    char* to = begin;
    const auto put = [&](int64_t number, int width, char behind) {
      for (int i = width - 1; i >= 0; --i, number /= 10) to[i] = static_cast<char>('0' + number % 10);
      to += width;
      *to++ = behind;
    };
    put(year, 4, '-');
    put(month, 2, '-');
    put(days + 1, 2, 'T');
    put(in_day / 3'600'000'000, 2, ':');
    put(in_day / 60'000'000 % 60, 2, ':');
    put(in_day / 1'000'000 % 60, 2, '.');
    if (const int64_t fraction = in_day % 1'000'000) put(fraction, 6, '+');
    --to;  // the character behind
    std::memcpy(to, kUtc.data(), kUtc.size());
    return static_cast<size_t>(to - begin) + kUtc.size();
  }

  // Takes the device and the numbers out of the tags, and adds the others to the fields.
  bool own_tags(std::string_view measurement, Event& event, size_t& count) noexcept {
    event.device = measurement;
    const Tag* device = nullptr;
    for (const char* wanted : {"host", "device_id", "device"})
      for (size_t i = 0; i < tags_; ++i)
        if (all_tags_[i].name == wanted) device = &all_tags_[i];
    if (device != nullptr) event.device = device->value;
    for (size_t i = 0; i < tags_; ++i) {
      const Tag& tag = all_tags_[i];
      if (&tag == device) continue;
      if (tag.name == "epoch") {
        if (!(event.has_epoch = integer(tag.value, event.epoch))) return false;
      } else if (tag.name == "sequence") {
        if (!(event.has_sequence = integer(tag.value, event.sequence))) return false;
      } else {
        if (!key("tag", tag.name)) return false;
        if (!msgpack::write_str(scratch_.values(), tag.value.data(), tag.value.size())) return false;
        ++count;
      }
    }
    return true;
  }

  EventScratch scratch_;
  int64_t per_second_;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  std::array<Tag, kMaxFields> all_tags_;
  size_t tags_ = 0;
};

}  // namespace ttp
