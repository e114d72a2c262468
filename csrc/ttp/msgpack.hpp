// MessagePack: writes every value in its shortest form, reads every valid form.
//
// The reader is a tokenizer. It counts the values that array and map headers promise, and refuses a header
// that promises more values than bytes remain, so whoever allocates by its lengths allocates no more than a
// small multiple of the input. Nothing here throws, blocks or allocates (but for the ByteWriter's growth).
#pragma once

#include "ttp/byte_cursor.hpp"

#include <cstring>

namespace ttp::msgpack {

inline bool write_byte(ByteWriter& out, uint8_t byte) noexcept {
  uint8_t* to = out.extend(1);
  if (to != nullptr) *to = byte;
  return to != nullptr;
}

namespace detail {

template <typename T>
inline bool write_tagged(ByteWriter& out, uint8_t tag, T value) noexcept {
  uint8_t* to = out.extend(1 + sizeof(T));
  if (to == nullptr) return false;
  to[0] = tag;
  ttp::detail::store_be(to + 1, value);
  return true;
}

}  // namespace detail

inline bool write_nil(ByteWriter& out) noexcept { return write_byte(out, 0xc0); }
inline bool write_bool(ByteWriter& out, bool value) noexcept { return write_byte(out, value ? 0xc3 : 0xc2); }

inline bool write_uint(ByteWriter& out, uint64_t value) noexcept {
  if (value < 0x80) return write_byte(out, static_cast<uint8_t>(value));
  if (value <= 0xff) return detail::write_tagged(out, 0xcc, static_cast<uint8_t>(value));
  if (value <= 0xffff) return detail::write_tagged(out, 0xcd, static_cast<uint16_t>(value));
  if (value <= 0xffffffff) return detail::write_tagged(out, 0xce, static_cast<uint32_t>(value));
  return detail::write_tagged(out, 0xcf, value);
}

inline bool write_int(ByteWriter& out, int64_t value) noexcept {
  if (value >= 0) return write_uint(out, static_cast<uint64_t>(value));
  if (value >= -32) return write_byte(out, static_cast<uint8_t>(value));
  if (value >= INT8_MIN) return detail::write_tagged(out, 0xd0, static_cast<uint8_t>(value));
  if (value >= INT16_MIN) return detail::write_tagged(out, 0xd1, static_cast<uint16_t>(value));
  if (value >= INT32_MIN) return detail::write_tagged(out, 0xd2, static_cast<uint32_t>(value));
  return detail::write_tagged(out, 0xd3, static_cast<uint64_t>(value));
}

inline bool write_float(ByteWriter& out, double value) noexcept {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return detail::write_tagged(out, 0xcb, bits);
}

inline bool write_str(ByteWriter& out, const char* text, size_t size) noexcept {
  if (size > UINT32_MAX) return false;
  const size_t header = size < 32 ? 1 : size <= 0xff ? 2 : size <= 0xffff ? 3 : 5;
  uint8_t* to = out.extend(header + size);
  if (to == nullptr) return false;
  if (header == 1) {
    to[0] = static_cast<uint8_t>(0xa0 | size);
  } else if (header == 2) {
    to[0] = 0xd9;
    to[1] = static_cast<uint8_t>(size);
  } else if (header == 3) {
    to[0] = 0xda;
    ttp::detail::store_be(to + 1, static_cast<uint16_t>(size));
  } else {
    to[0] = 0xdb;
    ttp::detail::store_be(to + 1, static_cast<uint32_t>(size));
  }
  std::memcpy(to + header, text, size);
  return true;
}

inline bool write_bin(ByteWriter& out, const char* bytes, size_t size) noexcept {
  if (size > UINT32_MAX) return false;
  const bool headed = size <= 0xff     ? detail::write_tagged(out, 0xc4, static_cast<uint8_t>(size))
                      : size <= 0xffff ? detail::write_tagged(out, 0xc5, static_cast<uint16_t>(size))
                                       : detail::write_tagged(out, 0xc6, static_cast<uint32_t>(size));
  return headed && out.append(bytes, size);
}

inline bool write_array(ByteWriter& out, size_t count) noexcept {
  if (count < 16) return write_byte(out, static_cast<uint8_t>(0x90 | count));
  if (count <= 0xffff) return detail::write_tagged(out, 0xdc, static_cast<uint16_t>(count));
  return count <= UINT32_MAX && detail::write_tagged(out, 0xdd, static_cast<uint32_t>(count));
}

inline bool write_map(ByteWriter& out, size_t count) noexcept {
  if (count < 16) return write_byte(out, static_cast<uint8_t>(0x80 | count));
  if (count <= 0xffff) return detail::write_tagged(out, 0xde, static_cast<uint16_t>(count));
  return count <= UINT32_MAX && detail::write_tagged(out, 0xdf, static_cast<uint32_t>(count));
}

inline bool write_ext(ByteWriter& out, int8_t code, const char* bytes, size_t size) noexcept {
  if (size > UINT32_MAX) return false;
  bool headed;
  switch (size) {
    case 1: headed = write_byte(out, 0xd4); break;
    case 2: headed = write_byte(out, 0xd5); break;
    case 4: headed = write_byte(out, 0xd6); break;
    case 8: headed = write_byte(out, 0xd7); break;
    case 16: headed = write_byte(out, 0xd8); break;
    default:
      headed = size <= 0xff     ? detail::write_tagged(out, 0xc7, static_cast<uint8_t>(size))
               : size <= 0xffff ? detail::write_tagged(out, 0xc8, static_cast<uint16_t>(size))
                                : detail::write_tagged(out, 0xc9, static_cast<uint32_t>(size));
  }
  return headed && write_byte(out, static_cast<uint8_t>(code)) && out.append(bytes, size);
}

enum class Type : uint8_t { Nil, False, True, Int, Uint, Float, Str, Bin, Ext, Array, Map };

// One value, or the header of a container. Str, Bin and Ext point into the input.
struct Token {
  Type type;
  int8_t code;  // Ext
  union {
    int64_t i;      // Int (negative)
    uint64_t u;     // Uint
    double f;       // Float
    uint32_t size;  // Str, Bin, Ext: bytes; Array: values; Map: pairs
  };
  const uint8_t* data;  // Str, Bin, Ext
};

class Reader {
 public:
  Reader(const uint8_t* data, size_t size) noexcept : in_(data, size) {}

