// Bounds-checked reading and writing of bytes.
//
// Nothing here throws or blocks; a failed operation returns false (or nullptr) and changes nothing.
// Not thread-safe: a cursor belongs to one caller.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>

namespace ttp {

namespace detail {

// Shifts instead of casts: right on every host, and one instruction after optimisation.
template <typename T>
inline void store_le(uint8_t* to, T value) noexcept {
  static_assert(std::is_unsigned_v<T>, "store the two's complement");
  for (size_t i = 0; i < sizeof(T); ++i) to[i] = static_cast<uint8_t>(value >> (8 * i));
}

template <typename T>
inline T load_le(const uint8_t* from) noexcept {
  static_assert(std::is_unsigned_v<T>, "load the two's complement");
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value | (static_cast<T>(from[i]) << (8 * i)));
  return value;
}

template <typename T>
inline void store_be(uint8_t* to, T value) noexcept {
  static_assert(std::is_unsigned_v<T>, "store the two's complement");
  for (size_t i = 0; i < sizeof(T); ++i) to[sizeof(T) - 1 - i] = static_cast<uint8_t>(value >> (8 * i));
}

template <typename T>
inline T load_be(const uint8_t* from) noexcept {
  static_assert(std::is_unsigned_v<T>, "load the two's complement");
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i)
    value = static_cast<T>(value | (static_cast<T>(from[sizeof(T) - 1 - i]) << (8 * i)));
  return value;
}

}  // namespace detail

// Reads forward through memory that somebody else owns.
class ByteReader {
 public:
  ByteReader() noexcept = default;
  ByteReader(const uint8_t* data, size_t size) noexcept : at_(data), end_(data + size) {}

  size_t remaining() const noexcept { return static_cast<size_t>(end_ - at_); }
  const uint8_t* position() const noexcept { return at_; }

  // The next `size` bytes, or nullptr if fewer remain.
  const uint8_t* take(size_t size) noexcept {
    if (size > remaining()) return nullptr;
    const uint8_t* from = at_;
    at_ += size;
    return from;
  }

  template <typename T>
  bool read_be(T& value) noexcept {
    const uint8_t* from = take(sizeof(T));
    if (from == nullptr) return false;
    value = detail::load_be<T>(from);
    return true;
  }

  template <typename T>
  bool read_le(T& value) noexcept {
    const uint8_t* from = take(sizeof(T));
    if (from == nullptr) return false;
    value = detail::load_le<T>(from);
    return true;
  }

 private:
  const uint8_t* at_ = nullptr;
  const uint8_t* end_ = nullptr;
};

// Appends to a buffer that begins inside the object (no allocation for small rows) and then grows on the
// heap, up to a limit. Once an append was refused for want of room the writer is `full`.
class ByteWriter {
 public:
  explicit ByteWriter(size_t limit) noexcept
      : begin_(small_), at_(small_), end_(small_ + (limit < kSmall ? limit : kSmall)), limit_(limit) {}
  ~ByteWriter() {
    if (begin_ != small_) std::free(begin_);
  }
  ByteWriter(const ByteWriter&) = delete;
  ByteWriter& operator=(const ByteWriter&) = delete;

  const uint8_t* data() const noexcept { return begin_; }
  uint8_t* data() noexcept { return begin_; }
  size_t size() const noexcept { return static_cast<size_t>(at_ - begin_); }
  bool full() const noexcept { return full_; }

  // Forgets everything after the first `size` bytes.
  void truncate(size_t size) noexcept {
    at_ = begin_ + size;
    full_ = false;
  }

  // Room for `size` more bytes, which the caller fills at once; nullptr beyond the limit.
  uint8_t* extend(size_t size) noexcept {
    if (size > static_cast<size_t>(end_ - at_) && !grow(size)) return nullptr;
    uint8_t* to = at_;
    at_ += size;
    return to;
  }

  bool append(const void* from, size_t size) noexcept {
    uint8_t* to = extend(size);
    if (to == nullptr) return false;
    if (size != 0) std::memcpy(to, from, size);
    return true;
  }

  template <typename T>
  bool append_le(T value) noexcept {
    uint8_t* to = extend(sizeof(T));
    if (to != nullptr) detail::store_le(to, value);
    return to != nullptr;
  }

 private:
  static constexpr size_t kSmall = 1024;

  bool grow(size_t more) noexcept {
    const size_t used = size();
    if (more > limit_ - used) {
      full_ = true;
      return false;
    }
    const size_t capacity = std::min(std::max(static_cast<size_t>(end_ - begin_) * 2, used + more), limit_);
    auto* bigger = static_cast<uint8_t*>(begin_ == small_ ? std::malloc(capacity) : std::realloc(begin_, capacity));
    if (bigger == nullptr) {
      full_ = true;
      return false;
    }
    if (begin_ == small_) std::memcpy(bigger, small_, used);
    begin_ = bigger;
    at_ = bigger + used;
    end_ = bigger + capacity;
    return true;
  }

  uint8_t* begin_;
  uint8_t* at_;
  uint8_t* end_;
  size_t limit_;
  bool full_ = false;
  uint8_t small_[kSmall];  // last, and not cleared: it costs nothing until used
};

}  // namespace ttp
