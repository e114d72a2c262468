// FrameView.rows_as_columns.
#include "columns.hpp"
#include "frame_view.hpp"

#include "ttp/row_columns.hpp"

namespace ttp::bindings {

namespace {

// Fields whose texts and bytes Python objects hold, for as long as these live.
struct HeldFields {
  explicit HeldFields(const py::object& items) {
    for (const py::handle item : owned(PySequence_Tuple(items.ptr())).cast<py::tuple>()) {
      held.push_back(owned(PySequence_Tuple(item.ptr())).cast<py::tuple>());
      const py::tuple& parts = held.back();
      if (parts.size() != 4) throw py::value_error("a field is (name, type, nullable, fallback)");
      RowField field;
      field.name = utf8(parts[0]);
      field.type =
          static_cast<ColumnType>(checked(parts[1], 1, static_cast<uint64_t>(ColumnType::Value), "column type"));
      if (field.type == ColumnType::TimestampUtc) throw py::value_error("whether times have a zone is seen in them");
      field.nullable = PyObject_IsTrue(parts[2].ptr()) == 1;
      if (!PyBytes_Check(parts[3].ptr())) throw py::type_error("fallback must be bytes");
      field.fallback = {reinterpret_cast<const uint8_t*>(PyBytes_AS_STRING(parts[3].ptr())),
                        static_cast<size_t>(PyBytes_GET_SIZE(parts[3].ptr()))};
      fields.push_back(field);
    }
    if (fields.empty() || fields.size() > kMaxColumns) throw py::value_error("a frame has 1 to 64 columns");
  }

  std::vector<py::tuple> held;
  std::vector<RowField> fields;
};

py::tuple buffers_of(const RowColumn& column, size_t rows) {
  const auto made = [&](const py::bytes& data, const py::bytes& offsets, const py::bytes& values) {
    const std::string_view name = column.field().name;
    return py::make_tuple(py::str(name.data(), name.size()), static_cast<int>(column.type()),
                          bytes_of(column.validity(rows)), data, offsets, values);
  };
  switch (column.type()) {
    case ColumnType::Bool: return made(bytes_of(column.truths()), {}, {});
    case ColumnType::String: {
      const TextColumn& texts = column.texts();
      return made(bytes_of(texts.codes()), bytes_of(texts.ends()), bytes_of(texts.values()));
    }
    case ColumnType::Value: return made({}, bytes_of(column.ends()), bytes_of(column.values()));
    default: return made(bytes_of(column.numbers()), {}, {});
  }
}

}  // namespace

py::object PyFrameView::rows_as_columns(const py::int_& start, const py::int_& stop, const py::object& fields) const {
  if (view_.columnar()) throw py::value_error("a frame of columns has no rows");
  const size_t last = checked(stop, 0, view_.count(), "stop");
  const size_t first = checked(start, 0, last, "start");
  const HeldFields wanted(fields);
  RowColumns made(wanted.fields);
  for (size_t row = first; row < last; ++row)
    if (!made.append(view_.row(row))) return py::none();
  py::list out;
  for (const RowColumn& column : made.columns()) out.append(buffers_of(column, made.rows()));
  return out;
}

}  // namespace ttp::bindings
