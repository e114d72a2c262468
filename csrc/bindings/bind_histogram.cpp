#include "bindings.hpp"
#include "ttp/histogram.hpp"

namespace py = pybind11;

namespace {

using ttp::Histogram;

// A non-negative integer; what exceeds 63 bits becomes the largest that does not.
uint64_t natural(const py::int_& number, const char* what) {
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
  if (overflow > 0) return INT64_MAX;
  if (overflow < 0 || value < 0) throw py::value_error(std::string(what) + " must not be negative");
  return static_cast<uint64_t>(value);
}

void record(Histogram& self, const py::int_& value, const py::int_& weight) {
  self.record(natural(value, "value"), natural(weight, "weight"));
}

uint64_t percentile(const Histogram& self, double q) {
  if (!(q >= 0.0 && q <= 100.0)) throw py::value_error("a percentile lies between 0 and 100");
  return self.percentile(q);
}

py::list counts(const Histogram& self) {
  py::list list;
  for (size_t i = 0; i < Histogram::kBuckets; ++i)
    if (const uint64_t count = self.count_in(i)) list.append(py::make_tuple(Histogram::highest_value_of(i), count));
  return list;
}

}  // namespace

void bind_histogram(py::module_& module) {
  py::class_<Histogram>(module, "Histogram", py::is_final(),
                        "HDR-style histogram of non-negative integers (nanoseconds): 32 linear steps to each power "
                        "of two.")
      .def(py::init<>())
      .def("record", &record, py::arg("value"), py::arg("weight") = 1, py::pos_only())
      .def_property_readonly("count", &Histogram::count)
      .def_property_readonly("sum", &Histogram::sum)
      .def_property_readonly("max", &Histogram::max)
      .def("percentile", &percentile, py::arg("q"), py::pos_only(),
           "The highest value of the bucket that holds rank ceil(q/100 * count), at most max; 0 when empty.")
      .def("merge", &Histogram::merge, py::arg("other"), py::pos_only())
      .def("counts", &counts, "(highest value of the bucket, count) of the buckets that are not empty.")
      .def("clear", &Histogram::clear);
}
