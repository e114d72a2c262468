// Bridges between raw CPython slots and code that throws, and argument helpers for raw types.
#pragma once

#include "to_python.hpp"

#include <new>

namespace ttp::bindings {

// Makes the exception that is being handled the Python error. May throw: pybind11 allocates.
inline void set_python_error() {
  try {
    throw;
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::builtin_exception& error) {
    error.set_error();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
}

// Runs f, which may throw what pybind11 throws, inside a C slot: on failure the Python error is set.
template <typename F>
auto guarded(F&& f) noexcept -> decltype(f()) {
  try {
    return f();
  } catch (...) {
    try {
      set_python_error();
    } catch (...) {
      PyErr_NoMemory();
    }
  }
  if constexpr (std::is_pointer_v<decltype(f())>)
    return nullptr;
  else
    return -1;
}

template <typename F>
PyCFunction as_method(F* function) noexcept {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

// The struct behind an object of a type that this module made.
template <typename T>
T* as(PyObject* object) noexcept {
  return reinterpret_cast<T*>(object);
}

template <typename T>
PyObject* object(T* self) noexcept {
  return reinterpret_cast<PyObject*>(self);
}

}  // namespace ttp::bindings
