// Python objects to MessagePack. All functions need the GIL, and may run Python code: the hook
// `ttp.native.types.encode`, for whatever is not None, bool, int, float, str, bytes, list, tuple or dict.
#pragma once

#include "state.hpp"
#include "ttp/frame.hpp"
#include "ttp/msgpack.hpp"

#include <memory>
#include <string>
#include <vector>

namespace ttp::bindings {

// The arguments of one call: positional ones, then keyword values named by `names` (a tuple) or a dict.
struct Call {
  PyObject* const* args = nullptr;
  Py_ssize_t count = 0;
  PyObject* names = nullptr;     // tuple of str: args[count + i] is its value; or
  PyObject* keywords = nullptr;  // dict
};

class Encoder {
 public:
  explicit Encoder(ByteWriter& out) noexcept : out_(out) {}

  // Each appends to `out`, or raises and returns false; `out` then holds a part that is to be dropped.
  // SerializationError names the place: `<root>['x'][2]: why`; in a call `args[1]…` or `kwargs['name']…`.
  bool encode(PyObject* object, const char* root);
  bool encode_call(const Call& call);

 private:
  bool value(PyObject* object, size_t depth);
  bool key(PyObject* object);
  bool integer(PyObject* object);
  bool text(PyObject* object);
  bool sequence(PyObject* object, size_t depth);
  bool map(PyObject* object, size_t depth);
  bool pairs(PyObject* dict, size_t depth, bool names);
  bool other(PyObject* object, size_t depth, bool as_key);
  bool ext(PyObject* object);
  bool keywords(const Call& call);

  bool written(bool ok) { return ok || too_large(); }
  bool too_large();
  bool fail(std::string reason);
  bool fail_with_current_error();
  bool at_index(Py_ssize_t index);
  bool at_key(PyObject* key);
  bool raise(const std::string& root);

  // What went wrong and where; made only when something did.
  struct Failure {
    std::string reason;
    std::vector<std::string> path;  // innermost first
  };

  ByteWriter& out_;
  std::unique_ptr<Failure> failure_;  // a SerializationError is to be raised; null: the Python error is set
  int hooks_ = 0;                     // results of the hook that went to the hook again
};

}  // namespace ttp::bindings
