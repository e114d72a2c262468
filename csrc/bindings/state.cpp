#include "state.hpp"

#include <cstring>

namespace ttp::bindings {

namespace {

State instance;

PyObject* attribute(const char* module, const char* name) {
  const Ref imported(PyImport_ImportModule(module));
  return imported ? PyObject_GetAttrString(imported.get(), name) : nullptr;
}

}  // namespace

State& state() noexcept { return instance; }

bool init_state(PyObject* module) {
  State& s = instance;
  if ((s.corrupt_frame = attribute("ttp.errors", "CorruptFrame")) == nullptr) return false;
  if ((s.serialization_error = attribute("ttp.errors", "SerializationError")) == nullptr) return false;
  if ((s.queue_full = attribute("ttp.errors", "QueueFull")) == nullptr) return false;
  const Ref none = Ref::borrow(Py_None);
  if ((s.scope = PyContextVar_New("ttp_scope", none.get())) == nullptr) return false;
  return PyModule_AddObjectRef(module, "scope", s.scope) == 0;
}

bool load_types() {
  State& s = instance;
  if (s.types_ext != nullptr) return true;
  Ref encode(attribute("ttp.native.types", "encode"));
  Ref decode(encode ? attribute("ttp.native.types", "decode") : nullptr);
  Ref ext(decode ? attribute("ttp.native.types", "Ext") : nullptr);
  if (!ext) return false;
  s.types_encode = encode.release();
  s.types_decode = decode.release();
  s.types_ext = ext.release();
  return true;
}

PyTypeObject* add_type(PyObject* module, PyType_Spec& spec) {
  auto* type = reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
  if (type == nullptr) return nullptr;
  const int failed = PyModule_AddType(module, type);
  Py_DECREF(type);
  return failed != 0 ? nullptr : type;
}

PyObject* raise_corrupt(const char* why) {
  PyErr_SetString(instance.corrupt_frame, why);
  return nullptr;
}

Ref take_error() {
  PyObject *type, *error, *traceback;
  PyErr_Fetch(&type, &error, &traceback);
  PyErr_NormalizeException(&type, &error, &traceback);
  const Ref owned_type(type);
  const Ref owned_traceback(traceback);
  if (traceback != nullptr) PyException_SetTraceback(error, traceback);
  return Ref(error);
}

}  // namespace ttp::bindings
