#include "slice.hpp"

#include "bindings.hpp"

#include <structmember.h>

namespace ttp::bindings {

void SliceBody::begin(Py_ssize_t row) noexcept {
  current = row;
  current_size = 0;
  running.store(row, std::memory_order_relaxed);
  next.store(row + 1, std::memory_order_relaxed);
}

void SliceBody::end(Outcome outcome) noexcept {
  outcomes[static_cast<size_t>(current - first)] = outcome;
  current = -1;
  current_size = 0;
  running.store(-1, std::memory_order_relaxed);
}

void SliceBody::pass_over() noexcept {
  Py_ssize_t row = next.load(std::memory_order_relaxed);
  while (row < stop && outcomes[static_cast<size_t>(row - first)] == Outcome::Cancelled) ++row;
  next.store(row, std::memory_order_relaxed);
}

void SliceBody::record(Py_ssize_t row, Outcome outcome, Bytes value) {
  // Room first, so that nothing is half recorded if there is none.
  if (entries.size() == entries.capacity()) entries.reserve(entries.size() * 2 + 16);
  values.insert(values.end(), value.data, value.data + value.size);
  entries.push_back({row, outcome, values.size()});
}

void SliceBody::unrecord(Py_ssize_t row) noexcept {
  while (!entries.empty() && entries.back().row == row) {
    entries.pop_back();
    values.resize(entries.empty() ? 0 : entries.back().end);
  }
}

void SliceBody::keep_results(Py_ssize_t from, Py_ssize_t to) noexcept {
  size_t kept = 0, begin = 0, size = 0;
  for (const SliceEntry& entry : entries) {
    const size_t length = entry.end - begin;
    if (entry.row >= from && entry.row < to) {
      std::memmove(values.data() + size, values.data() + begin, length);
      size += length;
      entries[kept++] = {entry.row, entry.outcome, size};
    }
    begin = entry.end;
  }
  entries.resize(kept);
  values.resize(size);
}

bool record_value(SliceObject* slice, Py_ssize_t row, Outcome outcome, PyObject* value) {
  ByteWriter out(kMaxTask);
  if (!Encoder(out).encode(value, "value")) return false;
  return guarded([&]() -> int {
           slice->body.record(row, outcome, {out.data(), out.size()});
           return 0;
         }) == 0;
}

Ref slice_in_scope() {
  PyObject* value = nullptr;
  if (PyContextVar_Get(state().scope, nullptr, &value) != 0) return {};
  Ref slice(value);
  // A context that outlived its task (a thread or coroutine that the handler started): there is no parent any more.
  if (Py_TYPE(value) != state().slice || as<SliceObject>(value)->body.current < 0) return {};
  return slice;
}

namespace {

SliceObject* slice(PyObject* self) { return as<SliceObject>(self); }

// A slice of unstarted rows. New reference; nullptr with the Python error set. Throws std::bad_alloc.
PyObject* allocate_slice(PyTypeObject* type, PyObject* frame, const PyFrameView* view, Py_ssize_t start,
                         Py_ssize_t stop) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  const Ref owner(self);
  new (&slice(self)->body) SliceBody();
  SliceBody& body = slice(self)->body;
  body.outcomes.assign(static_cast<size_t>(stop - start), Outcome::None);
  body.view = view;
  body.first = body.start = start;
  body.stop = stop;
  body.next.store(start, std::memory_order_relaxed);
  slice(self)->frame = Py_NewRef(frame);
  ttp::bindings::state().slices = true;
  return Py_NewRef(self);
}

PyObject* slice_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  PyObject* frame;
  Py_ssize_t start, stop;
  static const char* names[] = {"", "", "", nullptr};
  if (PyArg_ParseTupleAndKeywords(args, kwargs, "Onn:Slice", const_cast<char**>(names), &frame, &start, &stop) == 0)
    return nullptr;
  return guarded([&]() -> PyObject* {
    if (!py::isinstance<PyFrameView>(frame)) throw py::type_error("frame must be a FrameView");
    const auto* view = py::handle(frame).cast<const PyFrameView*>();
    if (start < 0 || start > stop || static_cast<size_t>(stop) > view->view().count())
      throw py::value_error("a slice is a range of the frame's rows");
    return allocate_slice(type, frame, view, start, stop);
  });
}

int slice_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(slice(self)->frame);
  Py_VISIT(slice(self)->state);
  for (FrameObject* frame : slice(self)->body.children) Py_VISIT(object(frame));
  return 0;
}

