// The dispatch loop: decode a row, call the handler, note what became of it.
#include "py_decode.hpp"
#include "slice.hpp"

#include "ttp/column_frame.hpp"

namespace ttp::bindings {

namespace {

constexpr size_t kMaxFastKeywords = 16;

// Owned arguments of one call. The first slot is the callee's to use (PY_VECTORCALL_ARGUMENTS_OFFSET).
class Arguments {
 public:
  Arguments() noexcept = default;
  ~Arguments() {
    for (size_t i = 0; i < count_; ++i) Py_DECREF(items_[i]);
  }
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  // Room for so many in all. Throws std::bad_alloc.
  void reserve(size_t count) {
    if (count <= capacity_) return;
    std::unique_ptr<PyObject*[]> larger(new PyObject*[count + 1]);
    std::copy(items_, items_ + count_, larger.get() + 1);
    heap_ = std::move(larger);
    items_ = heap_.get() + 1;
    capacity_ = count;
  }
  // Precondition: there is room. false where there is no item.
  bool push(PyObject* owned) noexcept {
    if (owned != nullptr) items_[count_++] = owned;
    return owned != nullptr;
  }
  PyObject** items() noexcept { return items_; }
  size_t count() const noexcept { return count_; }

 private:
  static constexpr size_t kSmall = 24;
  PyObject* small_[kSmall + 1];
  PyObject** items_ = small_ + 1;
  size_t count_ = 0;
  size_t capacity_ = kSmall;
  std::unique_ptr<PyObject*[]> heap_;
};

PyObject* call_slowly(Bytes row, PyObject* handler) {
  const Ref pair(Decoder(row).arguments());
  return pair ? PyObject_Call(handler, PyTuple_GET_ITEM(pair.get(), 0), PyTuple_GET_ITEM(pair.get(), 1)) : nullptr;
}

// New reference to what the handler returned; nullptr with the Python error set. Throws std::bad_alloc.
PyObject* call(Bytes row, PyObject* handler) {
  Decoder in(row);
  Arguments arguments;
  size_t positional = 0;
  size_t keywords = 0;
  if (!in.begin_row(positional)) return nullptr;
  arguments.reserve(positional);
  for (size_t i = 0; i < positional; ++i)
    if (!arguments.push(in.argument())) return nullptr;
  if (!in.begin_keywords(keywords)) return nullptr;
  if (keywords == 0) {
    if (!in.end_row()) return nullptr;
    return PyObject_Vectorcall(handler, arguments.items(), positional | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr);
  }
  if (keywords > kMaxFastKeywords) return call_slowly(row, handler);
  arguments.reserve(positional + keywords);
  const Ref names(PyTuple_New(static_cast<Py_ssize_t>(keywords)));
  if (!names) return nullptr;
  for (size_t i = 0; i < keywords; ++i) {
    PyObject* name = in.keyword();
    if (name == nullptr) return nullptr;
    PyTuple_SET_ITEM(names.get(), static_cast<Py_ssize_t>(i), name);
    // A name that comes twice means the last value, as in any map.
    for (size_t j = 0; j < i; ++j)
      if (PyUnicode_Compare(PyTuple_GET_ITEM(names.get(), static_cast<Py_ssize_t>(j)), name) == 0)
        return call_slowly(row, handler);
    if (!arguments.push(in.argument())) return nullptr;
  }
  if (!in.end_row()) return nullptr;
  return PyObject_Vectorcall(handler, arguments.items(), positional | PY_VECTORCALL_ARGUMENTS_OFFSET, names.get());
}

// A row of a frame of columns, as the call it stands for.
PyObject* call_of_columns(const FrameView& view, size_t row, PyObject* handler) {
  ByteWriter out(kMaxFrame);
  if (!write_row(out, view.columns(), row)) return PyErr_NoMemory();
  return call({out.data(), out.size()}, handler);
}

void clear_interrupt(SliceBody& body) noexcept {
  if (!body.interrupted) return;
  PyThreadState_SetAsyncExc(body.thread, nullptr);
  body.interrupted = false;
}

// Hands the pending error to on_error. false with the Python error set if that raised.
bool failed(SliceObject* slice, Py_ssize_t row, PyObject* on_error, Outcome& outcome) {
  const Ref error = take_error();
  std::vector<Ref> gone;
  drop_children(slice->body, gone);
  gone.clear();
  const Ref number(PyLong_FromSsize_t(row));
  if (!number) return false;
  PyObject* arguments[] = {number.get(), error.get()};
  const Ref answer(PyObject_Vectorcall(on_error, arguments, 2, nullptr));
  if (!answer) return false;
  const long value = PyLong_AsLong(answer.get());
  if (value == -1 && PyErr_Occurred() != nullptr) return false;
  if (value < static_cast<long>(Outcome::Done) || value > static_cast<long>(Outcome::Back)) {
    PyErr_Format(PyExc_ValueError, "on_error must return an outcome, not %ld", value);
    return false;
  }
  outcome = static_cast<Outcome>(value);
  return true;
}

// For a handler that returned a coroutine, and so has not run: sets the Python error that says so.
void refuse(PyObject* coroutine) {
  const Ref unawaited(PyImport_ImportModule("ttp.native.unawaited"));
  const Ref never(unawaited ? PyObject_CallMethod(unawaited.get(), "refuse", "O", coroutine) : nullptr);
}

// One row from begin to end. false with the Python error set if on_error raised.
bool run_row(SliceObject* slice, Py_ssize_t row, PyObject* handler, PyObject* on_error) {
  SliceBody& body = slice->body;
  body.begin(row);
  const FrameView& view = body.view->view();
  const auto number = static_cast<size_t>(row);
  Ref result(view.columnar() ? call_of_columns(view, number, handler) : call(view.row(number), handler));
  // Nobody interrupts from here on; what is still on its way must not arrive later.
  body.running.store(-1, std::memory_order_relaxed);
  clear_interrupt(body);
  Outcome outcome = Outcome::Done;
  if (result && PyCoro_CheckExact(result.get())) {
    refuse(result.get());
    result = Ref();
  }
  if (result && body.keeps_results() && !record_value(slice, row, Outcome::Done, result.get())) result = Ref();
  if (result) {
    result = Ref();
    body.end(outcome);
    return true;
  }
  const bool decided = failed(slice, row, on_error, outcome);
  if (!decided) {
    outcome = Outcome::Back;
    body.unrecord(row);
  }
  std::vector<Ref> gone;
  if (outcome != Outcome::Done) drop_children(body, gone);
  body.end(outcome);
  if (!gone.empty()) {
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    gone.clear();
    PyErr_Restore(type, error, traceback);
  }
  return decided;
}

// The core was short of memory in the midst of a row: it is handed back, and what it has submitted is dropped.
void hand_back(SliceBody& body) {
  PyObject *type, *error, *traceback;
  PyErr_Fetch(&type, &error, &traceback);
  body.running.store(-1, std::memory_order_relaxed);  // as in run_row
  clear_interrupt(body);
  const int dropped = guarded([&]() -> int {
    std::vector<Ref> gone;
    drop_children(body, gone);
    return 0;
  });
  if (dropped == 0) {
    body.unrecord(body.current);
    body.end(Outcome::Back);
  } else {
    PyErr_Clear();  // the row stays as it is, and nothing of this slice is ever committed
  }
  PyErr_Restore(type, error, traceback);
}

bool run_rows(SliceObject* slice, PyObject* handler, PyObject* on_error) {
  SliceBody& body = slice->body;
  for (;;) {
    body.pass_over();
    const Py_ssize_t row = body.next.load(std::memory_order_relaxed);
    if (row >= body.stop || body.halted || body.weight() > kMaxUnsettled) return true;
    if (!run_row(slice, row, handler, on_error)) return false;
  }
}

// Puts `outer` in scope where CPython was short of memory: it may have set the slice and have no token for it, or
// have a token and not reset it. Keeps the pending error.
void leave_scope(PyObject* outer) {
  PyObject *type, *error, *traceback;
  PyErr_Fetch(&type, &error, &traceback);
  if (!Ref(PyContextVar_Set(state().scope, outer))) PyErr_Clear();
  PyErr_Restore(type, error, traceback);
}

// false: short of memory. Keeps the pending error.
bool reset_scope(PyObject* token) {
  PyObject *type, *error, *traceback;
  PyErr_Fetch(&type, &error, &traceback);
  const bool failed = PyContextVar_Reset(state().scope, token) != 0;
  const bool short_of_memory = failed && PyErr_ExceptionMatches(PyExc_MemoryError) != 0;
  if (failed) PyErr_Clear();  // else the handler made another context current: nothing to restore here
  PyErr_Restore(type, error, traceback);
  return !short_of_memory;
}

}  // namespace

PyObject* run(SliceObject* slice, PyObject* handler, PyObject* on_error) {
  SliceBody& body = slice->body;
  if (body.current >= 0) {
    PyErr_SetString(PyExc_RuntimeError, "a row of the slice is running");
    return nullptr;
  }
  PyObject* outer;
  if (PyContextVar_Get(state().scope, nullptr, &outer) != 0) return nullptr;
  const Ref kept_outer(outer);
  const Ref token(PyContextVar_Set(state().scope, object(slice)));
  if (!token) {
    leave_scope(outer);
    return nullptr;
  }
  body.thread = PyThread_get_thread_ident();
  bool ok = guarded([&]() -> int { return run_rows(slice, handler, on_error) ? 0 : -1; }) == 0;
  body.thread = 0;
  if (!ok && body.current >= 0) hand_back(body);
  if (!reset_scope(token.get())) leave_scope(outer);
  if (ok) ok = PyErr_CheckSignals() == 0;
  return ok ? Py_NewRef(Py_None) : nullptr;
}

}  // namespace ttp::bindings
