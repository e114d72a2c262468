#include "outbox.hpp"

#include "bind_pool.hpp"
#include "bindings.hpp"
#include "route.hpp"

#include <structmember.h>

#include <algorithm>
#include <cmath>

namespace ttp::bindings {

namespace {

OutboxObject* outbox(PyObject* self) { return as<OutboxObject>(self); }

bool call_back(PyObject* callback) {
  if (callback == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "the outbox is gone");
    return false;
  }
  const Ref alive = Ref::borrow(callback);
  return static_cast<bool>(Ref(PyObject_CallNoArgs(callback)));
}

// Ends every frame; those that Python holds lose their memory too.
void forget_all(OutboxObject* self) noexcept {
  OutboxBody& body = self->body;
  for (FrameObject* frame : body.open) frame->route->current = nullptr;
  while (body.live != nullptr) {
    FrameObject* frame = body.live;
    release_frame(frame);
  }
  // Detached first: the last reference to a frame may run anything.
  std::vector<FrameObject*> open;
  std::deque<FrameObject*> sealed;
  open.swap(body.open);
  sealed.swap(body.sealed);
  for (FrameObject* frame : open) Py_DECREF(object(frame));
  for (FrameObject* frame : sealed) Py_DECREF(object(frame));
}

PyObject* outbox_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  PyObject *pool_object, *producer, *on_sealed = nullptr, *on_submit = nullptr, *on_full = nullptr;
  static const char* names[] = {"pool", "producer", "on_sealed", "on_submit", "on_full", nullptr};
  if (PyArg_ParseTupleAndKeywords(args, kwargs, "OS|$OOO:Outbox", const_cast<char**>(names), &pool_object, &producer,
                                  &on_sealed, &on_submit, &on_full) == 0)
    return nullptr;
  if (on_sealed == nullptr || on_submit == nullptr || on_full == nullptr) {
    PyErr_SetString(PyExc_TypeError, "Outbox() needs on_sealed, on_submit and on_full");
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    std::shared_ptr<MemoryPool> pool = pool_of(pool_object);
    if (pool == nullptr) return nullptr;
    const ProducerId id = checked_producer(producer);
    PyObject* self = type->tp_alloc(type, 0);
    if (self == nullptr) return nullptr;
    new (&outbox(self)->body) OutboxBody();
    outbox(self)->body.open.reserve(kMaxOpen);
    outbox(self)->body.pool = std::move(pool);
    outbox(self)->body.producer = id;
    outbox(self)->producer = Py_NewRef(producer);
    outbox(self)->on_sealed = Py_NewRef(on_sealed);
    outbox(self)->on_submit = Py_NewRef(on_submit);
    outbox(self)->on_full = Py_NewRef(on_full);
    return self;
  });
}

int outbox_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(outbox(self)->on_sealed);
  Py_VISIT(outbox(self)->on_submit);
  Py_VISIT(outbox(self)->on_full);
  for (FrameObject* frame : outbox(self)->body.open) Py_VISIT(object(frame));
  for (FrameObject* frame : outbox(self)->body.sealed) Py_VISIT(object(frame));
  return 0;
}

int outbox_clear(PyObject* self) {
  forget_all(outbox(self));
  Py_CLEAR(outbox(self)->on_sealed);
  Py_CLEAR(outbox(self)->on_submit);
  Py_CLEAR(outbox(self)->on_full);
  return 0;
}

void outbox_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  outbox_clear(self);
  Py_CLEAR(outbox(self)->producer);
  outbox(self)->body.~OutboxBody();
  type->tp_free(self);
  Py_DECREF(type);
}

bool has_frames(const OutboxObject* self) { return !self->body.open.empty() || !self->body.sealed.empty(); }

