// Reads an event from a JSON object: in the dialect of TelemetryHub, or with fields of its own.
//
// Objects inside are flattened (`metadata.location`). Left to the caller: what is no JSON object or no event, lists,
// objects in which two members have one flattened name (objects included) or that name a thing twice (`device` and
// `device_id`), objects without a name, more than 64 members or 8 levels, timestamps of other forms than
// `is_timestamp`'s, integers beyond 64 bits, floats that are not normal, halves of surrogate pairs.
#pragma once

#include "ttp/event.hpp"

namespace ttp {

class JsonEventReader {
 public:
  static bool skips(std::string_view) noexcept { return false; }

  // False leaves the line to the caller. The event points into the line and into this reader.
  bool read(std::string_view line, Event& event) {
    if (line.empty() || line.front() != '{' || !is_utf8(line)) return false;
    event = Event();
    at_ = line.data();
    end_ = at_ + line.size();
    scratch_.begin(line.size());
    said_ = 0;
    fields_ = 0;
    type_ = value_ = Place();
    if (!object(kNone, 0, event) || at_ != end_) return false;
    return finish(event);
  }

 private:
  static constexpr int kMaxLevels = 8;
  static constexpr size_t kNone = SIZE_MAX;
  enum Said : unsigned { kDevice = 1, kSequence = 2, kEpoch = 4, kTimestamp = 8 };

  // Where a top-level member lies in the scratch, and whether its value is as an event's type or value must be.
  struct Place {
    size_t name = kNone, begin = 0, value = 0, end = 0;
    bool fits = false;
  };

  void skip() noexcept {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\r' || *at_ == '\n')) ++at_;
  }
  bool take(char c) noexcept {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view text) noexcept {
    if (static_cast<size_t>(end_ - at_) < text.size() || std::memcmp(at_, text.data(), text.size()) != 0) return false;
    at_ += text.size();
    return true;
  }

  // `prefix` is the number of the object's own name. Members up to and with the closing brace; the opening one is next.
  bool object(size_t prefix, int level, Event& event) {
    if (level > kMaxLevels) return false;
    ++at_;
    skip();
    if (take('}')) return true;
    do {
      skip();
      std::string_view name;
      if (!string(name)) return false;
      skip();
      if (!take(':')) return false;
      skip();
      if (!(level == 0 ? member(name, event) : field(prefix, name, level, event))) return false;
      skip();
    } while (take(','));
    return take('}');
  }

  bool member(std::string_view name, Event& event) {
    switch (name.size()) {
      case 3:
        if (name == "seq") return sequence(event);
        break;
      case 4:
        if (name == "type") return placed(type_, name, event);
        break;
      case 5:
        if (name == "value") return placed(value_, name, event);
        if (name == "epoch") return say(kEpoch) && (event.has_epoch = integer(event.epoch));
        break;
      case 6:
        if (name == "device") return say(kDevice) && string(event.device) && !event.device.empty();
        break;
      case 8:
        if (name == "sequence") return sequence(event);
        break;
      case 9:
        if (name == "device_id") return say(kDevice) && string(event.device) && !event.device.empty();
        if (name == "timestamp") return say(kTimestamp) && string(event.timestamp) && is_timestamp(event.timestamp);
        break;
      case 11:
        if (name == "sequence_id") return sequence(event);
        break;
      default: break;
    }
    return field(kNone, name, 0, event);
  }

  bool say(Said what) noexcept {
    const bool first = (said_ & what) == 0;
    said_ |= what;
    return first;
  }
  bool sequence(Event& event) { return say(kSequence) && (event.has_sequence = integer(event.sequence)); }

  bool placed(Place& place, std::string_view name, Event& event) {
    place.name = scratch_.size();
    place.begin = scratch_.values().size();
    const char* const from = at_;
    if (!field(kNone, name, 0, event)) return false;
    place.end = scratch_.values().size();
    place.value = place.begin + 1 + name.size();  // behind the key: both names are short
    place.fits = &place == &type_ ? *from == '"' && place.end > place.value + 1 : *from != '"' && *from != '{';
    return true;
  }

  bool field(size_t prefix, std::string_view name, int level, Event& event) {
    if (!scratch_.add_name(prefix == kNone ? std::string_view() : scratch_.text(prefix), name)) return false;
    ByteWriter& out = scratch_.values();
    if (at_ == end_) return false;
    if (*at_ == '{') return !name.empty() && object(scratch_.size() - 1, level + 1, event);
    if (!scratch_.write_key()) return false;
    ++fields_;
    switch (*at_) {
      case '"': {
        std::string_view text;
        if (!string(text)) return false;
        if (prefix == kNone && name == "priority") event.high = text == "HIGH";
        return msgpack::write_str(out, text.data(), text.size());
      }
      case 't': return word("true") && msgpack::write_bool(out, true);
      case 'f': return word("false") && msgpack::write_bool(out, false);
      case 'n': return word("null") && msgpack::write_nil(out);
      default: return number(out);
    }
  }

  // The end of the number that is next, or nullptr.
  const char* number_end(bool& whole) const noexcept {
    const char* at = at_;
    const auto digits = [&] {
      const char* const first = at;
      while (at != end_ && is_digit(*at)) ++at;
      return at != first;
    };
    whole = true;
    if (at != end_ && *at == '-') ++at;
    if (at != end_ && *at == '0')
      ++at;
    else if (!digits())
      return nullptr;
    if (at != end_ && *at == '.') {
      whole = false;
      ++at;
      if (!digits()) return nullptr;
    }
    if (at != end_ && (*at == 'e' || *at == 'E')) {
      whole = false;
      ++at;
      if (at != end_ && (*at == '+' || *at == '-')) ++at;
      if (!digits()) return nullptr;
    }
    return at;
  }

