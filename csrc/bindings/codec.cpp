// pack, unpack, crc32c, encode_row, encode_frame: the codec as functions.
#include "bindings.hpp"
#include "columns.hpp"
#include "py_decode.hpp"
#include "py_encode.hpp"
#include "to_python.hpp"

#include "ttp/crc32c.hpp"

namespace py = pybind11;

namespace ttp::bindings {

namespace {

py::bytes to_bytes(const ByteWriter& out) { return py::bytes(reinterpret_cast<const char*>(out.data()), out.size()); }

py::bytes pack(const py::object& value) {
  ByteWriter out(kMaxTask);
  if (!Encoder(out).encode(value.ptr(), "value")) throw py::error_already_set();
  return to_bytes(out);
}

py::object unpack(const py::object& data) {
  const Buffer buffer(data);
  return owned(Decoder(buffer.bytes()).whole());
}

uint32_t checksum(const py::object& data) {
  const Buffer buffer(data);
  return crc32c(buffer.bytes().data, buffer.bytes().size);
}

py::bytes encode_row(const py::object& args, const py::object& kwargs) {
  const auto row = owned(PySequence_Fast(args.ptr(), "args must be a sequence"));
  if (!kwargs.is_none() && !PyDict_Check(kwargs.ptr())) throw py::type_error("kwargs must be a dict");
  Call call;
  // A copy: hooks run Python code, which may change a list.
  const auto fixed = owned(PySequence_Tuple(row.ptr()));
  call.args = PySequence_Fast_ITEMS(fixed.ptr());
  call.count = PyTuple_GET_SIZE(fixed.ptr());
  call.keywords = kwargs.is_none() ? nullptr : kwargs.ptr();
  ByteWriter out(kMaxTask);
  if (!Encoder(out).encode_call(call)) throw py::error_already_set();
  return to_bytes(out);
}

py::bytes encode_frame(const py::object& rows, const py::str& name, const py::str& queue, const py::int_& fid,
                       const py::bytes& producer, const py::int_& origin, const py::object& index,
                       const py::int_& priority, const py::int_& attempt, const py::int_& deferrals,
                       const py::int_& crashes, const py::int_& created_at, const py::int_& flags,
                       const py::object& trace) {
  FrameHeader header;
  header.fid = checked(fid, 1, UINT64_MAX, "fid");
  header.origin = checked(origin, 0, UINT64_MAX, "origin");
  if (header.origin == 0) header.origin = header.fid;
  header.priority = static_cast<uint8_t>(checked(priority, 0, 2, "priority"));
  header.attempt = static_cast<uint16_t>(checked(attempt, 1, UINT16_MAX, "attempt"));
  header.deferrals = static_cast<uint16_t>(checked(deferrals, 0, UINT16_MAX, "deferrals"));
  header.crashes = static_cast<uint8_t>(checked(crashes, 0, UINT8_MAX, "crashes"));
  header.created_at = checked(created_at, 0, UINT64_MAX, "created_at");
  header.flags = static_cast<uint16_t>(checked(flags, 0, UINT16_MAX, "flags"));
  if ((header.flags & kRequiredFlags & ~kFlagResults) != 0) throw py::value_error("unknown required flag");
  header.producer = checked_producer(producer);
  const FrameTexts texts{checked_name(name), checked_queue(queue), checked_trace(trace)};

  const auto row_list = owned(PySequence_Tuple(rows.ptr()));
  const auto count = static_cast<size_t>(PyTuple_GET_SIZE(row_list.ptr()));
  if (count == 0 || count > kMaxRows) throw py::value_error("a frame holds 1 to 4096 rows");
  size_t rows_size = 0;
  for (const py::handle row : row_list.cast<py::tuple>()) {
    if (!PyBytes_Check(row.ptr())) throw py::type_error("rows must be bytes");
    const auto size = static_cast<size_t>(PyBytes_GET_SIZE(row.ptr()));
    if (size > kMaxTask) throw py::value_error("row larger than " + std::to_string(kMaxTask) + " bytes");
    rows_size += size;
  }
  if (index.is_none() == header.derived())
    throw py::value_error("index is required exactly where origin differs from fid");
  std::vector<uint16_t> indices;
  if (header.derived()) {
    for (const py::handle item : owned(PySequence_Tuple(index.ptr())).cast<py::tuple>()) {
      const auto value = static_cast<uint16_t>(checked(item, 0, UINT16_MAX, "index"));
      if (!indices.empty() && value <= indices.back()) throw py::value_error("index must rise");
      indices.push_back(value);
    }
    if (indices.size() != count) throw py::value_error("index must have one entry a row");
  }
  const FrameLayout layout(texts, rows_size, count, header.derived());
  return new_frame(
      header, layout, texts,
      [&](size_t i) -> Bytes {
        PyObject* row = PyTuple_GET_ITEM(row_list.ptr(), static_cast<Py_ssize_t>(i));
        return {reinterpret_cast<const uint8_t*>(PyBytes_AS_STRING(row)), static_cast<size_t>(PyBytes_GET_SIZE(row))};
      },
      [&](size_t i) { return indices[i]; });
}

}  // namespace

}  // namespace ttp::bindings

void bind_codec(py::module_& module) {
  using namespace ttp::bindings;
  module.def("pack", &pack, py::arg("value"), py::pos_only(),
             "Encode one value. SerializationError names the place in it.");
  module.def("unpack", &unpack, py::arg("data"), py::pos_only(),
             "Decode exactly one value. CorruptFrame if the bytes are not one.");
  module.def("crc32c", &checksum, py::arg("data"), py::pos_only(), "CRC32C (Castagnoli).");
  module.def("encode_row", &encode_row, py::arg("args"), py::arg("kwargs") = py::none(), py::pos_only(),
             "One row; SerializationError paths begin `args[0]` or `kwargs['name']`.");
  module.def("encode_frame", &encode_frame, py::arg("rows"), py::kw_only(), py::arg("name"), py::arg("queue"),
             py::arg("fid"), py::arg("producer"), py::arg("origin") = 0, py::arg("index") = py::none(),
             py::arg("priority") = 1, py::arg("attempt") = 1, py::arg("deferrals") = 0, py::arg("crashes") = 0,
             py::arg("created_at") = 0, py::arg("flags") = 0, py::arg("trace") = py::bytes(),
             "A whole frame from encoded rows. ValueError for what does not fit the format.");
}
