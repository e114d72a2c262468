#include "frame_view.hpp"

#include "bindings.hpp"
#include "columns.hpp"
#include "py_decode.hpp"

#include <vector>

namespace ttp::bindings {

namespace {

Bytes view_of(const py::bytes& data) {
  return {reinterpret_cast<const uint8_t*>(PyBytes_AS_STRING(data.ptr())),
          static_cast<size_t>(PyBytes_GET_SIZE(data.ptr()))};
}

}  // namespace

PyFrameView::PyFrameView(py::bytes data) : data_(std::move(data)) {
  const Bytes bytes = view_of(data_);
  if (const char* why = view_.parse(bytes.data, bytes.size)) {
    raise_corrupt(why);
    throw py::error_already_set();
  }
}

size_t PyFrameView::checked_row(py::ssize_t row) const {
  if (row < 0 || static_cast<size_t>(row) >= view_.count()) throw py::index_error("row out of range");
  return static_cast<size_t>(row);
}

py::object PyFrameView::arguments(py::ssize_t row) const {
  if (!view_.columnar()) return owned(Decoder(view_.row(checked_row(row))).arguments());
  ByteWriter out(kMaxFrame);
  if (!write_row(out, view_.columns(), checked_row(row))) throw std::bad_alloc();
  return owned(Decoder({out.data(), out.size()}).arguments());
}

py::list PyFrameView::columns() const {
  py::list out;
  if (!view_.columnar()) return out;
  const auto whole = owned(PyMemoryView_FromObject(data_.ptr()));
  const uint8_t* base = view_of(data_).data;
  const auto part = [&](Bytes bytes) {
    const auto begin = bytes.size == 0 ? py::ssize_t{0} : bytes.data - base;
    return whole[py::slice(begin, begin + static_cast<py::ssize_t>(bytes.size), 1)];
  };
  for (size_t i = 0; i < view_.columns().size(); ++i) {
    const Column column = view_.columns()[i];
    out.append(py::make_tuple(py::str(column.name.data(), column.name.size()), static_cast<int>(column.type),
                              part(column.validity), part(column.data), part(column.offsets), part(column.values)));
  }
  return out;
}

py::bytes PyFrameView::derive(const py::object& rows, const py::int_& fid, const py::object& attempt,
                              const py::object& deferrals, const py::object& crashes) const {
  FrameHeader header = view_.header();
  header.fid = checked(fid, 1, UINT64_MAX, "fid");
  if (!header.derived()) throw py::value_error("a derived frame needs a fid of its own");
  if (!attempt.is_none()) header.attempt = static_cast<uint16_t>(checked(attempt, 1, UINT16_MAX, "attempt"));
  if (!deferrals.is_none()) header.deferrals = static_cast<uint16_t>(checked(deferrals, 0, UINT16_MAX, "deferrals"));
  if (!crashes.is_none()) header.crashes = static_cast<uint8_t>(checked(crashes, 0, UINT8_MAX, "crashes"));
  std::vector<size_t> chosen;
  size_t size = 0;
  for (const py::handle item : owned(PySequence_Tuple(rows.ptr())).cast<py::tuple>()) {
    const py::ssize_t number = PyNumber_AsSsize_t(item.ptr(), PyExc_IndexError);
    if (number == -1 && PyErr_Occurred() != nullptr) throw py::error_already_set();
    const size_t row = checked_row(number);
    if (!chosen.empty() && row <= chosen.back()) throw py::value_error("rows must rise");
    chosen.push_back(row);
    if (!view_.columnar()) size += view_.row(row).size;
  }
  if (chosen.empty()) throw py::value_error("a frame holds 1 to 4096 rows");
  if (view_.columnar()) {
    std::vector<GatheredColumn> gathered;
    std::vector<Column> all;
    for (size_t i = 0; i < view_.columns().size(); ++i) {
      gathered.emplace_back(view_.columns()[i], chosen);
      all.push_back(gathered.back().column());
    }
    return new_column_frame(header, view_.texts(), all, chosen.size(),
                            [&](size_t i) { return view_.index(chosen[i]); });
  }
  const FrameLayout layout(view_.texts(), size, chosen.size(), true);
  return new_frame(
      header, layout, view_.texts(), [&](size_t i) { return view_.row(chosen[i]); },
      [&](size_t i) { return view_.index(chosen[i]); });
}

}  // namespace ttp::bindings

void bind_frame_view(pybind11::module_& module) {
  namespace py = pybind11;
  using ttp::bindings::PyFrameView;
  const auto text = [](std::string_view value) { return py::str(value.data(), value.size()); };
  py::class_<PyFrameView>(module, "FrameView", py::is_final(),
                          "A frame that was read: checked whole on construction (CorruptFrame says what is wrong).")
      .def(py::init<py::bytes>(), py::arg("data"), py::pos_only())
      .def("__len__", [](const PyFrameView& self) { return self.view().count(); })
      .def_property_readonly("data", &PyFrameView::data)
      .def_property_readonly("fid", [](const PyFrameView& self) { return self.view().header().fid; })
      .def_property_readonly("origin", [](const PyFrameView& self) { return self.view().header().origin; })
      .def_property_readonly("producer",
                             [](const PyFrameView& self) {
                               const auto& id = self.view().header().producer;
                               return py::bytes(reinterpret_cast<const char*>(id.data()), id.size());
                             })
      .def_property_readonly("name", [text](const PyFrameView& self) { return text(self.view().name()); })
      .def_property_readonly("queue", [text](const PyFrameView& self) { return text(self.view().queue()); })
      .def_property_readonly("trace",
                             [](const PyFrameView& self) {
                               const std::string_view trace = self.view().trace();
                               return py::bytes(trace.data(), trace.size());
                             })
      .def_property_readonly("priority", [](const PyFrameView& self) { return self.view().header().priority; })
      .def_property_readonly("attempt", [](const PyFrameView& self) { return self.view().header().attempt; })
      .def_property_readonly("deferrals", [](const PyFrameView& self) { return self.view().header().deferrals; })
      .def_property_readonly("crashes", [](const PyFrameView& self) { return self.view().header().crashes; })
      .def_property_readonly("created_at", [](const PyFrameView& self) { return self.view().header().created_at; })
      .def_property_readonly("flags", [](const PyFrameView& self) { return self.view().header().flags; })
      .def_property_readonly(
          "results", [](const PyFrameView& self) { return (self.view().header().flags & ttp::kFlagResults) != 0; })
      .def(
          "index", [](const PyFrameView& self, py::ssize_t row) { return self.view().index(self.checked_row(row)); },
          py::arg("row"), py::pos_only(), "The index of a row's task in its origin frame.")
      .def_property_readonly("columnar", [](const PyFrameView& self) { return self.view().columnar(); })
      .def("columns", &PyFrameView::columns,
           "(name, type, validity, data, offsets, values) of each column, views into the frame; none of a frame of "
           "rows.")
      .def("rows_as_columns", &PyFrameView::rows_as_columns, py::arg("start"), py::arg("stop"), py::arg("fields"),
           py::pos_only(), "Some rows as columns; None where a row's values are not of the columns' types.")
      .def("arguments", &PyFrameView::arguments, py::arg("row"), py::pos_only(),
           "Decode one row. CorruptFrame if it is not one.")
      .def("derive", &PyFrameView::derive, py::arg("rows"), py::pos_only(), py::kw_only(), py::arg("fid"),
           py::arg("attempt") = py::none(), py::arg("deferrals") = py::none(), py::arg("crashes") = py::none(),
           "A frame of some of the rows (rising), same origin; what is None stays as it is.");
}
