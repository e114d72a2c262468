// MessagePack to Python objects. All functions need the GIL, and may run Python code: the hook
// `ttp.native.types.decode`, for extension types.
#pragma once

#include "state.hpp"
#include "ttp/frame.hpp"
#include "ttp/msgpack.hpp"

namespace ttp::bindings {

// New references; nullptr with the Python error set: CorruptFrame if the bytes are at fault.
class Decoder {
 public:
  explicit Decoder(Bytes bytes) noexcept : in_(bytes.data, bytes.size) {}

  // A value and nothing after it.
  PyObject* whole();
  // (positional tuple, keyword dict) of a row, and nothing after it.
  PyObject* arguments();

  // The parts of a row, one after the other.
  bool begin_row(size_t& count);       // of positional arguments
  bool begin_keywords(size_t& count);  // 0 where the row ends here
  PyObject* argument() { return value(1); }
  PyObject* keyword();  // a str
  bool end_row();

 private:
  PyObject* value(size_t depth);
  PyObject* text(const msgpack::Token& token);
  PyObject* short_text(const msgpack::Token& token);
  PyObject* key(size_t depth);
  PyObject* array(size_t size, size_t depth);
  PyObject* map(size_t size, size_t depth);
  PyObject* ext(const msgpack::Token& token);

  bool next(msgpack::Token& token);

  msgpack::Reader in_;
};

}  // namespace ttp::bindings