PyObject* outbox_wait(PyObject* self, PyObject* argument) {
  const double timeout = PyFloat_AsDouble(argument);
  if (timeout == -1.0 && PyErr_Occurred() != nullptr) return nullptr;
  if (std::isnan(timeout)) {
    PyErr_SetString(PyExc_ValueError, "timeout must be a number of seconds");
    return nullptr;
  }
  OutboxBody& body = outbox(self)->body;
  bool signalled = body.woken;
  body.woken = false;
  if (signalled || has_frames(outbox(self))) Py_RETURN_TRUE;
  if (timeout > 0) {
    // At most a year: more would overflow the clock.
    const std::chrono::nanoseconds limit(static_cast<int64_t>(std::min(timeout, 3.2e7) * 1e9));
    const uint64_t armed_at = body.wakeup.arm();
    Py_BEGIN_ALLOW_THREADS;
    signalled = body.wakeup.wait(armed_at, limit);
    Py_END_ALLOW_THREADS;
    if (signalled) body.woken = false;
  }
  return PyBool_FromLong(static_cast<long>(signalled || has_frames(outbox(self))));
}

PyObject* outbox_wake(PyObject* self, PyObject*) {
  outbox(self)->body.woken = true;  // for a waiter that has not come yet
  outbox(self)->body.wakeup.signal();
  Py_RETURN_NONE;
}

PyObject* outbox_seal(PyObject* self, PyObject*) {
  seal_all(outbox(self));
  Py_RETURN_NONE;
}

PyObject* outbox_take(PyObject* self, PyObject*) {
  std::deque<FrameObject*>& sealed = outbox(self)->body.sealed;
  while (!sealed.empty()) {
    FrameObject* frame = sealed.front();
    sealed.pop_front();
    if (!frame->body.released) return object(frame);
    Py_DECREF(object(frame));
  }
  Py_RETURN_NONE;
}

PyObject* outbox_reset(PyObject* self, PyObject* producer) {
  if (!PyBytes_Check(producer)) {
    PyErr_SetString(PyExc_TypeError, "producer must be bytes");
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    OutboxObject* box = outbox(self);
    box->body.producer = checked_producer(producer);
    Py_SETREF(box->producer, Py_NewRef(producer));
    box->attended = 0;
    // Not destroyed: a thread of the parent may hold or await it, and has no counterpart here.
    box->body.woken = false;
    new (&box->body.wakeup) Wakeup();
    forget_all(box);
    Py_RETURN_NONE;
  });
}

PyObject* outbox_open(PyObject* self, void*) { return PyLong_FromSize_t(outbox(self)->body.open.size()); }

PyObject* outbox_sealed(PyObject* self, void*) {
  const std::deque<FrameObject*>& sealed = outbox(self)->body.sealed;
  return PyLong_FromSsize_t(
      std::count_if(sealed.begin(), sealed.end(), [](FrameObject* frame) { return !frame->body.released; }));
}

PyMemberDef outbox_members[] = {
    {"attended", T_BOOL, offsetof(OutboxObject, attended), 0, "Whether somebody waits for frames."},
    {"offset_us", T_LONGLONG, offsetof(OutboxObject, offset_us), 0, "Server time minus local time, microseconds."},
    {"producer", T_OBJECT_EX, offsetof(OutboxObject, producer), READONLY, "Id of the producing process."},
    {nullptr, 0, 0, 0, nullptr}};

