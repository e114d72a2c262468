#include "route.hpp"

#include "bindings.hpp"
#include "slice.hpp"
#include "task_handle.hpp"

#include <structmember.h>

namespace ttp::bindings {

namespace {

RouteObject* route(PyObject* self) { return as<RouteObject>(self); }

// The call as the signature wants it: (positional tuple, keyword dict) from `bind`.
Ref bound(RouteObject* self, const Call& call) {
  const Ref args(PyTuple_New(call.count));
  const Ref kwargs(args ? PyDict_New() : nullptr);
  if (!kwargs) return {};
  for (Py_ssize_t i = 0; i < call.count; ++i) PyTuple_SET_ITEM(args.get(), i, Py_NewRef(call.args[i]));
  for (Py_ssize_t i = 0; call.names != nullptr && i < PyTuple_GET_SIZE(call.names); ++i)
    if (PyDict_SetItem(kwargs.get(), PyTuple_GET_ITEM(call.names, i), call.args[call.count + i]) != 0) return {};
  Ref pair(PyObject_CallFunctionObjArgs(self->bind, args.get(), kwargs.get(), nullptr));
  if (!pair) return {};
  if (!PyTuple_CheckExact(pair.get()) || PyTuple_GET_SIZE(pair.get()) != 2 ||
      !PyTuple_Check(PyTuple_GET_ITEM(pair.get(), 0)) || !PyDict_Check(PyTuple_GET_ITEM(pair.get(), 1))) {
    PyErr_SetString(PyExc_TypeError, "bind must return a tuple and a dict");
    return {};
  }
  return pair;
}

bool encode(RouteObject* self, const Call& call, ByteWriter& row) {
  const bool plain = call.names == nullptr && call.count >= self->min_args && call.count <= self->max_args;
  if (plain || self->bind == nullptr) return Encoder(row).encode_call(call);
  const Ref pair = bound(self, call);
  if (!pair) return false;
  PyObject* args = PyTuple_GET_ITEM(pair.get(), 0);
  Call whole;
  whole.args = PySequence_Fast_ITEMS(args);
  whole.count = PyTuple_GET_SIZE(args);
  whole.keywords = PyTuple_GET_ITEM(pair.get(), 1);
  return Encoder(row).encode_call(whole);
}

// The slice whose children the calls are; empty with no error where they go out by themselves.
Ref parent(const RouteObject* self) { return state().slices && self->detached == 0 ? slice_in_scope() : Ref(); }

// Appends a row, to the parent's children where there is one. Borrowed; nullptr with the Python error set.
FrameObject* append(RouteObject* self, const Ref& slice, const ByteWriter& row) {
  FrameObject* frame =
      slice ? child_frame(as<SliceObject>(slice.get()), self, row.size()) : frame_with_room(self, row.size());
  if (frame != nullptr) frame->body.writer.append(row.data(), row.size());
  return frame;
}

size_t index_of_last(const FrameObject* frame) { return frame->body.writer.first() + frame->rows() - 1; }

// A handle is made before its row is appended: what failed after that would be sent all the same.
void name_last(PyObject* handle, const FrameObject* frame) {
  as<TaskHandleObject>(handle)->origin = frame->body.header.origin;
  as<TaskHandleObject>(handle)->index = static_cast<uint32_t>(index_of_last(frame));
}

// on_submit, and a word to whoever waits if it left frames behind.
bool submit(RouteObject* self, PyObject* frame) {
  OutboxObject* box = self->outbox;
  const Ref callback = Ref::borrow(box->on_submit);
  if (!callback) {
    PyErr_SetString(PyExc_RuntimeError, "the outbox is gone");
    return false;
  }
  const Ref answer(PyObject_CallOneArg(callback.get(), frame));
  if (box->body.wakeup.awaited() && (!box->body.open.empty() || !box->body.sealed.empty())) box->body.wakeup.signal();
  return static_cast<bool>(answer);
}

PyObject* call_row(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* names) {
  RouteObject* to = route(self);
  Call call;
  call.args = args;
  call.count = PyVectorcall_NARGS(nargsf);
  call.names = names;
  ByteWriter row(kMaxTask);
  if (!encode(to, call, row)) return nullptr;
  const Ref slice = parent(to);
  if (!slice && PyErr_Occurred() != nullptr) return nullptr;
  Ref handle(to->submit != 0 ? new_task_handle(to->owner, 0, 0) : nullptr);
  if (!handle && to->submit != 0) return nullptr;
  FrameObject* frame = append(to, slice, row);
  if (frame == nullptr) return nullptr;
  if (!handle) {
    if (!slice && !appended(frame, true)) return nullptr;
    Py_RETURN_NONE;
  }
  const Ref kept = Ref::borrow(object(frame));
  name_last(handle.get(), frame);
  // on_submit sends: whoever waits is told only if it leaves something behind.
  if (!slice && (!appended(frame, false) || !submit(to, kept.get()))) return nullptr;
  return handle.release();
}

PyObject* route_call(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* names) {
  return guarded([&] { return call_row(self, args, nargsf, names); });  // vectors grow
}

PyObject* append_row(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  RouteObject* to = route(self);
  Call call;
  call.args = args;
  call.count = count;
  call.names = names;
  ByteWriter row(kMaxTask);
  if (!encode(to, call, row)) return nullptr;
  const Ref slice = parent(to);
  if (!slice && PyErr_Occurred() != nullptr) return nullptr;
  Ref handle(new_task_handle(to->owner, 0, 0));
  Ref both(handle ? PyTuple_New(2) : nullptr);
  if (!both) return nullptr;
  FrameObject* frame = append(to, slice, row);
  if (frame == nullptr) return nullptr;
  name_last(handle.get(), frame);
  PyTuple_SET_ITEM(both.get(), 0, Py_NewRef(object(frame)));
  PyTuple_SET_ITEM(both.get(), 1, handle.release());
  if (!slice && !appended(frame, true)) return nullptr;
  return both.release();
}

PyObject* route_append(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  return guarded([&] { return append_row(self, args, count, names); });
}

// Rows that went one after the other into the same frame.
struct Span {
  Ref frame;
  size_t first;
  size_t count;
};

Ref to_list(const std::vector<Span>& spans) {
  Ref list(PyList_New(0));
  for (const Span& span : spans) {
    const Ref item(list ? Py_BuildValue("(Onn)", span.frame.get(), static_cast<Py_ssize_t>(span.first),
                                        static_cast<Py_ssize_t>(span.count))
                        : nullptr);
    if (!item || PyList_Append(list.get(), item.get()) != 0) return {};
  }
  return list;
}

// Says in the pending error which row it is about; only in those that encoding and binding raise.
void name_row(size_t number) {
  PyObject *type, *error, *traceback;
  PyErr_Fetch(&type, &error, &traceback);
  PyErr_NormalizeException(&type, &error, &traceback);
  const Ref text(PyUnicode_FromFormat("rows[%zu]: %S", number, error));
  const bool ours = type == state().serialization_error || type == PyExc_TypeError;
  PyObject* named = text && ours ? PyObject_CallOneArg(type, text.get()) : nullptr;
  if (named == nullptr) {
    PyErr_Clear();
    named = Py_NewRef(error);
  } else if (traceback != nullptr) {
    PyException_SetTraceback(named, traceback);
  }
  Py_DECREF(error);
  PyErr_Restore(type, named, traceback);
}

// Adds `spans` to the pending error.
void attach_spans(const std::vector<Span>& spans) {
  PyObject *type, *error, *traceback;
  PyErr_Fetch(&type, &error, &traceback);
  PyErr_NormalizeException(&type, &error, &traceback);
  const Ref list = to_list(spans);
  if (!list || PyObject_SetAttrString(error, "spans", list.get()) != 0) PyErr_Clear();
  PyErr_Restore(type, error, traceback);
}

bool extend_by(RouteObject* to, const Ref& slice, PyObject* item, size_t number, std::vector<Span>& spans) {
  if (!PyTuple_Check(item)) {
    PyErr_Format(PyExc_TypeError, "rows[%zu]: a row is a tuple of arguments, not %.200s", number,
                 Py_TYPE(item)->tp_name);
    return false;
  }
  Call call;
  call.args = PySequence_Fast_ITEMS(item);
  call.count = PyTuple_GET_SIZE(item);
  ByteWriter row(kMaxTask);
  if (!encode(to, call, row)) {
    name_row(number);
    return false;
  }
  FrameObject* frame = append(to, slice, row);
  if (frame == nullptr) return false;
  const size_t at = index_of_last(frame);
  // Others may have appended in between, while a call-back ran.
  if (!spans.empty() && spans.back().frame.get() == object(frame) && spans.back().first + spans.back().count == at)
    ++spans.back().count;
  else
    spans.push_back({Ref::borrow(object(frame)), at, 1});
  return slice || appended(frame, true);
}

PyObject* route_extend(PyObject* self, PyObject* rows) {
  return guarded([&]() -> PyObject* {
    RouteObject* to = route(self);
    const Ref iterator(PyObject_GetIter(rows));
    if (!iterator) return nullptr;
    const Ref slice = parent(to);
    if (!slice && PyErr_Occurred() != nullptr) return nullptr;
    std::vector<Span> spans;
    bool ok = true;
    for (size_t number = 0; ok; ++number) {
      const Ref item(PyIter_Next(iterator.get()));
      if (!item) {
        ok = PyErr_Occurred() == nullptr;
        break;
      }
      ok = extend_by(to, slice, item.get(), number, spans);
    }
    if (!ok) attach_spans(spans);
    return ok ? to_list(spans).release() : nullptr;
  });
}

PyObject* route_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  PyObject *box, *name = nullptr, *queue = nullptr, *owner = nullptr, *bind = Py_None, *trace = nullptr;
  int priority = 1, submits = 0, results = 0, detached = 0;
  double delay = 0.0, at = 0.0;
  Py_ssize_t least = 0, most = 65'535;
  static const char* names[] = {"outbox", "name", "queue",    "owner",    "priority", "submit", "results", "detached",
                                "delay",  "at",   "min_args", "max_args", "bind",     "trace",  nullptr};
  if (PyArg_ParseTupleAndKeywords(args, kwargs, "O!|$UUOipppddnnOS:Route", const_cast<char**>(names), state().outbox,
                                  &box, &name, &queue, &owner, &priority, &submits, &results, &detached, &delay, &at,
                                  &least, &most, &bind, &trace) == 0)
    return nullptr;
  if (name == nullptr || queue == nullptr || owner == nullptr) {
    PyErr_SetString(PyExc_TypeError, "Route() needs name, queue and owner");
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    const Ref context(trace == nullptr ? PyBytes_FromStringAndSize(nullptr, 0) : Py_NewRef(trace));
    if (!context) return nullptr;
    const FrameTexts texts{checked_name(name), checked_queue(queue), checked_trace(context.get())};
    if (priority < 0 || priority > 2) throw py::value_error("priority must be between 0 and 2");
    PyObject* self = type->tp_alloc(type, 0);
    if (self == nullptr) return nullptr;
    RouteObject* to = route(self);
    to->vectorcall = route_call;
    to->outbox = as<OutboxObject>(Py_NewRef(box));
    to->name = Py_NewRef(name);
    to->queue = Py_NewRef(queue);
    to->owner = Py_NewRef(owner);
    to->bind = bind == Py_None ? nullptr : Py_NewRef(bind);
    to->delay = delay;
    to->at = at;
    to->min_args = least;
    to->max_args = most;
    to->priority = priority;
    to->submit = submits != 0;
    to->results = results != 0;
    to->detached = detached != 0;
    to->trace = Py_NewRef(context.get());
    to->texts = texts;
    return self;
  });
}

