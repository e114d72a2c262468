// Outbox: the open and sealed frames of one producer, under the GIL.
#pragma once

#include "frame_object.hpp"
#include "wakeup.hpp"

#include <deque>
#include <vector>

namespace ttp::bindings {

constexpr size_t kMaxOpen = 64;

struct OutboxBody {
  std::shared_ptr<MemoryPool> pool;
  ProducerId producer{};
  std::vector<FrameObject*> open;  // owned references, like those of
  std::deque<FrameObject*> sealed;
  FrameObject* live = nullptr;  // all frames that hold memory of the pool, linked
  Wakeup wakeup;
  bool woken = false;  // `wake` was called and nobody has noticed yet
};

struct OutboxObject {
  PyObject_HEAD PyObject* producer;
  PyObject* on_sealed;
  PyObject* on_submit;
  PyObject* on_full;
  long long offset_us;
  char attended;
  OutboxBody body;
};

// Moves an open frame to the sealed ones. No Python runs.
void seal_into_outbox(FrameObject* frame) noexcept;
void seal_all(OutboxObject* box) noexcept;

// Takes an open frame out of the outbox. No Python runs, but the outbox's reference to the frame ends.
void forget_open(FrameObject* frame) noexcept;

// The route's open frame, with room for a row of this size; opens one, waiting for the pool by on_full.
// May run Python. Borrowed; nullptr with the Python error set.
FrameObject* frame_with_room(RouteObject* route, size_t row);

// After an append to an open frame: tells who waits, if `wake`; calls on_sealed if the frame is full, or if nobody
// attends. The caller holds the frame, or does not look at it again. false: the Python error is set.
bool appended(FrameObject* frame, bool wake);

}  // namespace ttp::bindings