int slice_clear(PyObject* self) {
  std::vector<FrameObject*> children;
  children.swap(slice(self)->body.children);
  for (FrameObject* frame : children) Py_DECREF(object(frame));
  Py_CLEAR(slice(self)->state);
  return 0;
}

void slice_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  slice_clear(self);
  Py_CLEAR(slice(self)->frame);
  slice(self)->body.~SliceBody();
  type->tp_free(self);
  Py_DECREF(type);
}

bool value_error(const char* why) {
  PyErr_SetString(PyExc_ValueError, why);
  return false;
}

bool parse_outcome(PyObject* number, Outcome& outcome) {
  const long value = PyLong_AsLong(number);
  if (value == -1 && PyErr_Occurred() != nullptr) return false;
  if (value < static_cast<long>(Outcome::Done) || value > static_cast<long>(Outcome::Back))
    return value_error("not an outcome");
  outcome = static_cast<Outcome>(value);
  return true;
}

PyObject* slice_cancel(PyObject* self, PyObject* number) {
  const Py_ssize_t row = PyNumber_AsSsize_t(number, PyExc_ValueError);
  if (row == -1 && PyErr_Occurred() != nullptr) return nullptr;
  return guarded([&]() -> PyObject* {
    SliceBody& body = slice(self)->body;
    if (row < body.next.load(std::memory_order_relaxed) || row >= body.stop)
      throw py::value_error("only an unstarted row can be cancelled");
    Outcome& outcome = body.outcomes[static_cast<size_t>(row - body.first)];
    static constexpr uint8_t kNil = 0xc0;
    if (outcome != Outcome::Cancelled && body.keeps_results()) body.record(row, Outcome::Cancelled, {&kNil, 1});
    outcome = Outcome::Cancelled;
    if (body.current < 0) body.pass_over();
    Py_RETURN_NONE;
  });
}

PyObject* slice_detach(PyObject* self, PyObject* number) {
  const Py_ssize_t row = PyNumber_AsSsize_t(number, PyExc_ValueError);
  if (row == -1 && PyErr_Occurred() != nullptr) return nullptr;
  return guarded([&]() -> PyObject* {
    SliceBody& body = slice(self)->body;
    const auto check = [&] {
      if (row < body.next.load(std::memory_order_relaxed) || row >= body.stop)
        throw py::value_error("only unstarted rows can be detached");
    };
    check();
    Ref rest(allocate_slice(Py_TYPE(self), slice(self)->frame, body.view, row, body.stop));
    if (!rest) return nullptr;
    check();  // making it may have run the collector, and with it anything
    SliceBody& other = slice(rest.get())->body;
    other.stop = body.stop;
    other.outcomes.assign(body.outcomes.begin() + (row - body.first), body.outcomes.begin() + (body.stop - body.first));
    size_t begin = 0;
    for (const SliceEntry& entry : body.entries) {  // of cancelled rows
      if (entry.row >= row) other.record(entry.row, entry.outcome, {body.values.data() + begin, entry.end - begin});
      begin = entry.end;
    }
    other.halted = body.halted;
    other.pass_over();
    slice(rest.get())->state = Py_XNewRef(slice(self)->state);
    body.outcomes.resize(static_cast<size_t>(row - body.first));
    body.stop = row;
    if (!other.entries.empty()) body.keep_results(0, row);
    return rest.release();
  });
}

PyObject* slice_run(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 2) {
    PyErr_SetString(PyExc_TypeError, "run() takes a handler and on_error");
    return nullptr;
  }
  return run(slice(self), args[0], args[1]);
}

PyObject* slice_begin(PyObject* self, PyObject* number) {
  const Py_ssize_t row = PyNumber_AsSsize_t(number, PyExc_ValueError);
  if (row == -1 && PyErr_Occurred() != nullptr) return nullptr;
  SliceBody& body = slice(self)->body;
  if (body.current >= 0) return value_error("a row of the slice is running"), nullptr;
  if (row != body.next.load(std::memory_order_relaxed) || row >= body.stop)
    return value_error("only the next row can begin"), nullptr;
  body.begin(row);
  Py_RETURN_NONE;
}

