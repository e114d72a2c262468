#include "py_decode.hpp"

namespace ttp::bindings {

using msgpack::Token;
using msgpack::Type;

PyObject* Decoder::whole() {
  Ref result(value(0));
  if (result && !in_.done()) return raise_corrupt("bytes after the value");
  return result.release();
}

PyObject* Decoder::arguments() {
  size_t count = 0;
  if (!begin_row(count)) return nullptr;
  const Ref args(PyTuple_New(static_cast<Py_ssize_t>(count)));
  const Ref kwargs(PyDict_New());
  if (!args || !kwargs) return nullptr;
  for (size_t i = 0; i < count; ++i) {
    PyObject* item = argument();
    if (item == nullptr) return nullptr;
    PyTuple_SET_ITEM(args.get(), static_cast<Py_ssize_t>(i), item);
  }
  if (!begin_keywords(count)) return nullptr;
  for (size_t i = 0; i < count; ++i) {
    const Ref name(keyword());
    const Ref item(name ? argument() : nullptr);
    if (!item || PyDict_SetItem(kwargs.get(), name.get(), item.get()) != 0) return nullptr;
  }
  if (!end_row()) return nullptr;
  return PyTuple_Pack(2, args.get(), kwargs.get());
}

bool Decoder::next(Token& token) {
  if (in_.next(token)) return true;
  raise_corrupt(in_.error());
  return false;
}

bool Decoder::begin_row(size_t& count) {
  Token token;
  if (!next(token)) return false;
  if (token.type != Type::Array) return raise_corrupt("a row must begin with an array"), false;
  count = token.size;
  return true;
}

bool Decoder::begin_keywords(size_t& count) {
  count = 0;
  if (in_.done()) return true;
  Token token;
  if (!next(token)) return false;
  if (token.type != Type::Map) return raise_corrupt("keyword arguments must be a map"), false;
  count = token.size;
  return true;
}

PyObject* Decoder::keyword() {
  Token token;
  if (!next(token)) return nullptr;
  if (token.type != Type::Str) return raise_corrupt("keyword is not a string");
  return short_text(token);
}

bool Decoder::end_row() {
  if (in_.done()) return true;
  raise_corrupt("bytes after the row");
  return false;
}

PyObject* Decoder::value(size_t depth) {
  Token token;
  if (!next(token)) return nullptr;
  switch (token.type) {
    case Type::Nil: return Py_NewRef(Py_None);
    case Type::False: return Py_NewRef(Py_False);
    case Type::True: return Py_NewRef(Py_True);
    case Type::Int: return PyLong_FromLongLong(token.i);
    case Type::Uint:
      return token.u <= INT64_MAX ? PyLong_FromLongLong(static_cast<long long>(token.u))
                                  : PyLong_FromUnsignedLongLong(token.u);
    case Type::Float: return PyFloat_FromDouble(token.f);
    case Type::Str: return short_text(token);
    case Type::Bin:
      return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(token.data), static_cast<Py_ssize_t>(token.size));
    case Type::Ext: return ext(token);
    case Type::Array: return array(token.size, depth);
    case Type::Map: return map(token.size, depth);
  }
  return raise_corrupt("unknown value");
}

PyObject* Decoder::text(const Token& token) {
  PyObject* text =
      PyUnicode_DecodeUTF8(reinterpret_cast<const char*>(token.data), static_cast<Py_ssize_t>(token.size), nullptr);
  if (text != nullptr || !PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) return text;
  PyErr_Clear();
  return raise_corrupt("string is not UTF-8");
}

// Map keys and names of devices repeat from row to row: the last of each hash is kept. Strings are immutable, so
// sharing is safe.
PyObject* Decoder::short_text(const Token& token) {
  if (token.size == 0 || token.size > 32) return text(token);
  uint32_t hash = token.size;
  for (uint32_t i = 0; i < token.size; ++i) {
    if (token.data[i] >= 0x80) return text(token);
    hash = hash * 31 + token.data[i];
  }
  PyObject*& kept = state().keys[(hash ^ (hash >> 9)) % state().keys.size()];
  if (kept == nullptr || static_cast<size_t>(PyUnicode_GET_LENGTH(kept)) != token.size ||
      std::memcmp(PyUnicode_DATA(kept), token.data, token.size) != 0) {
    PyObject* fresh = text(token);
    if (fresh == nullptr) return nullptr;
    Py_XDECREF(kept);
    kept = fresh;
  }
  return Py_NewRef(kept);
}

PyObject* Decoder::key(size_t depth) {
  Token token;
  msgpack::Reader ahead = in_;
  if (ahead.next(token) && token.type == Type::Str) {
    in_ = ahead;
    return short_text(token);
  }
  return value(depth);
}

PyObject* Decoder::array(size_t size, size_t depth) {
  if (depth > kMaxDepth) return raise_corrupt("nested too deep");
  Ref list(PyList_New(static_cast<Py_ssize_t>(size)));
  if (!list) return nullptr;
  for (size_t i = 0; i < size; ++i) {
    PyObject* item = value(depth + 1);
    if (item == nullptr) return nullptr;
    PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), item);
  }
  return list.release();
}

PyObject* Decoder::map(size_t size, size_t depth) {
  if (depth > kMaxDepth) return raise_corrupt("nested too deep");
  Ref dict(PyDict_New());
  if (!dict) return nullptr;
  for (size_t i = 0; i < size; ++i) {
    const Ref name(key(depth + 1));
    const Ref item(name ? value(depth + 1) : nullptr);
    if (!item) return nullptr;
    if (PyDict_SetItem(dict.get(), name.get(), item.get()) != 0) {
      if (!PyErr_ExceptionMatches(PyExc_TypeError)) return nullptr;
      PyErr_Clear();
      return raise_corrupt("map key is not hashable");
    }
  }
  return dict.release();
}

PyObject* Decoder::ext(const Token& token) {
  if (!load_types()) return nullptr;
  const Ref code(PyLong_FromLong(token.code));
  const Ref data(
      PyBytes_FromStringAndSize(reinterpret_cast<const char*>(token.data), static_cast<Py_ssize_t>(token.size)));
  if (!code || !data) return nullptr;
  PyObject* arguments[] = {code.get(), data.get()};
  PyObject* result = PyObject_Vectorcall(state().types_decode, arguments, 2, nullptr);
  if (result != nullptr) return result;
  // What the hook says of the bytes; anything else (a timeout that arrived here, say) goes on as it is.
  if (PyErr_ExceptionMatches(state().corrupt_frame)) return nullptr;
  if (!PyErr_ExceptionMatches(PyExc_ValueError) && !PyErr_ExceptionMatches(PyExc_TypeError) &&
      !PyErr_ExceptionMatches(PyExc_ArithmeticError))
    return nullptr;
  const Ref error = take_error();
  PyErr_Format(state().corrupt_frame, "extension type %d: %S", static_cast<int>(token.code), error.get());
  return nullptr;
}

}  // namespace ttp::bindings
