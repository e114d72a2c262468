// FrameView as Python sees it: the bytes object and the view into it.
#pragma once

#include "to_python.hpp"

namespace ttp::bindings {

class PyFrameView {
 public:
  explicit PyFrameView(py::bytes data);

  const FrameView& view() const noexcept { return view_; }
  const py::bytes& data() const noexcept { return data_; }
  size_t checked_row(py::ssize_t row) const;  // IndexError

  py::object arguments(py::ssize_t row) const;
  py::list columns() const;
  py::object rows_as_columns(const py::int_& start, const py::int_& stop, const py::object& fields) const;
  py::bytes derive(const py::object& rows, const py::int_& fid, const py::object& attempt, const py::object& deferrals,
                   const py::object& crashes) const;

 private:
  py::bytes data_;
  FrameView view_;
};

}  // namespace ttp::bindings
