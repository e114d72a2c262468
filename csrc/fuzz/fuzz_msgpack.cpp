// The MessagePack reader over anything; what it could read is written anew, and must read the same.
#include "target.hpp"

#include "ttp/msgpack.hpp"

#include <cstring>

namespace {

using ttp::ByteWriter;
using ttp::msgpack::Reader;
using ttp::msgpack::Token;
using ttp::msgpack::Type;

bool write(ByteWriter& out, const Token& token) {
  using namespace ttp::msgpack;
  const auto* bytes = reinterpret_cast<const char*>(token.data);
  switch (token.type) {
    case Type::Nil: return write_nil(out);
    case Type::False: return write_bool(out, false);
    case Type::True: return write_bool(out, true);
    case Type::Int: return write_int(out, token.i);
    case Type::Uint: return write_uint(out, token.u);
    case Type::Float: return write_float(out, token.f);
    case Type::Str: return write_str(out, bytes, token.size);
    case Type::Bin: return write_bin(out, bytes, token.size);
    case Type::Ext: return write_ext(out, token.code, bytes, token.size);
    case Type::Array: return write_array(out, token.size);
    case Type::Map: return write_map(out, token.size);
  }
  return false;
}

uint64_t bits(double value) {
  uint64_t out;
  std::memcpy(&out, &value, sizeof out);
  return out;
}

void check_same(const Token& a, const Token& b) {
  CHECK(a.type == b.type);
  switch (a.type) {
    case Type::Nil:
    case Type::False:
    case Type::True: break;
    case Type::Int:
    case Type::Uint: CHECK(a.u == b.u); break;
    case Type::Float: CHECK(bits(a.f) == bits(b.f)); break;
    case Type::Ext: CHECK(a.code == b.code); [[fallthrough]];
    case Type::Str:
    case Type::Bin: CHECK(a.size == b.size && (a.size == 0 || std::memcmp(a.data, b.data, a.size) == 0)); break;
    case Type::Array:
    case Type::Map: CHECK(a.size == b.size);
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ExactCopy copy(data, size);
  ByteWriter out(16 * size + 16);
  Token token{};
  size_t count = 0;
  uint64_t missing = 0;  // values that headers promise, and that have not come
  Reader in(copy.data(), size);
  while (!in.done()) {
    if (!in.next(token)) {
      CHECK(in.error() != nullptr);
      return 0;
    }
    ++count;
    if (missing != 0) --missing;
    if (token.type == Type::Array || token.type == Type::Map) {
      // Whoever allocates by a header's size allocates no more than the input is long.
      CHECK(token.size <= size);
      missing += token.type == Type::Map ? uint64_t{token.size} * 2 : token.size;
    }
    CHECK(write(out, token));
  }
  CHECK(count <= size);
  if (missing != 0) return 0;     // an end that only a decoder sees
  CHECK(out.size() <= 2 * size);  // a float of 32 bits becomes one of 64; all else is at its shortest
  Reader first(copy.data(), size), second(out.data(), out.size());
  Token again{};
  for (; count != 0; --count) {
    CHECK(first.next(token) && second.next(again));
    check_same(token, again);
  }
  CHECK(second.done());
  return 0;
}
