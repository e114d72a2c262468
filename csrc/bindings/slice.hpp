// Slice: rows of a frame that are being run, and all that they have come to.
#pragma once

#include "frame_object.hpp"
#include "frame_view.hpp"
#include "py_encode.hpp"

#include "ttp/results.hpp"

#include <atomic>
#include <vector>

namespace ttp::bindings {

constexpr size_t kMaxUnsettled = size_t{1} << 20;

struct SliceEntry {
  Py_ssize_t row;
  Outcome outcome;
  size_t end;  // of its value within `values`
};

struct SliceBody {
  const PyFrameView* view = nullptr;
  Py_ssize_t first = 0;  // the row of outcomes[0]
  Py_ssize_t start = 0;
  Py_ssize_t stop = 0;
  // The row in hand: running, or on its way through on_error. -1: none. Every other row before `next` has an outcome.
  Py_ssize_t current = -1;
  // What others look at. Relaxed: they read under the GIL, or do not mind a late value.
  std::atomic<Py_ssize_t> running{-1};
  std::atomic<Py_ssize_t> next{0};
  std::vector<Outcome> outcomes;

  std::vector<SliceEntry> entries;
  std::vector<uint8_t> values;
  std::vector<FrameObject*> children;  // owned; all open
  size_t children_size = 0;
  size_t current_size = 0;  // of these, what the row in hand has submitted

  unsigned long thread = 0;  // inside `run`; 0: none
  bool interrupted = false;  // an exception is on its way to that thread
  bool halted = false;

  bool keeps_results() const noexcept { return (view->view().header().flags & kFlagResults) != 0; }
  size_t weight() const noexcept { return values.size() + children_size; }

  void begin(Py_ssize_t row) noexcept;
  void end(Outcome outcome) noexcept;                         // of the row in hand
  void pass_over() noexcept;                                  // moves `next` past cancelled rows; none is in hand
  void record(Py_ssize_t row, Outcome outcome, Bytes value);  // throws std::bad_alloc
  void unrecord(Py_ssize_t row) noexcept;
  void keep_results(Py_ssize_t from, Py_ssize_t to) noexcept;  // of rows [from, to)
};

struct SliceObject {
  PyObject_HEAD PyObject* frame;
  PyObject* state;
  SliceBody body;
};

// The slice that takes the children of the code running here. Empty: there is none, or the Python error is set.
Ref slice_in_scope();

// The open frame for the route's children, with room for a row of this size. Borrowed; nullptr with the Python
// error set: QueueFull where the row in hand has submitted too much.
FrameObject* child_frame(SliceObject* slice, RouteObject* route, size_t row);

// Ends what the row in hand has submitted. The frames that go are appended to `gone`, to be dropped by the
// caller when everything is in order: that may run Python.
void drop_children(SliceBody& slice, std::vector<Ref>& gone);

// Takes what finished rows have come to: the five values of Slice.settle.
PyObject* settle(SliceObject* self, bool cut);

// Encodes a result; false with the Python error set, and nothing recorded.
bool record_value(SliceObject* slice, Py_ssize_t row, Outcome outcome, PyObject* value);

// The dispatch loop.
PyObject* run(SliceObject* slice, PyObject* handler, PyObject* on_error);

}  // namespace ttp::bindings