PyObject* slice_finish(PyObject* self, PyObject* args) {
  Py_ssize_t row;
  PyObject *number, *value = Py_None;
  if (PyArg_ParseTuple(args, "nO|O:finish", &row, &number, &value) == 0) return nullptr;
  return guarded([&]() -> PyObject* {
    SliceBody& body = slice(self)->body;
    Outcome outcome;
    if (!parse_outcome(number, outcome)) return nullptr;
    if (row < 0 || row != body.current || body.thread != 0) throw py::value_error("only a row that was begun can end");
    std::vector<Ref> gone;
    if (outcome == Outcome::Done) {
      if (body.keeps_results() && !record_value(slice(self), row, outcome, value)) return nullptr;
    } else {
      drop_children(body, gone);
    }
    if (body.current != row) throw py::value_error("the row has ended meanwhile");
    body.end(outcome);
    body.pass_over();
    Py_RETURN_NONE;
  });
}

PyObject* slice_finish_rows(PyObject* self, PyObject* args, PyObject* kwargs) {
  Py_ssize_t stop;
  PyObject* number;
  int keep = 0;
  static const char* names[] = {"", "", "keep", nullptr};
  if (PyArg_ParseTupleAndKeywords(args, kwargs, "nO|$p:finish_rows", const_cast<char**>(names), &stop, &number,
                                  &keep) == 0)
    return nullptr;
  return guarded([&]() -> PyObject* {
    SliceBody& body = slice(self)->body;
    Outcome outcome;
    if (!parse_outcome(number, outcome)) return nullptr;
    if (body.current < 0 || body.thread != 0) throw py::value_error("only a row that was begun can end");
    std::vector<Ref> gone;
    if (outcome != Outcome::Done && keep == 0) drop_children(body, gone);
    static constexpr uint8_t kNil = 0xc0;
    const bool record = outcome == Outcome::Done && body.keeps_results();
    for (;;) {
      if (record) body.record(body.current, outcome, {&kNil, 1});
      body.end(outcome);
      body.pass_over();
      const Py_ssize_t row = body.next.load(std::memory_order_relaxed);
      if (row >= stop || row >= body.stop) break;
      body.begin(row);
    }
    Py_RETURN_NONE;
  });
}

PyObject* slice_withdraw(PyObject* self, PyObject*) {
  SliceBody& body = slice(self)->body;
  if (body.current < 0 || body.thread != 0) return value_error("only a row that was begun can be withdrawn"), nullptr;
  return guarded([&]() -> PyObject* {
    std::vector<Ref> gone;
    drop_children(body, gone);
    const Py_ssize_t row = body.current;
    body.unrecord(row);
    body.current = -1;
    body.running.store(-1, std::memory_order_relaxed);
    body.next.store(row, std::memory_order_relaxed);
    Py_RETURN_NONE;
  });
}

PyObject* slice_halt(PyObject* self, PyObject*) {
  slice(self)->body.halted = true;
  Py_RETURN_NONE;
}

PyObject* slice_interrupt(PyObject* self, PyObject* args) {
  Py_ssize_t row;
  PyObject* exception;
  if (PyArg_ParseTuple(args, "nO:interrupt", &row, &exception) == 0) return nullptr;
  if (!PyExceptionClass_Check(exception)) {
    PyErr_SetString(PyExc_TypeError, "exception must be an exception class");
    return nullptr;
  }
  SliceBody& body = slice(self)->body;
  if (row < 0 || body.thread == 0 || body.running.load(std::memory_order_relaxed) != row) Py_RETURN_FALSE;
  body.interrupted = true;
  return PyBool_FromLong(PyThreadState_SetAsyncExc(body.thread, exception));
}

