#include "bindings.hpp"
#include "ttp/counters.hpp"

#include <algorithm>
#include <memory>

namespace py = pybind11;

namespace {

// The cells, and the buffer that they lie in.
class SharedCounters {
 public:
  explicit SharedCounters(const py::buffer& memory) : info_(request(memory)), cells_(info_.ptr, cells_in(info_)) {}

  void add(const py::int_& cell, const py::int_& amount) {
    const size_t index = checked(cell);
    cells_.add(index, number(amount));
  }
  void set(const py::int_& cell, const py::int_& value) {
    const size_t index = checked(cell);
    cells_.set(index, number(value));
  }
  uint64_t get(const py::int_& cell) const { return cells_.get(checked(cell)); }
  py::list values(const py::int_& first, const py::int_& last) const {
    const size_t begin = checked(first);
    const size_t end = std::max(begin, checked(last) + 1);
    py::list out(end - begin);
    for (size_t cell = begin; cell < end; ++cell) out[cell - begin] = cells_.get(cell);
    return out;
  }
  size_t size() const { return cells_.size(); }

 private:
  static py::buffer_info request(const py::buffer& memory) {
    auto view = std::make_unique<Py_buffer>();
    if (PyObject_GetBuffer(memory.ptr(), view.get(), PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) != 0)
      throw py::error_already_set();
    py::buffer_info info(view.release());
    // An empty bytearray lies anywhere.
    const bool aligned = info.size == 0 || reinterpret_cast<uintptr_t>(info.ptr) % sizeof(uint64_t) == 0;
    if (!aligned || info.size * info.itemsize % 8 != 0)
      throw py::value_error("counters need memory of whole cells of 8 bytes, aligned to 8");
    return info;
  }

  static size_t cells_in(const py::buffer_info& info) { return static_cast<size_t>(info.size * info.itemsize) / 8; }

  size_t checked(const py::int_& cell) const {
    const Py_ssize_t index = PyLong_AsSsize_t(cell.ptr());
    if (index == -1 && PyErr_Occurred()) PyErr_Clear();
    if (index < 0 || static_cast<size_t>(index) >= cells_.size()) throw py::index_error("no such counter");
    return static_cast<size_t>(index);
  }

  static uint64_t number(const py::int_& value) {
    const unsigned long long out = PyLong_AsUnsignedLongLong(value.ptr());
    if (out == static_cast<unsigned long long>(-1) && PyErr_Occurred()) {
      PyErr_Clear();
      throw py::value_error("a counter holds 0 to 2**64 - 1");
    }
    return out;
  }

  py::buffer_info info_;
  ttp::Counters cells_;
};

}  // namespace

void bind_counters(py::module_& module) {
  py::class_<SharedCounters>(module, "Counters", py::is_final())
      .def(py::init<const py::buffer&>(), py::arg("memory"), py::pos_only())
      .def("add", &SharedCounters::add, py::arg("cell"), py::arg("amount"), py::pos_only())
      .def("set", &SharedCounters::set, py::arg("cell"), py::arg("value"), py::pos_only())
      .def("get", &SharedCounters::get, py::arg("cell"), py::pos_only())
      .def("values", &SharedCounters::values, py::arg("first"), py::arg("last"), py::pos_only())
      .def("__len__", &SharedCounters::size);
}