  bool done() const noexcept { return in_.remaining() == 0; }
  size_t remaining() const noexcept { return in_.remaining(); }

  // Why `next` returned false.
  const char* error() const noexcept { return error_; }

  bool next(Token& token) noexcept {
    const uint8_t* tag = in_.take(1);
    if (tag == nullptr) return fail("truncated value");
    if (promised_ != 0) --promised_;
    const uint8_t byte = *tag;
    if (byte < 0x80) return uint(token, byte);
    if (byte >= 0xe0) return sint(token, static_cast<int8_t>(byte));
    if (byte >= 0xa0 && byte < 0xc0) return bytes(token, Type::Str, byte & 31u);
    if (byte < 0x90) return container(token, Type::Map, byte & 15u);
    if (byte < 0xa0) return container(token, Type::Array, byte & 15u);
    switch (byte) {
      case 0xc0: return plain(token, Type::Nil);
      case 0xc2: return plain(token, Type::False);
      case 0xc3: return plain(token, Type::True);
      case 0xc4: return sized<uint8_t>(token, Type::Bin);
      case 0xc5: return sized<uint16_t>(token, Type::Bin);
      case 0xc6: return sized<uint32_t>(token, Type::Bin);
      case 0xc7: return sized<uint8_t>(token, Type::Ext);
      case 0xc8: return sized<uint16_t>(token, Type::Ext);
      case 0xc9: return sized<uint32_t>(token, Type::Ext);
      case 0xca: return float32(token);
      case 0xcb: return float64(token);
      case 0xcc: return unsigned_int<uint8_t>(token);
      case 0xcd: return unsigned_int<uint16_t>(token);
      case 0xce: return unsigned_int<uint32_t>(token);
      case 0xcf: return unsigned_int<uint64_t>(token);
      case 0xd0: return signed_int<uint8_t, int8_t>(token);
      case 0xd1: return signed_int<uint16_t, int16_t>(token);
      case 0xd2: return signed_int<uint32_t, int32_t>(token);
      case 0xd3: return signed_int<uint64_t, int64_t>(token);
      case 0xd4: return bytes(token, Type::Ext, 1);
      case 0xd5: return bytes(token, Type::Ext, 2);
      case 0xd6: return bytes(token, Type::Ext, 4);
      case 0xd7: return bytes(token, Type::Ext, 8);
      case 0xd8: return bytes(token, Type::Ext, 16);
      case 0xd9: return sized<uint8_t>(token, Type::Str);
      case 0xda: return sized<uint16_t>(token, Type::Str);
      case 0xdb: return sized<uint32_t>(token, Type::Str);
      case 0xdc: return sized<uint16_t>(token, Type::Array);
      case 0xdd: return sized<uint32_t>(token, Type::Array);
      case 0xde: return sized<uint16_t>(token, Type::Map);
      case 0xdf: return sized<uint32_t>(token, Type::Map);
      default: return fail("unknown value");
    }
  }

