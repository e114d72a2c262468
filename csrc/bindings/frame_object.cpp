#include "frame_object.hpp"

#include "bindings.hpp"
#include "outbox.hpp"
#include "route.hpp"

#include <structmember.h>

#include <chrono>
#include <random>

#if defined(__linux__)
#include <sys/random.h>
#endif

namespace ttp::bindings {

namespace {

FrameObject* frame(PyObject* self) { return as<FrameObject>(self); }

// Takes the frame out of the list of its outbox's live frames.
void unlink(FrameObject* self) noexcept {
  if (self->outbox == nullptr) return;
  if (self->previous != nullptr)
    self->previous->following = self->following;
  else
    self->outbox->body.live = self->following;
  if (self->following != nullptr) self->following->previous = self->previous;
  self->outbox = nullptr;
}

bool check_settled(FrameObject* self) {
  if (!self->body.settled) PyErr_SetString(PyExc_ValueError, "the frame belongs to a slice until it is settled");
  return self->body.settled;
}

int frame_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(frame(self)->route);
  Py_VISIT(frame(self)->outcome);
  return 0;
}

int frame_clear(PyObject* self) {
  release_frame(frame(self));
  Py_CLEAR(frame(self)->route);
  Py_CLEAR(frame(self)->outcome);
  return 0;
}

void frame_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  frame_clear(self);
  frame(self)->body.~FrameBody();
  type->tp_free(self);
  Py_DECREF(type);
}

int frame_getbuffer(PyObject* self, Py_buffer* view, int flags) {
  FrameBody& body = frame(self)->body;
  view->obj = nullptr;
  if (body.released) {
    PyErr_SetString(PyExc_ValueError, "the frame is released");
    return -1;
  }
  if (!check_settled(frame(self))) return -1;
  if (body.length == 0) seal_into_outbox(frame(self));
  const int failed = PyBuffer_FillInfo(view, self, body.memory.data(), static_cast<Py_ssize_t>(body.length), 1, flags);
  if (failed == 0) ++body.exports;
  return failed;
}

void frame_releasebuffer(PyObject* self, Py_buffer*) {
  FrameBody& body = frame(self)->body;
  if (--body.exports == 0 && body.released) body.memory.release();
}

PyObject* frame_data(PyObject* self, PyObject*) { return PyMemoryView_FromObject(self); }

PyObject* frame_release(PyObject* self, PyObject*) {
  if (!check_settled(frame(self))) return nullptr;
  release_frame(frame(self));
  Py_RETURN_NONE;
}

Py_ssize_t frame_length(PyObject* self) { return static_cast<Py_ssize_t>(frame(self)->rows()); }

PyObject* frame_fid(PyObject* self, void*) { return PyLong_FromUnsignedLongLong(frame(self)->body.header.fid); }
PyObject* frame_origin(PyObject* self, void*) { return PyLong_FromUnsignedLongLong(frame(self)->body.header.origin); }
PyObject* frame_sealed(PyObject* self, void*) { return PyBool_FromLong(static_cast<long>(!frame(self)->open())); }

PyMemberDef frame_members[] = {
    {"route", T_OBJECT_EX, offsetof(FrameObject, route), READONLY, "The route whose calls it holds."},
    {"outcome", T_OBJECT, offsetof(FrameObject, outcome), 0, "Free for the sender; None at first."},
    {nullptr, 0, 0, 0, nullptr}};

PyGetSetDef frame_properties[] = {{"fid", frame_fid, nullptr, nullptr, nullptr},
                                  {"origin", frame_origin, nullptr, nullptr, nullptr},
                                  {"sealed", frame_sealed, nullptr, "Whether it takes no more rows.", nullptr},
                                  {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMethodDef frame_methods[] = {
    {"data", frame_data, METH_NOARGS, "The frame's bytes: seals it first if need be. ValueError after release."},
    {"release", frame_release, METH_NOARGS,
     "Give the block back to the pool, once. While a view of the bytes is alive, that waits for its end."},
    {nullptr, nullptr, 0, nullptr}};

PyType_Slot frame_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(frame_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(frame_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(frame_clear)},
    {Py_bf_getbuffer, reinterpret_cast<void*>(frame_getbuffer)},
    {Py_bf_releasebuffer, reinterpret_cast<void*>(frame_releasebuffer)},
    {Py_sq_length, reinterpret_cast<void*>(frame_length)},
    {Py_tp_members, frame_members},
    {Py_tp_getset, frame_properties},
    {Py_tp_methods, frame_methods},
    {Py_tp_doc, const_cast<char*>("A frame on its way out: open (takes rows), sealed (has bytes), released.")},
    {0, nullptr}};

PyType_Spec frame_spec = {
    "ttp.native._core.FrameWriter", sizeof(FrameObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    frame_slots};

uint64_t now_us() {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  return static_cast<uint64_t>(
      duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
}

}  // namespace

uint64_t random_fid() {
  uint64_t fid = 0;
  while (fid == 0) {
#if defined(__linux__)
    if (getrandom(&fid, sizeof fid, 0) == sizeof fid) continue;
#endif
    std::random_device device;
    fid = uint64_t{device()} << 32 | device();
  }
  return fid;
}

FrameObject* allocate_frame() {
  PyTypeObject* type = state().frame_writer;
  auto* self = frame(type->tp_alloc(type, 0));
  if (self != nullptr) new (&self->body) FrameBody();
  return self;
}

void address_frame(FrameObject* self, RouteObject* route) {
  self->route = as<RouteObject>(Py_NewRef(object(route)));
  FrameHeader& header = self->body.header;
  header.fid = header.origin = random_fid();
  header.producer = route->outbox->body.producer;
  header.created_at = now_us() + static_cast<uint64_t>(route->outbox->offset_us);
  header.priority = static_cast<uint8_t>(route->priority);
  header.flags = route->results != 0 ? kFlagResults : 0;
}

void start_frame(FrameObject* self, size_t capacity, size_t first, bool may_be_cut) noexcept {
  const RouteObject* route = self->route;
  self->body.writer = FrameWriter(self->body.memory.data(), capacity, route->texts, first, may_be_cut);
}

void seal_frame(FrameObject* self) noexcept {
  FrameBody& body = self->body;
  body.count = body.writer.count();
  body.length = body.writer.seal(body.header);
}

void release_frame(FrameObject* self) noexcept {
  FrameBody& body = self->body;
  if (body.released) return;
  body.count = self->rows();
  if (self->open() && self->route != nullptr && self->route->current == self) forget_open(self);
  body.released = true;
  unlink(self);
  if (body.exports == 0) body.memory.release();
}

}  // namespace ttp::bindings

void bind_frame_writer(pybind11::module_& module) {
  using namespace ttp::bindings;
  state().frame_writer = add_type(module.ptr(), frame_spec);
  if (state().frame_writer == nullptr) throw pybind11::error_already_set();
}
