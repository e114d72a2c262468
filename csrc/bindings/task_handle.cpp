#include "task_handle.hpp"

#include "bindings.hpp"
#include "py_helpers.hpp"

#include <structmember.h>

namespace ttp::bindings {

namespace {

constexpr size_t kMaxFree = 1024;

TaskHandleObject* handle(PyObject* self) { return as<TaskHandleObject>(self); }

PyObject* handle_new(PyTypeObject*, PyObject* args, PyObject* kwargs) {
  PyObject *owner, *origin, *index;
  static const char* names[] = {"", "", "", nullptr};
  if (PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:TaskHandle", const_cast<char**>(names), &owner, &origin, &index) ==
      0)
    return nullptr;
  return guarded([&] {
    return new_task_handle(owner, checked(origin, 0, UINT64_MAX, "origin"),
                           static_cast<uint32_t>(checked(index, 0, UINT16_MAX, "index")));
  });
}

void handle_dealloc(PyObject* self) {
  State& s = state();
  PyTypeObject* type = Py_TYPE(self);
  Py_DECREF(handle(self)->owner);
  if (s.free_handle_count < kMaxFree) {
    handle(self)->owner = s.free_handles;
    s.free_handles = self;
    ++s.free_handle_count;
  } else {
    PyObject_Free(self);
  }
  Py_DECREF(type);
}

PyObject* ask(PyObject* self, const char* name) {
  const Ref method(PyUnicode_InternFromString(name));
  return method ? PyObject_CallMethodOneArg(handle(self)->owner, method.get(), self) : nullptr;
}

PyObject* handle_id(PyObject* self, void*) {
  return PyObject_CallMethod(handle(self)->owner, "task_id", "KI",
                             static_cast<unsigned long long>(handle(self)->origin),
                             static_cast<unsigned int>(handle(self)->index));
}

PyObject* handle_origin(PyObject* self, void*) { return PyLong_FromUnsignedLongLong(handle(self)->origin); }
PyObject* handle_index(PyObject* self, void*) { return PyLong_FromUnsignedLong(handle(self)->index); }

PyObject* handle_status(PyObject* self, PyObject*) { return ask(self, "status"); }
PyObject* handle_astatus(PyObject* self, PyObject*) { return ask(self, "astatus"); }
PyObject* handle_cancel(PyObject* self, PyObject*) { return ask(self, "cancel"); }

PyObject* handle_result(PyObject* self, PyObject* args, PyObject* kwargs) {
  PyObject* timeout = Py_None;
  static const char* names[] = {"timeout", nullptr};
  if (PyArg_ParseTupleAndKeywords(args, kwargs, "|O:result", const_cast<char**>(names), &timeout) == 0) return nullptr;
  const Ref method(PyUnicode_InternFromString("result"));
  return method ? PyObject_CallMethodObjArgs(handle(self)->owner, method.get(), self, timeout, nullptr) : nullptr;
}

PyObject* handle_await(PyObject* self) {
  const Ref waiting(ask(self, "wait"));
  return waiting ? PyObject_CallMethod(waiting.get(), "__await__", nullptr) : nullptr;
}

PyObject* handle_repr(PyObject* self) {
  const Ref id(handle_id(self, nullptr));
  return id ? PyUnicode_FromFormat("<TaskHandle %S>", id.get()) : nullptr;
}

PyObject* handle_compare(PyObject* self, PyObject* other, int operation) {
  if ((operation != Py_EQ && operation != Py_NE) || Py_TYPE(other) != Py_TYPE(self)) Py_RETURN_NOTIMPLEMENTED;
  const bool equal = handle(self)->origin == handle(other)->origin && handle(self)->index == handle(other)->index;
  return PyBool_FromLong(static_cast<long>(equal == (operation == Py_EQ)));
}

Py_hash_t handle_hash(PyObject* self) {
  // Origins are random, so little mixing is needed.
  const auto hash = static_cast<Py_hash_t>(handle(self)->origin ^ (handle(self)->index * 0x9e3779b97f4a7c15u));
  return hash == -1 ? -2 : hash;
}

PyMethodDef handle_methods[] = {
    {"status", handle_status, METH_NOARGS, "What the server knows of the task now."},
    {"astatus", handle_astatus, METH_NOARGS, "`status`, to be awaited."},
    {"result", as_method(handle_result), METH_VARARGS | METH_KEYWORDS, "Wait for the result, timeout seconds."},
    {"cancel", handle_cancel, METH_NOARGS, "Ask for the task not to be run."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, "TaskHandle[R]"},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef handle_properties[] = {
    {"id", handle_id, nullptr, "The task's id.", nullptr},
    {"origin", handle_origin, nullptr, "The frame in which the task was first written.", nullptr},
    {"index", handle_index, nullptr, "The task's place in it.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot handle_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(handle_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(handle_dealloc)},
    {Py_tp_repr, reinterpret_cast<void*>(handle_repr)},
    {Py_tp_hash, reinterpret_cast<void*>(handle_hash)},
    {Py_tp_richcompare, reinterpret_cast<void*>(handle_compare)},
    {Py_am_await, reinterpret_cast<void*>(handle_await)},
    {Py_tp_methods, handle_methods},
    {Py_tp_getset, handle_properties},
    {Py_tp_doc, const_cast<char*>("One accepted task: its id, and its result by way of owner.")},
    {0, nullptr}};

// No Py_TPFLAGS_HAVE_GC: handles are made by the million and point at their owner only.
PyType_Spec handle_spec = {"ttp.native._core.TaskHandle", sizeof(TaskHandleObject), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, handle_slots};

}  // namespace

PyObject* new_task_handle(PyObject* owner, uint64_t origin, uint32_t index) {
  State& s = state();
  PyObject* self = s.free_handles;
  if (self != nullptr) {
    s.free_handles = handle(self)->owner;
    --s.free_handle_count;
    PyObject_Init(self, s.task_handle);
  } else {
    self = object(PyObject_New(TaskHandleObject, s.task_handle));
    if (self == nullptr) return nullptr;
  }
  handle(self)->owner = Py_NewRef(owner);
  handle(self)->origin = origin;
  handle(self)->index = index;
  return self;
}

}  // namespace ttp::bindings

void bind_task_handle(pybind11::module_& module) {
  using namespace ttp::bindings;
  state().task_handle = add_type(module.ptr(), handle_spec);
  if (state().task_handle == nullptr) throw pybind11::error_already_set();
}