int route_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(object(route(self)->outbox));
  Py_VISIT(route(self)->owner);
  Py_VISIT(route(self)->bind);
  return 0;
}

// The outbox stays: a frame of the route needs it to the end. Its own clear breaks the cycle.
int route_clear(PyObject* self) {
  Py_CLEAR(route(self)->bind);
  PyObject* owner = route(self)->owner;
  route(self)->owner = Py_NewRef(Py_None);
  Py_XDECREF(owner);
  return 0;
}

void route_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  Py_CLEAR(route(self)->bind);
  Py_CLEAR(route(self)->owner);
  Py_CLEAR(route(self)->name);
  Py_CLEAR(route(self)->queue);
  Py_CLEAR(route(self)->trace);
  Py_XDECREF(object(route(self)->outbox));
  type->tp_free(self);
  Py_DECREF(type);
}

PyMemberDef route_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(RouteObject, vectorcall), READONLY, nullptr},
    {"name", T_OBJECT_EX, offsetof(RouteObject, name), READONLY, "Task name."},
    {"queue", T_OBJECT_EX, offsetof(RouteObject, queue), READONLY, "Queue name."},
    {"owner", T_OBJECT_EX, offsetof(RouteObject, owner), READONLY, "What answers for the handles."},
    {"priority", T_INT, offsetof(RouteObject, priority), READONLY, "0 high, 1 normal, 2 low."},
    {"submit", T_BOOL, offsetof(RouteObject, submit), READONLY, "Whether calls wait for acceptance."},
    {"results", T_BOOL, offsetof(RouteObject, results), READONLY, "Whether outcomes are kept."},
    {"detached", T_BOOL, offsetof(RouteObject, detached), READONLY, "Whether handlers' calls go out by themselves."},
    {"delay", T_DOUBLE, offsetof(RouteObject, delay), READONLY, "Seconds."},
    {"at", T_DOUBLE, offsetof(RouteObject, at), READONLY, "Seconds since 1970; 0: none."},
    {"trace", T_OBJECT_EX, offsetof(RouteObject, trace), READONLY, "The context that the calls are sent in."},
    {nullptr, 0, 0, 0, nullptr}};