 private:
  bool fail(const char* why) noexcept {
    error_ = why;
    return false;
  }

  static bool plain(Token& token, Type type) noexcept {
    token.type = type;
    return true;
  }

  static bool uint(Token& token, uint64_t value) noexcept {
    token.type = Type::Uint;
    token.u = value;
    return true;
  }

  static bool sint(Token& token, int64_t value) noexcept {
    if (value >= 0) return uint(token, static_cast<uint64_t>(value));
    token.type = Type::Int;
    token.i = value;
    return true;
  }

  template <typename T>
  bool unsigned_int(Token& token) noexcept {
    T value;
    return in_.read_be(value) ? uint(token, value) : fail("truncated value");
  }

  template <typename U, typename S>
  bool signed_int(Token& token) noexcept {
    U value;
    return in_.read_be(value) ? sint(token, static_cast<S>(value)) : fail("truncated value");
  }

  bool float32(Token& token) noexcept {
    uint32_t bits;
    if (!in_.read_be(bits)) return fail("truncated value");
    float value;
    std::memcpy(&value, &bits, sizeof value);
    token.type = Type::Float;
    token.f = static_cast<double>(value);
    return true;
  }

  bool float64(Token& token) noexcept {
    uint64_t bits;
    if (!in_.read_be(bits)) return fail("truncated value");
    token.type = Type::Float;
    std::memcpy(&token.f, &bits, sizeof token.f);
    return true;
  }

  template <typename T>
  bool sized(Token& token, Type type) noexcept {
    T size;
    if (!in_.read_be(size)) return fail("truncated value");
    return type == Type::Array || type == Type::Map ? container(token, type, size) : bytes(token, type, size);
  }

  bool bytes(Token& token, Type type, uint32_t size) noexcept {
    if (type == Type::Ext) {
      const uint8_t* code = in_.take(1);
      if (code == nullptr) return fail("truncated value");
      token.code = static_cast<int8_t>(*code);
    }
    token.type = type;
    token.size = size;
    token.data = in_.take(size);
    return token.data != nullptr || fail("truncated value");
  }

  bool container(Token& token, Type type, uint32_t size) noexcept {
    const uint64_t values = type == Type::Map ? uint64_t{size} * 2 : size;
    if (promised_ + values > in_.remaining()) return fail("truncated value");
    promised_ += values;
    token.type = type;
    token.size = size;
    return true;
  }

  ByteReader in_;
  uint64_t promised_ = 0;  // values that open containers still hold; each takes a byte or more
  const char* error_ = "";
};

}  // namespace ttp::msgpack
