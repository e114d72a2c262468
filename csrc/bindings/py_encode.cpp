#include "py_encode.hpp"

namespace ttp::bindings {

namespace {

constexpr int kMaxHooks = 32;  // an object that the hook keeps turning into another is refused

std::string to_utf8(PyObject* text) {
  Py_ssize_t size = 0;
  const char* data = text == nullptr ? nullptr : PyUnicode_AsUTF8AndSize(text, &size);
  if (data == nullptr) {
    PyErr_Clear();
    return "?";
  }
  return {data, static_cast<size_t>(size)};
}

// The text of an exception, for the reason in another one.
std::string message(PyObject* exception) {
  const Ref text(PyObject_Str(exception));
  return to_utf8(text.get());
}

}  // namespace

bool Encoder::encode(PyObject* object, const char* root) { return value(object, 0) || raise(root); }

bool Encoder::encode_call(const Call& call) {
  if (!written(msgpack::write_array(out_, static_cast<size_t>(call.count)))) return raise("args");
  for (Py_ssize_t i = 0; i < call.count; ++i)
    if (!value(call.args[i], 1)) return at_index(i), raise("args");
  if (call.names == nullptr && call.keywords == nullptr) return true;
  return keywords(call) || raise("kwargs");
}

bool Encoder::keywords(const Call& call) {
  if (call.names == nullptr) return PyDict_GET_SIZE(call.keywords) == 0 || pairs(call.keywords, 0, true);
  const Py_ssize_t count = PyTuple_GET_SIZE(call.names);
  if (count == 0) return true;
  if (!written(msgpack::write_map(out_, static_cast<size_t>(count)))) return false;
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* name = PyTuple_GET_ITEM(call.names, i);
    if (!text(name) || !value(call.args[call.count + i], 1)) return at_key(name);
  }
  return true;
}

bool Encoder::value(PyObject* object, size_t depth) {
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyUnicode_Type) return text(object);
  if (type == &PyFloat_Type) return written(msgpack::write_float(out_, PyFloat_AS_DOUBLE(object)));
  if (type == &PyLong_Type) return integer(object);
  if (object == Py_None) return written(msgpack::write_nil(out_));
  if (type == &PyBool_Type) return written(msgpack::write_bool(out_, object == Py_True));
  if (type == &PyBytes_Type)
    return written(msgpack::write_bin(out_, PyBytes_AS_STRING(object), static_cast<size_t>(PyBytes_GET_SIZE(object))));
  if (type == &PyDict_Type) return map(object, depth);
  if (type == &PyList_Type || type == &PyTuple_Type) return sequence(object, depth);
  return other(object, depth, false);
}

bool Encoder::key(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyUnicode_Type) return text(object);
  if (type == &PyDict_Type || type == &PyList_Type || type == &PyTuple_Type)
    return fail(std::string("a map key cannot be a ") + type->tp_name);
  if (type == &PyLong_Type || type == &PyFloat_Type || type == &PyBytes_Type || type == &PyBool_Type ||
      object == Py_None)
    return value(object, 0);
  return other(object, 0, true);
}

bool Encoder::integer(PyObject* object) {
  int overflow = 0;
  const long long small = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (overflow == 0) return written(msgpack::write_int(out_, small));
  if (overflow > 0) {
    const unsigned long long large = PyLong_AsUnsignedLongLong(object);
    if (PyErr_Occurred() == nullptr) return written(msgpack::write_uint(out_, large));
    PyErr_Clear();
  }
  return fail("integer does not fit 64 bits");
}

bool Encoder::text(PyObject* object) {
  if (PyUnicode_IS_COMPACT_ASCII(object))
    return written(msgpack::write_str(out_, static_cast<const char*>(PyUnicode_DATA(object)),
                                      static_cast<size_t>(PyUnicode_GET_LENGTH(object))));
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(object, &size);
  if (data == nullptr) {
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) return false;
    PyErr_Clear();
    return fail("string with lone surrogates");
  }
  return written(msgpack::write_str(out_, data, static_cast<size_t>(size)));
}

bool Encoder::sequence(PyObject* object, size_t depth) {
  if (depth > kMaxDepth) return fail("nested too deep");
  const Ref alive = Ref::borrow(object);  // hooks run Python code, which may drop or change the container
  const bool list = PyList_CheckExact(object);
  const Py_ssize_t count = Py_SIZE(object);
  if (!written(msgpack::write_array(out_, static_cast<size_t>(count)))) return false;
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (Py_SIZE(object) != count) return fail("changed while it was encoded");
    PyObject* item = list ? PyList_GET_ITEM(object, i) : PyTuple_GET_ITEM(object, i);
    if (!value(item, depth + 1)) return at_index(i);
  }
  return Py_SIZE(object) == count || fail("changed while it was encoded");
}

