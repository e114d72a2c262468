// ByteReader and ByteWriter against a plain vector. The input is a program: an operation and its operand a byte pair.
#include "target.hpp"

#include "ttp/byte_cursor.hpp"

#include <algorithm>
#include <vector>

namespace {

constexpr size_t kLimit = 4096;

template <typename T>
bool refuses(ttp::ByteReader& in, bool big_endian, T& value) {
  const size_t before = in.remaining();
  if (big_endian ? in.read_be(value) : in.read_le(value)) return false;
  CHECK(before < sizeof value && in.remaining() == before);
  return true;
}

// Everything is read, forwards, in pieces that the bytes themselves choose, until a piece is refused.
void read(const uint8_t* data, size_t size) {
  ExactCopy copy(data, size);
  ttp::ByteReader in(copy.data(), copy.size());
  while (in.remaining() != 0) {
    const size_t at = size - in.remaining();
    const bool big_endian = (data[at] & 1) != 0;
    if (data[at] % 3 == 0) {
      const size_t wanted = data[at];
      const uint8_t* from = in.take(wanted);
      CHECK((from == nullptr) == (wanted > size - at));
      if (from == nullptr || wanted == 0) return;
      CHECK(std::equal(from, from + wanted, data + at));
      CHECK(in.position() == copy.data() + at + wanted);
    } else if (data[at] % 3 == 1) {
      uint16_t value;
      if (refuses(in, big_endian, value)) return;
      CHECK(value == (big_endian ? data[at] << 8 | data[at + 1] : data[at] | data[at + 1] << 8));
    } else {
      uint64_t value;
      if (refuses(in, big_endian, value)) return;
      CHECK((value & 0xff) == data[big_endian ? at + 7 : at] && value >> 56 == data[big_endian ? at : at + 7]);
    }
  }
}

void write(const uint8_t* data, size_t size) {
  const size_t limit = size == 0 ? 0 : data[0] * (kLimit / 255);
  ttp::ByteWriter out(limit);
  std::vector<uint8_t> model;
  for (size_t i = 1; i + 1 < size; i += 2) {
    const uint8_t operand = data[i + 1];
    if (data[i] % 8 == 0) {
      const size_t kept = std::min<size_t>(model.size(), operand * size_t{16});
      out.truncate(kept);
      model.resize(kept);
      CHECK(!out.full());
    } else {
      const size_t more = data[i] % 8 == 1 ? 8 : size_t{operand} * (data[i] % 8u);
      const bool fits = more <= limit - model.size();
      const std::vector<uint8_t> bytes(more, operand);
      CHECK((data[i] % 8 == 1 ? out.append_le(operand * 0x0101010101010101u) : out.append(bytes.data(), more)) == fits);
      if (fits) model.insert(model.end(), bytes.begin(), bytes.end());
      CHECK(fits || out.full());
    }
    CHECK(out.size() == model.size() && std::equal(model.begin(), model.end(), out.data()));
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  read(data, size);
  write(data, size);
  return 0;
}
