// EventColumns: lines in, columns out.
#include "bindings.hpp"
#include "columns.hpp"

#include "ttp/event_columns.hpp"
#include "ttp/json_event.hpp"
#include "ttp/line_event.hpp"

namespace ttp::bindings {

namespace {

int64_t checked_int64(py::handle number, const char* what) {
  if (!PyLong_Check(number.ptr())) throw py::type_error(std::string(what) + " must be an int");
  const long long value = PyLong_AsLongLong(number.ptr());
  if (value == -1 && PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    throw py::value_error(std::string(what) + " does not fit 64 bits");
  }
  return value;
}

class PyEventColumns {
 public:
  explicit PyEventColumns(const py::int_& limit) : columns_(checked(limit, 1, kMaxFrame / 4, "limit")) {}

  size_t rows() const noexcept { return columns_.rows(); }
  bool full() const noexcept { return columns_.full(); }

  py::tuple read_json(const py::object& data, const py::int_& start, const py::str& device, const py::int_& epoch,
                      const py::int_& sequence, const py::str& now, bool by_line) {
    return read(json_, data, start, device, epoch, sequence, now, by_line);
  }

  py::tuple read_lines(const py::object& data, const py::int_& start, const py::str& device, const py::int_& epoch,
                       const py::int_& sequence, const py::str& now, const py::int_& per_second) {
    const uint64_t unit = checked(per_second, 1, 1'000'000'000, "per_second");
    if (unit != 1 && unit != 1'000 && unit != 1'000'000 && unit != 1'000'000'000)
      throw py::value_error("per_second must be a power of 1000");
    LineEventReader reader(static_cast<int64_t>(unit));
    return read(reader, data, start, device, epoch, sequence, now, false);
  }

  void append(const py::str& device, const py::int_& epoch, const py::int_& sequence, const py::str& timestamp,
              const py::bytes& fields, bool high) {
    if (columns_.full()) throw py::value_error("the columns are full");
    const Bytes map{reinterpret_cast<const uint8_t*>(PyBytes_AS_STRING(fields.ptr())),
                    static_cast<size_t>(PyBytes_GET_SIZE(fields.ptr()))};
    if (!columns_.append(utf8(device), checked_int64(epoch, "epoch"), checked_int64(sequence, "sequence"),
                         utf8(timestamp), map, high))
      throw py::value_error("an event may take " + std::to_string(kMaxTask) + " bytes");
  }

  py::list take() {
    py::list out;
    for (const bool high : {true, false}) {
      const EventTable& table = columns_.table(high);
      if (table.rows() == 0) continue;
      py::list made;
      made.append(text_column("device", table.device));
      made.append(column("epoch", ColumnType::Int64, bytes_of(table.epoch), py::bytes(), py::bytes()));
      made.append(column("sequence", ColumnType::Int64, bytes_of(table.sequence), py::bytes(), py::bytes()));
      made.append(text_column("timestamp", table.timestamp));
      made.append(column("fields", ColumnType::Value, py::bytes(), bytes_of(table.field_ends), bytes_of(table.fields)));
      out.append(py::make_tuple(high, table.rows(), made));
    }
    columns_.clear();
    return out;
  }

 private:
  template <typename Reader>
  py::tuple read(Reader& reader, const py::object& data, const py::int_& start, const py::str& device,
                 const py::int_& epoch, const py::int_& sequence, const py::str& now, bool by_line) {
    const Buffer buffer(data);
    EventDefaults defaults{utf8(device), checked_int64(epoch, "epoch"), checked_int64(sequence, "sequence"), utf8(now),
                           by_line};
    const std::string_view text = buffer.bytes().text();
    const size_t at = columns_.read(reader, text, checked(start, 0, text.size(), "start"), defaults);
    return py::make_tuple(at, defaults.sequence);
  }

  static py::tuple column(const char* name, ColumnType type, const py::bytes& data, const py::bytes& offsets,
                          const py::bytes& values) {
    return py::make_tuple(name, static_cast<int>(type), py::bytes(), data, offsets, values);
  }
  static py::tuple text_column(const char* name, const TextColumn& texts) {
    return column(name, ColumnType::String, bytes_of(texts.codes()), bytes_of(texts.ends()), bytes_of(texts.values()));
  }

  EventColumns columns_;
  JsonEventReader json_;
};

}  // namespace

}  // namespace ttp::bindings

void bind_event_columns(pybind11::module_& module) {
  namespace py = pybind11;
  using ttp::bindings::PyEventColumns;
  py::class_<PyEventColumns>(module, "EventColumns", py::is_final(),
                             "Telemetry events on their way into frames of columns.")
      .def(py::init<const py::int_&>(), py::arg("limit"), py::pos_only())
      .def("__len__", &PyEventColumns::rows)
      .def_property_readonly("full", &PyEventColumns::full)
      .def("read_json", &PyEventColumns::read_json, py::arg("data"), py::arg("start"), py::pos_only(), py::kw_only(),
           py::arg("device"), py::arg("epoch"), py::arg("sequence"), py::arg("now"), py::arg("by_line") = false,
           "Take JSON Lines.")
      .def("read_lines", &PyEventColumns::read_lines, py::arg("data"), py::arg("start"), py::pos_only(), py::kw_only(),
           py::arg("device"), py::arg("epoch"), py::arg("sequence"), py::arg("now"), py::arg("per_second"),
           "Take lines of Influx line protocol.")
      .def("append", &PyEventColumns::append, py::arg("device"), py::arg("epoch"), py::arg("sequence"),
           py::arg("timestamp"), py::arg("fields"), py::arg("high"), py::pos_only(), "Add an event.")
      .def("take", &PyEventColumns::take, "(high, count, columns) of each priority; begins anew.");
}