bool Encoder::map(PyObject* object, size_t depth) {
  if (depth > kMaxDepth) return fail("nested too deep");
  const Ref alive = Ref::borrow(object);
  return pairs(object, depth, false);
}

bool Encoder::pairs(PyObject* dict, size_t depth, bool names) {
  const Py_ssize_t count = PyDict_GET_SIZE(dict);
  if (!written(msgpack::write_map(out_, static_cast<size_t>(count)))) return false;
  Py_ssize_t position = 0;
  Py_ssize_t seen = 0;
  PyObject* name = nullptr;
  PyObject* item = nullptr;
  while (PyDict_Next(dict, &position, &name, &item) != 0) {
    const Ref name_alive = Ref::borrow(name);
    const Ref item_alive = Ref::borrow(item);
    if (names && !PyUnicode_CheckExact(name)) return fail("keywords must be strings"), at_key(name);
    if (!key(name) || !value(item, depth + 1)) return at_key(name);
    ++seen;
    if (PyDict_GET_SIZE(dict) != count || seen > count) return fail("changed while it was encoded");
  }
  return seen == count || fail("changed while it was encoded");
}

bool Encoder::other(PyObject* object, size_t depth, bool as_key) {
  if (!load_types()) return false;
  if (hooks_ == kMaxHooks) return fail("nested too deep");
  const Ref alive = Ref::borrow(object);
  const Ref plainer(PyObject_CallOneArg(state().types_encode, object));
  if (!plainer) return fail_with_current_error();
  if (reinterpret_cast<PyObject*>(Py_TYPE(plainer.get())) == state().types_ext) return ext(plainer.get());
  ++hooks_;
  const bool ok = as_key ? key(plainer.get()) : value(plainer.get(), depth);
  --hooks_;
  return ok;
}

bool Encoder::ext(PyObject* object) {
  const Ref code(PyObject_GetAttrString(object, "code"));
  const Ref data(code ? PyObject_GetAttrString(object, "data") : nullptr);
  if (!data) return false;
  const long number = PyLong_AsLong(code.get());
  if (number == -1 && PyErr_Occurred() != nullptr) return false;
  if (number < -128 || number > 127 || !PyBytes_Check(data.get())) {
    PyErr_SetString(PyExc_TypeError, "Ext takes a code of one signed byte, and bytes");
    return false;
  }
  return written(msgpack::write_ext(out_, static_cast<int8_t>(number), PyBytes_AS_STRING(data.get()),
                                    static_cast<size_t>(PyBytes_GET_SIZE(data.get()))));
}

bool Encoder::too_large() { return fail("larger than " + std::to_string(kMaxTask) + " bytes"); }

bool Encoder::fail(std::string reason) {
  failure_ = std::make_unique<Failure>();
  failure_->reason = std::move(reason);
  return false;
}

// The hook says what it cannot encode by TypeError or ValueError; anything else is its own failure.
bool Encoder::fail_with_current_error() {
  if (!PyErr_ExceptionMatches(PyExc_TypeError) && !PyErr_ExceptionMatches(PyExc_ValueError)) return false;
  const Ref error = take_error();
  return fail(message(error.get()));
}

bool Encoder::at_index(Py_ssize_t index) {
  if (failure_) failure_->path.push_back("[" + std::to_string(index) + "]");
  return false;
}

bool Encoder::at_key(PyObject* key) {
  if (!failure_) return false;
  const Ref repr(PyObject_Repr(key));
  if (!repr && PyErr_ExceptionMatches(PyExc_Exception) == 0)
    failure_.reset();  // an interrupt goes on as it is
  else
    failure_->path.push_back("[" + to_utf8(repr.get()) + "]");
  return false;
}

bool Encoder::raise(const std::string& root) {
  if (!failure_) return false;
  std::string text = root;
  for (auto step = failure_->path.rbegin(); step != failure_->path.rend(); ++step) text += *step;
  text += ": " + failure_->reason;
  const Ref shown(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
  if (shown) PyErr_SetObject(state().serialization_error, shown.get());
  return false;
}

}  // namespace ttp::bindings
