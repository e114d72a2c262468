// CRC32C (Castagnoli): by the processor's instruction where there is one, else by tables, eight bytes a step.
//
// All functions are thread-safe, and neither throw, block nor allocate.
#pragma once

#include "ttp/byte_cursor.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__)
#define TTP_CRC32C_X86 1
#include <nmmintrin.h>
#elif defined(__aarch64__) && defined(__GNUC__) && !defined(__ARM_BIG_ENDIAN)
#define TTP_CRC32C_ARM 1
#include <arm_acle.h>
#if defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif
#endif

namespace ttp {

namespace detail {

using Crc32cTables = std::array<std::array<uint32_t, 256>, 8>;

// tables[k][b]: what byte b, followed by k zero bytes, does to the remainder.
constexpr Crc32cTables make_crc32c_tables() noexcept {
  constexpr uint32_t kPolynomial = 0x82f63b78;  // Castagnoli's, bits reversed
  Crc32cTables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t k = 1; k < 8; ++k)
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  return tables;
}

inline constexpr Crc32cTables kCrc32cTables = make_crc32c_tables();

// Each takes the inverted remainder so far, and returns it so.
inline uint32_t crc32c_by_table(uint32_t crc, const uint8_t* data, size_t size) noexcept {
  const Crc32cTables& t = kCrc32cTables;
  for (; size >= 8; data += 8, size -= 8) {
    const uint64_t word = load_le<uint64_t>(data) ^ crc;
    crc = t[7][word & 0xff] ^ t[6][word >> 8 & 0xff] ^ t[5][word >> 16 & 0xff] ^ t[4][word >> 24 & 0xff] ^
          t[3][word >> 32 & 0xff] ^ t[2][word >> 40 & 0xff] ^ t[1][word >> 48 & 0xff] ^ t[0][word >> 56];
  }
  for (; size != 0; ++data, --size) crc = (crc >> 8) ^ t[0][(crc ^ *data) & 0xff];
  return crc;
}

#if defined(TTP_CRC32C_X86)

#if defined(__clang__)
#define TTP_TARGET_CRC __attribute__((target("sse4.2,crc32")))
#else
#define TTP_TARGET_CRC __attribute__((target("sse4.2")))
#endif

TTP_TARGET_CRC inline uint32_t crc32c_by_hardware(uint32_t crc, const uint8_t* data, size_t size) noexcept {
  uint64_t wide = crc;
  for (; size >= 8; data += 8, size -= 8) wide = _mm_crc32_u64(wide, load_le<uint64_t>(data));
  crc = static_cast<uint32_t>(wide);
  for (; size != 0; ++data, --size) crc = _mm_crc32_u8(crc, *data);
  return crc;
}

inline bool has_crc32c_hardware() noexcept { return __builtin_cpu_supports("sse4.2"); }

#elif defined(TTP_CRC32C_ARM)

#if defined(__clang__)
#define TTP_TARGET_CRC __attribute__((target("crc")))
#else
#define TTP_TARGET_CRC __attribute__((target("+crc")))
#endif

TTP_TARGET_CRC inline uint32_t crc32c_by_hardware(uint32_t crc, const uint8_t* data, size_t size) noexcept {
  for (; size >= 8; data += 8, size -= 8) crc = __crc32cd(crc, load_le<uint64_t>(data));
  for (; size != 0; ++data, --size) crc = __crc32cb(crc, *data);
  return crc;
}

inline bool has_crc32c_hardware() noexcept {
#if defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
#elif defined(__APPLE__) || defined(__ARM_FEATURE_CRC32)
  return true;  // every 64-bit Apple processor has it
#else
  return false;
#endif
}

#else

inline uint32_t crc32c_by_hardware(uint32_t crc, const uint8_t* data, size_t size) noexcept {
  return crc32c_by_table(crc, data, size);
}

inline bool has_crc32c_hardware() noexcept { return false; }

#endif

}  // namespace detail

// The CRC32C of the bytes, as iSCSI and ext4 define it (of "123456789": 0xe3069283).
inline uint32_t crc32c(const uint8_t* data, size_t size) noexcept {
  static const auto run = detail::has_crc32c_hardware() ? detail::crc32c_by_hardware : detail::crc32c_by_table;
  return ~run(~uint32_t{0}, data, size);
}

}  // namespace ttp
