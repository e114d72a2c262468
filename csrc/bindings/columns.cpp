// encode_columns: a frame of columns from buffers.
#include "columns.hpp"

#include "bindings.hpp"

namespace ttp::bindings {

namespace {

ColumnType checked_type(py::handle number) {
  return static_cast<ColumnType>(checked(number, 1, static_cast<uint64_t>(ColumnType::Value), "column type"));
}

// A column whose buffers Python objects hold, for as long as this lives.
struct HeldColumn {
  explicit HeldColumn(py::handle item) {
    const auto parts = owned(PySequence_Tuple(item.ptr())).cast<py::tuple>();
    if (parts.size() != 6) throw py::value_error("a column is (name, type, validity, data, offsets, values)");
    name = parts[0];
    column.name = utf8(name);
    column.type = checked_type(parts[1]);
    Bytes* const to[] = {&column.validity, &column.data, &column.offsets, &column.values};
    for (size_t i = 0; i < 4; ++i) {
      buffers.push_back(std::make_unique<Buffer>(parts[i + 2]));
      *to[i] = buffers.back()->bytes();
    }
  }

  py::object name;
  std::vector<std::unique_ptr<Buffer>> buffers;
  Column column;
};

py::bytes encode_columns(const py::object& columns, const py::int_& count, const py::str& name, const py::str& queue,
                         const py::int_& fid, const py::bytes& producer, const py::int_& priority,
                         const py::int_& created_at, const py::int_& flags, const py::object& trace) {
  FrameHeader header;
  header.fid = header.origin = checked(fid, 1, UINT64_MAX, "fid");
  header.priority = static_cast<uint8_t>(checked(priority, 0, 2, "priority"));
  header.created_at = checked(created_at, 0, UINT64_MAX, "created_at");
  header.flags = static_cast<uint16_t>(checked(flags, 0, UINT16_MAX, "flags"));
  if ((header.flags & kRequiredFlags & ~kFlagResults) != 0) throw py::value_error("unknown required flag");
  header.producer = checked_producer(producer);
  const FrameTexts texts{checked_name(name), checked_queue(queue), checked_trace(trace)};
  const size_t rows = checked(count, 1, kMaxColumnRows, "count");
  std::vector<HeldColumn> held;
  std::vector<Column> all;
  for (const py::handle item : owned(PySequence_Tuple(columns.ptr())).cast<py::tuple>()) {
    held.emplace_back(item);
    const Column& column = held.back().column;
    if (const char* why = column.check(rows)) throw py::value_error(std::string(column.name) + ": " + why);
    for (const Column& other : all)
      if (other.name == column.name) throw py::value_error("two columns have the same name");
    all.push_back(column);
  }
  if (all.empty() || all.size() > kMaxColumns) throw py::value_error("a frame has 1 to 64 columns");
  return new_column_frame(header, texts, all, rows, [](size_t i) { return i; });
}

}  // namespace

}  // namespace ttp::bindings

void bind_columns(pybind11::module_& module) {
  namespace py = pybind11;
  module.attr("MAX_COLUMN_ROWS") = ttp::kMaxColumnRows;
  module.def("encode_columns", &ttp::bindings::encode_columns, py::arg("columns"), py::arg("count"), py::kw_only(),
             py::arg("name"), py::arg("queue"), py::arg("fid"), py::arg("producer"), py::arg("priority") = 1,
             py::arg("created_at") = 0, py::arg("flags") = 0, py::arg("trace") = py::bytes(),
             "A whole frame of columns. ValueError for what does not fit the format.");
}
