// MemoryPool as Python sees it, and the way from there to the pool itself.
#pragma once

#include "ttp/memory_pool.hpp"

#include <pybind11/pybind11.h>

#include <memory>

namespace ttp::bindings {

struct PyPool {
  std::shared_ptr<MemoryPool> pool;
};

// The pool of a Python MemoryPool; or nullptr with TypeError set. Needs the GIL.
std::shared_ptr<MemoryPool> pool_of(PyObject* object);

}  // namespace ttp::bindings
