#include "bindings.hpp"
#include "py_decode.hpp"
#include "to_python.hpp"

#include "ttp/results.hpp"

namespace ttp::bindings {

namespace {

// One field of a result hash: the bytes object, and the entries in it.
class PyResultBlock {
 public:
  explicit PyResultBlock(py::bytes data) : data_(std::move(data)) {
    const char* why = view_.parse(reinterpret_cast<const uint8_t*>(PyBytes_AS_STRING(data_.ptr())),
                                  static_cast<size_t>(PyBytes_GET_SIZE(data_.ptr())));
    if (why == nullptr) return;
    raise_corrupt(why);
    throw py::error_already_set();
  }

  size_t size() const noexcept { return view_.entries().size(); }

  py::object find(py::ssize_t index) const {
    for (const ResultEntry& entry : view_.entries())
      if (entry.index == index) return py::make_tuple(static_cast<int>(entry.outcome), value(entry));
    return py::none();
  }

  py::list items() const {
    py::list all;
    for (const ResultEntry& entry : view_.entries())
      all.append(py::make_tuple(entry.index, static_cast<int>(entry.outcome), value(entry)));
    return all;
  }

 private:
  static py::object value(const ResultEntry& entry) { return owned(Decoder(entry.value).whole()); }

  py::bytes data_;
  ResultView view_;
};

}  // namespace

}  // namespace ttp::bindings

void bind_result_block(pybind11::module_& module) {
  namespace py = pybind11;
  using ttp::bindings::PyResultBlock;
  py::class_<PyResultBlock>(module, "ResultBlock", py::is_final(),
                            "One field of a result hash. CorruptFrame if malformed.")
      .def(py::init<py::bytes>(), py::arg("data"), py::pos_only())
      .def("__len__", &PyResultBlock::size)
      .def("find", &PyResultBlock::find, py::arg("index"), py::pos_only(),
           "(outcome, decoded value) of a task, or None.")
      .def("items", &PyResultBlock::items, "(index, outcome, value) of all, in order.");
}
