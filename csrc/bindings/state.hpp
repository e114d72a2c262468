// What the module keeps for as long as it is loaded: classes, interned names, free lists. The only globals.
#pragma once

#include <Python.h>

#include <array>
#include <cstddef>
#include <string_view>

namespace ttp::bindings {

struct State {
  // ttp.errors
  PyObject* corrupt_frame;
  PyObject* serialization_error;
  PyObject* queue_full;

  PyObject* scope;      // ContextVar: the Slice whose handler runs in this context
  bool slices = false;  // whether a Slice was ever made: until then no producer looks at the scope

  // ttp.native.types, imported when first needed
  PyObject* types_encode = nullptr;
  PyObject* types_decode = nullptr;
  PyObject* types_ext = nullptr;

  PyTypeObject* frame_writer = nullptr;
  PyTypeObject* task_handle = nullptr;
  PyTypeObject* outbox = nullptr;
  PyTypeObject* route = nullptr;
  PyTypeObject* slice = nullptr;

  // Short ASCII strings seen lately, by hash.
  std::array<PyObject*, 512> keys{};
  // Dead TaskHandles, linked through their owner field.
  PyObject* free_handles = nullptr;
  size_t free_handle_count = 0;
};

State& state() noexcept;

// Both set the Python error on failure.
bool init_state(PyObject* module);
bool load_types();

// Creates a heap type, adds it to the module under its name and returns it (borrowed from the module).
PyTypeObject* add_type(PyObject* module, PyType_Spec& spec);

// Raises CorruptFrame; returns nullptr.
PyObject* raise_corrupt(const char* why);

// Owns one reference.
class Ref {
 public:
  Ref() noexcept = default;
  explicit Ref(PyObject* owned) noexcept : object_(owned) {}
  static Ref borrow(PyObject* borrowed) noexcept {
    Py_XINCREF(borrowed);
    return Ref(borrowed);
  }
  Ref(Ref&& other) noexcept : object_(other.release()) {}
  Ref& operator=(Ref&& other) noexcept {
    PyObject* old = object_;
    object_ = other.release();
    Py_XDECREF(old);
    return *this;
  }
  ~Ref() { Py_XDECREF(object_); }

  PyObject* get() const noexcept { return object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }
  PyObject* release() noexcept {
    PyObject* object = object_;
    object_ = nullptr;
    return object;
  }

 private:
  PyObject* object_ = nullptr;
};

// The exception that is pending, with its traceback; none is pending afterwards.
Ref take_error();

}  // namespace ttp::bindings