PyObject* slice_record(PyObject* self, PyObject* args) {
  Py_ssize_t row;
  PyObject *number, *value;
  if (PyArg_ParseTuple(args, "nOO:record", &row, &number, &value) == 0) return nullptr;
  const SliceBody& body = slice(self)->body;
  Outcome outcome;
  if (!parse_outcome(number, outcome)) return nullptr;
  if (outcome == Outcome::Back) return value_error("BACK is no result"), nullptr;
  if (row < body.start || row >= body.next.load(std::memory_order_relaxed))
    return value_error("only a row that was started has a result"), nullptr;
  if (body.keeps_results() && !record_value(slice(self), row, outcome, value)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* slice_settle(PyObject* self, PyObject* args, PyObject* kwargs) {
  int cut = 1;
  static const char* names[] = {"cut", nullptr};
  if (PyArg_ParseTupleAndKeywords(args, kwargs, "|$p:settle", const_cast<char**>(names), &cut) == 0) return nullptr;
  return guarded([&] { return settle(slice(self), cut != 0); });
}

PyObject* slice_start(PyObject* self, void*) { return PyLong_FromSsize_t(slice(self)->body.start); }
PyObject* slice_stop(PyObject* self, void*) { return PyLong_FromSsize_t(slice(self)->body.stop); }
PyObject* slice_running(PyObject* self, void*) {
  return PyLong_FromSsize_t(slice(self)->body.running.load(std::memory_order_relaxed));
}
PyObject* slice_next(PyObject* self, void*) {
  return PyLong_FromSsize_t(slice(self)->body.next.load(std::memory_order_relaxed));
}
PyObject* slice_halted(PyObject* self, void*) { return PyBool_FromLong(static_cast<long>(slice(self)->body.halted)); }
PyObject* slice_weight(PyObject* self, void*) { return PyLong_FromSize_t(slice(self)->body.weight()); }

PyMemberDef slice_members[] = {
    {"frame", T_OBJECT_EX, offsetof(SliceObject, frame), READONLY, "The frame whose rows these are."},
    {"state", T_OBJECT, offsetof(SliceObject, state), 0, "Free for the worker; None at first."},
    {nullptr, 0, 0, 0, nullptr}};

PyGetSetDef slice_properties[] = {
    {"start", slice_start, nullptr, "The first row that is not settled.", nullptr},
    {"stop", slice_stop, nullptr, "The row after the last one.", nullptr},
    {"running", slice_running, nullptr, "The row whose handler runs; -1: none.", nullptr},
    {"next", slice_next, nullptr, "The first unstarted row.", nullptr},
    {"halted", slice_halted, nullptr, "Whether no further row is to start.", nullptr},
    {"weight", slice_weight, nullptr, "Bytes of results and children not settled yet.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMethodDef slice_methods[] = {
    {"cancel", slice_cancel, METH_O, "Mark an unstarted row CANCELLED: it is passed over."},
    {"detach", slice_detach, METH_O, "Make the unstarted rows from this one on a slice of their own."},
    {"run", as_method(slice_run), METH_FASTCALL,
     "Call handler(*args, **kwargs) for each unstarted row; errors go to on_error(row, exception)."},
    {"begin", slice_begin, METH_O, "Mark the row (which must be `next`) running: for coroutines."},
    {"finish", slice_finish, METH_VARARGS, "End a row begun."},
    {"finish_rows", as_method(slice_finish_rows), METH_VARARGS | METH_KEYWORDS,
     "End the row begun and all after it, up to stop, with one outcome."},
    {"withdraw", slice_withdraw, METH_NOARGS, "Take back the begin of a row: it is unstarted again."},
    {"halt", slice_halt, METH_NOARGS, "Make `run` return before it starts another row."},
    {"interrupt", slice_interrupt, METH_VARARGS,
     "Raise exception in the thread inside `run`, if `running` is still row; else False."},
    {"record", slice_record, METH_VARARGS, "Add an entry to the results, where the frame keeps them."},
    {"settle", as_method(slice_settle), METH_VARARGS | METH_KEYWORDS,
     "Take what finished rows have come to: (first row, outcomes, results block, children, whether one runs)."},
    {nullptr, nullptr, 0, nullptr}};

PyType_Slot slice_slots[] = {{Py_tp_new, reinterpret_cast<void*>(slice_new)},
                             {Py_tp_dealloc, reinterpret_cast<void*>(slice_dealloc)},
                             {Py_tp_traverse, reinterpret_cast<void*>(slice_traverse)},
                             {Py_tp_clear, reinterpret_cast<void*>(slice_clear)},
                             {Py_tp_members, slice_members},
                             {Py_tp_getset, slice_properties},
                             {Py_tp_methods, slice_methods},
                             {Py_tp_doc, const_cast<char*>("Rows [start, stop) of a frame, run one after the other.")},
                             {0, nullptr}};

PyType_Spec slice_spec = {"ttp.native._core.Slice", sizeof(SliceObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, slice_slots};

}  // namespace

}  // namespace ttp::bindings

void bind_slice(pybind11::module_& module) {
  using namespace ttp::bindings;
  using ttp::Outcome;
  const std::pair<const char*, Outcome> outcomes[] = {{"NONE", Outcome::None},           {"DONE", Outcome::Done},
                                                      {"RETRY", Outcome::Retry},         {"DEAD", Outcome::Dead},
                                                      {"CANCELLED", Outcome::Cancelled}, {"BACK", Outcome::Back}};
  for (const auto& [name, outcome] : outcomes) module.attr(name) = static_cast<int>(outcome);
  module.attr("MAX_UNSETTLED") = kMaxUnsettled;
  state().slice = add_type(module.ptr(), slice_spec);
  if (state().slice == nullptr) throw pybind11::error_already_set();
}
