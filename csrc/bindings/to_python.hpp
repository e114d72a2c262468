// Small conversions that the bindings share.
#pragma once

#include "ttp/frame.hpp"

#include <pybind11/pybind11.h>

#include <string>
#include <string_view>

namespace ttp::bindings {

namespace py = pybind11;

// Takes over a new reference; throws the pending Python error where there is none.
inline py::object owned(PyObject* object) {
  if (object == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(object);
}

// An int within bounds; TypeError for other types, ValueError out of bounds.
inline uint64_t checked(py::handle number, uint64_t low, uint64_t high, const char* what) {
  if (!PyLong_Check(number.ptr())) throw py::type_error(std::string(what) + " must be an int");
  const unsigned long long value = PyLong_AsUnsignedLongLong(number.ptr());
  if (PyErr_Occurred() != nullptr)
    PyErr_Clear();
  else if (value >= low && value <= high)
    return value;
  throw py::value_error(std::string(what) + " must be between " + std::to_string(low) + " and " + std::to_string(high));
}

// Valid as long as the str.
inline std::string_view utf8(py::handle text) {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (data == nullptr) throw py::error_already_set();  // UnicodeEncodeError is a ValueError
  return {data, static_cast<size_t>(size)};
}

inline std::string_view checked_name(py::handle name) {
  const std::string_view text = utf8(name);
  if (!is_name(text)) throw py::value_error("a task name has 1 to 255 bytes of UTF-8");
  return text;
}

inline std::string_view checked_queue(py::handle queue) {
  const std::string_view text = utf8(queue);
  if (!is_queue(text)) throw py::value_error("a queue name has 1 to 64 characters of A-Z a-z 0-9 _ . -");
  return text;
}

// Valid as long as the bytes object.
inline std::string_view checked_trace(py::handle trace) {
  if (!PyBytes_Check(trace.ptr())) throw py::type_error("trace must be bytes");
  const auto size = static_cast<size_t>(PyBytes_GET_SIZE(trace.ptr()));
  if (size > kMaxTrace) throw py::value_error("a trace context has at most " + std::to_string(kMaxTrace) + " bytes");
  return {PyBytes_AS_STRING(trace.ptr()), size};
}

inline ProducerId checked_producer(py::handle producer) {
  ProducerId id;
  if (static_cast<size_t>(PyBytes_GET_SIZE(producer.ptr())) != id.size())
    throw py::value_error("a producer id has 12 bytes");
  std::memcpy(id.data(), PyBytes_AS_STRING(producer.ptr()), id.size());
  return id;
}

// A whole frame as bytes; ValueError if it would be too long.
template <typename Row, typename Index>
py::bytes new_frame(const FrameHeader& header, const FrameLayout& layout, const FrameTexts& texts, Row&& row,
                    Index&& index) {
  if (layout.length > kMaxFrame) throw py::value_error("frame larger than " + std::to_string(kMaxFrame) + " bytes");
  auto bytes = owned(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(layout.length)));
  write_frame(reinterpret_cast<uint8_t*>(PyBytes_AS_STRING(bytes.ptr())), header, layout, texts, row, index);
  return py::reinterpret_borrow<py::bytes>(bytes);
}

}  // namespace ttp::bindings
