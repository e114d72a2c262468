// Bytes that somebody else keeps, and whether they are text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace ttp {

struct Bytes {
  const uint8_t* data = nullptr;
  size_t size = 0;

  std::string_view text() const noexcept { return {reinterpret_cast<const char*>(data), size}; }
};

// Whether all bytes are ASCII.
inline bool is_ascii(std::string_view text) noexcept {
  const char* at = text.data();
  size_t left = text.size();
  uint64_t all = 0;
  for (uint64_t word; left >= 8; at += 8, left -= 8) {
    std::memcpy(&word, at, 8);
    all |= word;
  }
  for (; left != 0; ++at, --left) all |= static_cast<uint64_t>(static_cast<unsigned char>(*at));
  return (all & 0x8080808080808080) == 0;
}

// Whether the bytes are UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
inline bool is_utf8(std::string_view text) noexcept {
  const auto* at = reinterpret_cast<const uint8_t*>(text.data());
  const auto* end = at + text.size();
  while (at != end) {
    for (uint64_t word; end - at >= 8; at += 8) {
      std::memcpy(&word, at, 8);
      if ((word & 0x8080808080808080) != 0) break;
    }
    if (at == end) return true;
    const uint8_t lead = *at++;
    if (lead < 0x80) continue;
    if (lead < 0xc2 || lead > 0xf4) return false;
    const int more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (end - at < more) return false;
    const uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (*at < low || *at > high) return false;
    for (int i = 1; i < more; ++i)
      if ((at[i] & 0xc0) != 0x80) return false;
    at += more;
  }
  return true;
}

}  // namespace ttp
