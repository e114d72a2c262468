#include "check.hpp"
#include "ttp/crc32c.hpp"

#include <cstring>
#include <string>
#include <vector>

namespace {

uint32_t crc_of(const std::string& text) {
  return ttp::crc32c(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

// The values of RFC 3720, appendix B.4, and the check value of the CRC catalogues.
void published_values() {
  CHECK(crc_of("") == 0);
  CHECK(crc_of("123456789") == 0xe3069283);
  CHECK(crc_of(std::string(32, '\0')) == 0x8a9136aa);
  CHECK(crc_of(std::string(32, '\xff')) == 0x62a8ab43);
  std::string rising;
  for (int i = 0; i < 32; ++i) rising.push_back(static_cast<char>(i));
  CHECK(crc_of(rising) == 0x46dd794e);
}

// Bit by bit, as the definition has it.
uint32_t slow(const uint8_t* data, size_t size) {
  uint32_t crc = ~uint32_t{0};
  for (size_t i = 0; i < size; ++i) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

void both_ways_equal_the_definition_at_every_length_and_alignment() {
  std::vector<uint8_t> bytes(300);
  uint32_t state = 1;
  for (auto& byte : bytes) byte = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  for (size_t offset = 0; offset < 9; ++offset) {
    for (size_t size = 0; size + offset <= bytes.size(); ++size) {
      const uint8_t* data = bytes.data() + offset;
      const uint32_t expected = slow(data, size);
      CHECK(ttp::crc32c(data, size) == expected);
      CHECK(~ttp::detail::crc32c_by_table(~uint32_t{0}, data, size) == expected);
      if (ttp::detail::has_crc32c_hardware())
        CHECK(~ttp::detail::crc32c_by_hardware(~uint32_t{0}, data, size) == expected);
    }
  }
}

}  // namespace

int main() {
  std::printf("crc32c (hardware: %s)\n", ttp::detail::has_crc32c_hardware() ? "yes" : "no");
  RUN(published_values);
  RUN(both_ways_equal_the_definition_at_every_length_and_alignment);
}
