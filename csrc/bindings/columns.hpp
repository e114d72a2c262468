// What frames of columns need of Python: buffers in, bytes out.
#pragma once

#include "to_python.hpp"

#include "ttp/column_frame.hpp"

#include <memory>
#include <type_traits>
#include <vector>

namespace ttp::bindings {

// The bytes of any object with a contiguous buffer.
class Buffer {
 public:
  explicit Buffer(py::handle object) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) throw py::error_already_set();
  }
  ~Buffer() { PyBuffer_Release(&view_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  Bytes bytes() const noexcept { return {static_cast<const uint8_t*>(view_.buf), static_cast<size_t>(view_.len)}; }

 private:
  Py_buffer view_;
};

template <typename T>
py::bytes bytes_of(const std::vector<T>& items) {
  static_assert(std::is_trivially_copyable_v<T>);
  return {reinterpret_cast<const char*>(items.data()), items.size() * sizeof(T)};
}

// A whole frame as bytes; ValueError if it would be too long.
template <typename Index>
py::bytes new_column_frame(const FrameHeader& header, const FrameTexts& texts, const std::vector<Column>& all,
                           size_t count, Index&& index) {
  const ColumnLayout layout(texts, all, count, header.derived());
  if (layout.length > kMaxFrame) throw py::value_error("frame larger than " + std::to_string(kMaxFrame) + " bytes");
  auto bytes = owned(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(layout.length)));
  auto* frame = reinterpret_cast<uint8_t*>(PyBytes_AS_STRING(bytes.ptr()));
  write_column_frame(frame, header, layout, texts, all, count, index);
  return py::reinterpret_borrow<py::bytes>(bytes);
}

}  // namespace ttp::bindings