PyGetSetDef outbox_properties[] = {{"open", outbox_open, nullptr, "Frames open with rows.", nullptr},
                                   {"sealed", outbox_sealed, nullptr, "Frames sealed, not yet taken.", nullptr},
                                   {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMethodDef outbox_methods[] = {
    {"wait", outbox_wait, METH_O,
     "Wait without the GIL until a frame is open or sealed, or `wake` is called; False after timeout seconds."},
    {"wake", outbox_wake, METH_NOARGS, "End the present `wait`, or the next one."},
    {"seal", outbox_seal, METH_NOARGS, "Seal every open frame."},
    {"take", outbox_take, METH_NOARGS, "The oldest sealed frame, which is the caller's from now on; or None."},
    {"reset", outbox_reset, METH_O, "After a fork: forget every frame, give all blocks back, start as this producer."},
    {nullptr, nullptr, 0, nullptr}};

PyType_Slot outbox_slots[] = {{Py_tp_new, reinterpret_cast<void*>(outbox_new)},
                              {Py_tp_dealloc, reinterpret_cast<void*>(outbox_dealloc)},
                              {Py_tp_traverse, reinterpret_cast<void*>(outbox_traverse)},
                              {Py_tp_clear, reinterpret_cast<void*>(outbox_clear)},
                              {Py_tp_members, outbox_members},
                              {Py_tp_getset, outbox_properties},
                              {Py_tp_methods, outbox_methods},
                              {Py_tp_doc, const_cast<char*>("The frames of one producer.")},
                              {0, nullptr}};

PyType_Spec outbox_spec = {"ttp.native._core.Outbox", sizeof(OutboxObject), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, outbox_slots};

// A frame for the route, with memory for a row of this size at least. nullptr with the Python error set; or
// with none set, where the pool is empty.
Ref open_frame(RouteObject* route, size_t row) {
  OutboxObject* box = route->outbox;
  Block block = box->body.pool->acquire();
  if (!block) return {};
  Ref owner(object(allocate_frame()));
  if (!owner) return {};
  auto* frame = as<FrameObject>(owner.get());
  address_frame(frame, route);
  FrameMemory& memory = frame->body.memory;
  size_t capacity = block.size();
  memory.block = std::move(block);
  const size_t needed = FrameWriter::needed(route->texts, row, false);
  if (needed > capacity) {
    capacity = needed;
    memory.heap.reset(new (std::nothrow) uint8_t[capacity]);
    if (memory.heap == nullptr) {
      PyErr_NoMemory();
      return {};
    }
  }
  start_frame(frame, capacity, 0, false);
  frame->outbox = box;
  frame->following = box->body.live;
  if (frame->following != nullptr) frame->following->previous = frame;
  box->body.live = frame;
  return owner;
}

}  // namespace

void forget_open(FrameObject* frame) noexcept {
  std::vector<FrameObject*>& open = frame->route->outbox->body.open;
  const auto at = std::find(open.begin(), open.end(), frame);
  frame->route->current = nullptr;
  if (at == open.end()) return;
  open.erase(at);
  Py_DECREF(object(frame));
}

void seal_into_outbox(FrameObject* frame) noexcept {
  OutboxBody& body = frame->route->outbox->body;
  const auto at = std::find(body.open.begin(), body.open.end(), frame);
  frame->route->current = nullptr;
  seal_frame(frame);
  body.open.erase(at);
  body.sealed.push_back(frame);  // the reference moves along
}

void seal_all(OutboxObject* box) noexcept {
  while (!box->body.open.empty()) seal_into_outbox(box->body.open.front());
}

FrameObject* frame_with_room(RouteObject* route, size_t row) {
  OutboxObject* box = route->outbox;
  // Each call-back may have changed everything, so each turn looks anew.
  for (;;) {
    if (route->current != nullptr && route->current->body.writer.fits(row)) return route->current;
    if (route->current != nullptr) {
      seal_into_outbox(route->current);
      if (!call_back(box->on_sealed)) return nullptr;
      continue;
    }
    if (box->body.open.size() >= kMaxOpen) seal_all(box);
    Ref frame = open_frame(route, row);
    if (!frame) {
      if (PyErr_Occurred() != nullptr || !call_back(box->on_full)) return nullptr;
      continue;
    }
    // Making it may have run the collector, and with it anything.
    if (route->current != nullptr || box->body.open.size() >= kMaxOpen) continue;
    box->body.open.push_back(as<FrameObject>(frame.get()));
    route->current = as<FrameObject>(frame.release());  // the list has it, now that it has room
    return route->current;
  }
}

bool appended(FrameObject* frame, bool wake) {
  OutboxObject* box = frame->route->outbox;
  if (wake && box->body.wakeup.awaited()) box->body.wakeup.signal();
  // Nothing more will fit, or it is over the size of a block by itself: it need not wait for another row.
  const bool full = frame->open() && (frame->body.memory.heap != nullptr || !frame->body.writer.fits(0));
  if (full) seal_into_outbox(frame);
  return (!full && box->attended != 0) || call_back(box->on_sealed);
}

}  // namespace ttp::bindings

void bind_outbox(pybind11::module_& module) {
  using namespace ttp::bindings;
  state().outbox = add_type(module.ptr(), outbox_spec);
  if (state().outbox == nullptr) throw pybind11::error_already_set();
}