  bool integer(int64_t& value) noexcept {
    bool whole;
    const char* const end = number_end(whole);
    if (end == nullptr || !whole || !read_integer({at_, static_cast<size_t>(end - at_)}, value)) return false;
    at_ = end;
    return true;
  }

  bool number(ByteWriter& out) {
    bool whole;
    const char* const end = number_end(whole);
    if (end == nullptr) return false;
    const std::string_view text(at_, static_cast<size_t>(end - at_));
    at_ = end;
    if (whole) {
      int64_t value;
      return read_integer(text, value) && msgpack::write_int(out, value);
    }
    double value;
    return read_float(text, value) && msgpack::write_float(out, value);
  }

  bool string(std::string_view& text) noexcept {
    if (!take('"')) return false;
    const char* const first = at_;
    at_ = plain_end(at_, end_);
    if (at_ == end_ || static_cast<unsigned char>(*at_) < 0x20) return false;
    if (*at_ == '"') {
      text = {first, static_cast<size_t>(at_++ - first)};
      return true;
    }
    return unescape(first, text);
  }

  // The first quote, backslash or control character, or the end. Eight characters a step: in a word of them, what
  // the subtractions mark is exact up to the lowest mark, and borrows run upwards from there.
  static const char* plain_end(const char* at, const char* end) noexcept {
    constexpr uint64_t kOnes = 0x0101010101010101;
    const auto below = [](uint64_t word, uint64_t least) { return (word - kOnes * least) & ~word; };
    for (; end - at >= 8; at += 8) {
      const auto word = detail::load_le<uint64_t>(reinterpret_cast<const uint8_t*>(at));
      const uint64_t marks =
          (below(word, 0x20) | below(word ^ kOnes * '"', 1) | below(word ^ kOnes * '\\', 1)) & kOnes << 7;
      if (marks != 0) return at + ((((marks & -marks) - 1) & kOnes) * kOnes >> 56) - 1;
    }
    while (at != end && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) ++at;
    return at;
  }

  bool unescape(const char* first, std::string_view& text) noexcept {
    char* const begin = scratch_.room(static_cast<size_t>(end_ - first));
    if (begin == nullptr) return false;
    char* to = begin;
    at_ = first;
    while (at_ != end_ && *at_ != '"') {
      const char c = *at_++;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c != '\\') {
        *to++ = c;
        continue;
      }
      if (at_ == end_) return false;
      switch (*at_++) {
        case '"': *to++ = '"'; break;
        case '\\': *to++ = '\\'; break;
        case '/': *to++ = '/'; break;
        case 'b': *to++ = '\b'; break;
        case 'f': *to++ = '\f'; break;
        case 'n': *to++ = '\n'; break;
        case 'r': *to++ = '\r'; break;
        case 't': *to++ = '\t'; break;
        case 'u':
          if (!code_point(to)) return false;
          break;
        default: return false;
      }
    }
    if (at_ == end_) return false;
    ++at_;
    text = scratch_.keep(static_cast<size_t>(to - begin));
    return true;
  }

  bool hex(uint32_t& code) noexcept {
    if (end_ - at_ < 4) return false;
    code = 0;
    for (int i = 0; i < 4; ++i) {
      const char c = *at_++;
      const int lower = c | 0x20;
      const int digit = is_digit(c) ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
      if (digit < 0) return false;
      code = code << 4 | static_cast<uint32_t>(digit);
    }
    return true;
  }

  // After \u: at most as many bytes of UTF-8 as the escape has.
  bool code_point(char*& to) noexcept {
    uint32_t code;
    if (!hex(code)) return false;
    if (code >= 0xd800 && code < 0xe000) {
      uint32_t low;
      if (code >= 0xdc00 || !word("\\u") || !hex(low) || low < 0xdc00 || low >= 0xe000) return false;
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    const auto put = [&](uint32_t byte) { *to++ = static_cast<char>(byte); };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xc0 | code >> 6);
      put(0x80 | (code & 63));
    } else if (code < 0x10000) {
      put(0xe0 | code >> 12);
      put(0x80 | (code >> 6 & 63));
      put(0x80 | (code & 63));
    } else {
      put(0xf0 | code >> 18);
      put(0x80 | (code >> 12 & 63));
      put(0x80 | (code >> 6 & 63));
      put(0x80 | (code & 63));
    }
    return true;
  }

  // `type` and `value` together are one field, the first: the value under the type's name.
  bool finish(Event& event) noexcept {
    ByteWriter& out = scratch_.values();
    const auto part = [&](size_t begin, size_t end) { return Bytes{out.data() + begin, end - begin}; };
    if (type_.name == kNone || value_.name == kNone)
      return scratch_.write_map<1>(fields_, {part(0, out.size())}, event.fields);
    if (!type_.fits || !value_.fits) return false;
    msgpack::Token kind{};
    if (!msgpack::Reader(out.data() + type_.value, type_.end - type_.value).next(kind) ||
        kind.type != msgpack::Type::Str)
      return false;
    const std::string_view named(reinterpret_cast<const char*>(kind.data), kind.size);
    for (size_t i = 0; i < scratch_.size(); ++i)
      if (i != type_.name && i != value_.name && scratch_.text(i) == named) return false;
    const Place& first = type_.begin < value_.begin ? type_ : value_;
    const Place& second = type_.begin < value_.begin ? value_ : type_;
    return scratch_.write_map<5>(fields_ - 1,
                                 {part(type_.value, type_.end), part(value_.value, value_.end), part(0, first.begin),
                                  part(first.end, second.begin), part(second.end, out.size())},
                                 event.fields);
  }

  EventScratch scratch_;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  unsigned said_ = 0;
  size_t fields_ = 0;
  Place type_, value_;
};

}  // namespace ttp
