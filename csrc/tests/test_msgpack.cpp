#include "check.hpp"
#include "exact_copy.hpp"
#include "ttp/msgpack.hpp"

#include <initializer_list>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace {

using ttp::ByteWriter;
using ttp::msgpack::Reader;
using ttp::msgpack::Token;
using ttp::msgpack::Type;

std::string written(const ByteWriter& out) { return {reinterpret_cast<const char*>(out.data()), out.size()}; }

template <typename Write>
std::string encode(Write&& write) {
  ByteWriter out(1 << 20);
  CHECK(write(out));
  return written(out);
}

Token only_token(const std::string& bytes) {
  Reader reader(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  Token token{};
  CHECK(reader.next(token) && reader.done());
  return token;
}

void integers_take_the_shortest_form() {
  struct Case {
    int64_t value;
    size_t size;
  };
  for (const Case& c : std::initializer_list<Case>{{0, 1},
                                                   {127, 1},
                                                   {128, 2},
                                                   {255, 2},
                                                   {256, 3},
                                                   {65'535, 3},
                                                   {65'536, 5},
                                                   {4'294'967'295, 5},
                                                   {4'294'967'296, 9},
                                                   {INT64_MAX, 9},
                                                   {-1, 1},
                                                   {-32, 1},
                                                   {-33, 2},
                                                   {-128, 2},
                                                   {-129, 3},
                                                   {-32'768, 3},
                                                   {-32'769, 5},
                                                   {INT32_MIN, 5},
                                                   {int64_t{INT32_MIN} - 1, 9},
                                                   {INT64_MIN, 9}}) {
    const std::string bytes = encode([&](ByteWriter& out) { return ttp::msgpack::write_int(out, c.value); });
    CHECK(bytes.size() == c.size);
    const Token token = only_token(bytes);
    if (c.value < 0) {
      CHECK(token.type == Type::Int && token.i == c.value);
    } else {
      CHECK(token.type == Type::Uint && token.u == static_cast<uint64_t>(c.value));
    }
  }
  const std::string largest = encode([](ByteWriter& out) { return ttp::msgpack::write_uint(out, UINT64_MAX); });
  CHECK(largest.size() == 9 && only_token(largest).u == UINT64_MAX);
}

void longer_forms_are_read_as_well() {
  CHECK(only_token(std::string("\xd3\0\0\0\0\0\0\0\5", 9)).u == 5);
  CHECK(only_token(std::string("\xcf\0\0\0\0\0\0\0\5", 9)).u == 5);
  CHECK(only_token(std::string("\xd1\xff\xff", 3)).i == -1);
  CHECK(only_token(std::string("\xca\x3f\xc0\0\0", 5)).f == 1.5);
  CHECK(only_token(std::string("\xdb\0\0\0\1x", 6)).size == 1);
  CHECK(only_token(std::string("\xc9\0\0\0\1\7x", 7)).code == 7);
}

uint64_t bits_of(double value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

void floats_keep_every_bit() {
  for (const double value : {0.0, -0.0, 1.0 / 3.0, 1e308, std::numeric_limits<double>::infinity(),
                             std::numeric_limits<double>::denorm_min()}) {
    const Token token = only_token(encode([&](ByteWriter& out) { return ttp::msgpack::write_float(out, value); }));
    CHECK(token.type == Type::Float && bits_of(token.f) == bits_of(value));
  }
}

void texts_and_bytes_at_every_boundary() {
  for (const size_t size : std::initializer_list<size_t>{0, 1, 2, 4, 8, 16, 31, 32, 255, 256, 65'535, 65'536}) {
    const std::string text(size, 'x');
    const Token str =
        only_token(encode([&](ByteWriter& out) { return ttp::msgpack::write_str(out, text.data(), size); }));
    CHECK(str.type == Type::Str && str.size == size);
    const Token bin =
        only_token(encode([&](ByteWriter& out) { return ttp::msgpack::write_bin(out, text.data(), size); }));
    CHECK(bin.type == Type::Bin && bin.size == size);
    const Token ext =
        only_token(encode([&](ByteWriter& out) { return ttp::msgpack::write_ext(out, -3, text.data(), size); }));
    CHECK(ext.type == Type::Ext && ext.size == size && ext.code == -3);
  }
}

void a_length_beyond_the_input_is_refused() {
  for (const std::string& bytes : {std::string("\xdd\xff\xff\xff\xff", 5), std::string("\xdf\x7f\xff\xff\xff", 5),
                                   std::string("\xdb\xff\xff\xff\xff", 5), std::string("\xc6\0\0\0\1", 5),
                                   std::string("\x92\x91\xc0", 3), std::string("\xc1", 1), std::string()}) {
    Reader reader(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    Token token{};
    bool ok = true;
    while ((ok = reader.next(token)) && !reader.done()) {
    }
    CHECK(!ok && reader.error()[0] != '\0');
  }
}

void a_full_writer_changes_nothing() {
  ByteWriter out(2'000);
  const std::string text(1'500, 'x');
  CHECK(ttp::msgpack::write_str(out, text.data(), text.size()));
  const std::string before = written(out);
  CHECK(!ttp::msgpack::write_str(out, text.data(), text.size()));
  CHECK(out.full() && written(out) == before);
  out.truncate(0);
  CHECK(!out.full() && ttp::msgpack::write_nil(out) && out.size() == 1);
}

// A value of every type, nested.
std::string sample() {
  return encode([](ByteWriter& out) {
    namespace mp = ttp::msgpack;
    const std::string text(300, 't');
    return mp::write_array(out, 9) && mp::write_nil(out) && mp::write_bool(out, true) && mp::write_int(out, -70'000) &&
           mp::write_uint(out, UINT64_MAX) && mp::write_float(out, 2.5) && mp::write_str(out, "name", 4) &&
           mp::write_bin(out, text.data(), text.size()) && mp::write_ext(out, 1, "12345678", 8) &&
           mp::write_map(out, 2) && mp::write_str(out, "k", 1) && mp::write_array(out, 0) && mp::write_int(out, 3) &&
           mp::write_map(out, 0);
  });
}

// Reads one value to its end and touches all it points to. What it promises stays within the input.
bool walk(ExactCopy& bytes) {
  Reader reader(bytes.data(), bytes.size());
  Token token{};
  uint64_t open = 1;
  volatile uint8_t sink = 0;
  while (open != 0) {
    const size_t before = reader.remaining();
    if (!reader.next(token)) return false;
    CHECK(reader.remaining() < before);
    --open;
    if (token.type == Type::Array) open += token.size;
    if (token.type == Type::Map) open += uint64_t{2} * token.size;
    if (token.type == Type::Array || token.type == Type::Map) CHECK(open <= reader.remaining());
    if (token.type == Type::Str || token.type == Type::Bin || token.type == Type::Ext)
      for (size_t i = 0; i < token.size; ++i) sink = token.data[i];
  }
  (void)sink;
  return reader.done();
}

void truncated_anywhere_it_is_refused() {
  const std::string bytes = sample();
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  for (size_t size = 0; size <= bytes.size(); ++size) {
    ExactCopy part(data, size);
    CHECK(walk(part) == (size == bytes.size()));
  }
}

void flipped_bits_and_noise_do_no_harm() {
  const std::string bytes = sample();
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    ExactCopy copy(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    copy.flip(bit);
    walk(copy);
  }
  std::mt19937_64 random(11);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<uint8_t> noise(random() % 64);
    for (auto& byte : noise) byte = static_cast<uint8_t>(random());
    ExactCopy copy(noise.data(), noise.size());
    walk(copy);
  }
}

}  // namespace

int main() {
  std::puts("msgpack");
  RUN(integers_take_the_shortest_form);
  RUN(longer_forms_are_read_as_well);
  RUN(floats_keep_every_bit);
  RUN(texts_and_bytes_at_every_boundary);
  RUN(a_length_beyond_the_input_is_refused);
  RUN(a_full_writer_changes_nothing);
  RUN(truncated_anywhere_it_is_refused);
  RUN(flipped_bits_and_noise_do_no_harm);
}
