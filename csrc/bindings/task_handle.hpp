// TaskHandle: one accepted task.
#pragma once

#include "state.hpp"

#include <cstdint>

namespace ttp::bindings {

struct TaskHandleObject {
  PyObject_HEAD PyObject* owner;
  uint64_t origin;
  uint32_t index;
};

// New reference; nullptr with the Python error set. From the free list where it has one.
PyObject* new_task_handle(PyObject* owner, uint64_t origin, uint32_t index);

}  // namespace ttp::bindings
