#include "bind_pool.hpp"

#include "bindings.hpp"

namespace py = pybind11;

namespace ttp::bindings {

namespace {

std::unique_ptr<PyPool> make_pool(py::ssize_t block_size, py::ssize_t blocks) {
  if (block_size < 1 || blocks < 1 ||
      !MemoryPool::is_valid(static_cast<size_t>(block_size), static_cast<size_t>(blocks)))
    throw py::value_error("block_size and blocks must be at least 1, and their product must be addressable");
  return std::make_unique<PyPool>(
      PyPool{MemoryPool::create(static_cast<size_t>(block_size), static_cast<size_t>(blocks))});
}

}  // namespace

std::shared_ptr<MemoryPool> pool_of(PyObject* object) {
  if (!py::isinstance<PyPool>(object)) {
    PyErr_Format(PyExc_TypeError, "expected a MemoryPool, not %.200s", Py_TYPE(object)->tp_name);
    return nullptr;
  }
  return py::handle(object).cast<PyPool&>().pool;
}

}  // namespace ttp::bindings

void bind_pool(py::module_& module) {
  using ttp::bindings::PyPool;
  py::class_<PyPool>(module, "MemoryPool", py::is_final(),
                     "Fixed-size blocks with a lock-free free list. The memory is reserved at once and touched "
                     "when used.")
      .def(py::init(&ttp::bindings::make_pool), py::arg("block_size"), py::arg("blocks"), py::pos_only())
      .def_property_readonly("block_size", [](const PyPool& self) { return self.pool->block_size(); })
      .def_property_readonly("capacity", [](const PyPool& self) { return self.pool->capacity(); })
      .def_property_readonly("available", [](const PyPool& self) { return self.pool->available(); });
}