PyMethodDef route_methods[] = {
    {"append", as_method(route_append), METH_FASTCALL | METH_KEYWORDS,
     "Like a call, but on_submit is not called: the frame and the handle."},
    {"extend", route_extend, METH_O,
     "Append many rows (tuples of positional arguments): a list of (frame, first index, number of rows)."},
    {nullptr, nullptr, 0, nullptr}};

PyType_Slot route_slots[] = {{Py_tp_new, reinterpret_cast<void*>(route_new)},
                             {Py_tp_dealloc, reinterpret_cast<void*>(route_dealloc)},
                             {Py_tp_traverse, reinterpret_cast<void*>(route_traverse)},
                             {Py_tp_clear, reinterpret_cast<void*>(route_clear)},
                             {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                             {Py_tp_members, route_members},
                             {Py_tp_methods, route_methods},
                             {Py_tp_doc, const_cast<char*>("Where calls of one task go. Calling it appends one row.")},
                             {0, nullptr}};

PyType_Spec route_spec = {
    "ttp.native._core.Route", sizeof(RouteObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE, route_slots};

}  // namespace

}  // namespace ttp::bindings

void bind_route(pybind11::module_& module) {
  using namespace ttp::bindings;
  state().route = add_type(module.ptr(), route_spec);
  if (state().route == nullptr) throw pybind11::error_already_set();
}
