// FrameWriter as Python sees it: a frame on its way out, and the memory that it holds.
#pragma once

#include "py_helpers.hpp"

#include "ttp/frame_writer.hpp"
#include "ttp/memory_pool.hpp"

#include <memory>

namespace ttp::bindings {

struct OutboxObject;
struct RouteObject;

// A block of the producer's pool, or memory of its own, or both: a frame too large for a block counts as one.
struct FrameMemory {
  Block block;
  std::unique_ptr<uint8_t[]> heap;

  uint8_t* data() const noexcept { return heap != nullptr ? heap.get() : block.data(); }
  void release() noexcept {
    block.reset();
    heap.reset();
  }
};

struct FrameBody {
  FrameHeader header;
  FrameWriter writer;
  FrameMemory memory;
  size_t length = 0;  // of the sealed frame; 0 while open
  size_t count = 0;   // rows, once sealed
  Py_ssize_t exports = 0;
  bool released = false;
  bool settled = true;  // false: a running slice may still take rows back

  // Of a slice's children: rows before this row began, so that they can be taken back.
  Py_ssize_t marked_by = -1;
  size_t marked_count = 0;
};

struct FrameObject {
  PyObject_HEAD RouteObject* route;
  PyObject* outcome;
  OutboxObject* outbox;  // borrowed, null once released; links of its live frames:
  FrameObject* previous;
  FrameObject* following;
  FrameBody body;

  bool open() const noexcept { return body.length == 0 && !body.released; }
  size_t rows() const noexcept { return body.length == 0 ? body.writer.count() : body.count; }
};

// A frame object without route or memory; nullptr with the Python error set.
FrameObject* allocate_frame();
// Makes it a frame of the route, with a random fid, created now.
void address_frame(FrameObject* self, RouteObject* route);
// Begins to write into its memory.
void start_frame(FrameObject* self, size_t capacity, size_t first, bool may_be_cut) noexcept;

// Completes the frame where it lies. No Python runs.
void seal_frame(FrameObject* self) noexcept;

// Gives the memory back, at once or when the last exported buffer is gone. No Python runs.
void release_frame(FrameObject* self) noexcept;

uint64_t random_fid();  // never 0

}  // namespace ttp::bindings
