// What a slice's rows submit, and how it is taken: children and settling.
#include "route.hpp"
#include "slice.hpp"

namespace ttp::bindings {

namespace {

constexpr size_t kFirstChildMemory = 1024;

// What a frame takes besides its rows, and a row besides its bytes.
size_t frame_cost(const RouteObject* route) { return FrameLayout(route->texts, 0, 0, true).length; }
size_t row_cost(size_t row) { return row + 4; }

bool grow(FrameObject* frame, size_t row) {
  FrameBody& body = frame->body;
  const size_t needed = FrameLayout::padded(body.writer.needed(row));
  const size_t capacity = std::min(std::max(body.writer.capacity() * 2, needed), kMaxFrame);
  std::unique_ptr<uint8_t[]> larger(new (std::nothrow) uint8_t[capacity]);
  if (larger == nullptr) {
    PyErr_NoMemory();
    return false;
  }
  body.writer.move_to(larger.get(), capacity);
  body.memory.heap = std::move(larger);
  return true;
}

// The rows from `first` on into a frame of their own, of the same origin, which stays open. Throws
// std::bad_alloc, and changes nothing then.
void split_off(FrameObject* frame, size_t first, FrameObject* rest) {
  const FrameBody& body = frame->body;
  const size_t count = body.writer.count() - first;
  const size_t begin = first == 0 ? 0 : body.writer.row_end(first - 1);
  const RouteObject* route = frame->route;
  const FrameLayout layout(route->texts, body.writer.rows_size() - begin, count, true);
  rest->body.memory.heap.reset(new uint8_t[layout.length]);
  rest->route = as<RouteObject>(Py_NewRef(object(frame->route)));
  rest->body.header = body.header;
  rest->body.header.fid = random_fid();
  start_frame(rest, layout.length, body.writer.first() + first, true);
  for (size_t row = first; row < body.writer.count(); ++row) {
    const Bytes bytes = body.writer.row(row);
    rest->body.writer.append(bytes.data, bytes.size);
  }
  rest->body.settled = false;
  rest->body.marked_by = body.marked_by;
  rest->body.marked_count = 0;
}

// Whether the row in hand has written to the frame, and others before it.
bool is_shared(const SliceBody& slice, const FrameObject* frame) {
  return slice.current >= 0 && frame->body.marked_by == slice.current && frame->body.marked_count != 0 && frame->open();
}

bool stays(const SliceBody& slice, const FrameObject* frame) {
  return slice.current >= 0 && frame->body.marked_by == slice.current && frame->body.marked_count == 0;
}

size_t shared_frames(const SliceBody& slice) {
  size_t count = 0;
  for (const FrameObject* frame : slice.children) count += is_shared(slice, frame);
  return count;
}

// The results of rows before `end`, as a block; the entries stay. Throws.
py::bytes results_block(const SliceBody& slice, Py_ssize_t end) {
  std::vector<ResultEntry> taken;
  size_t size = 0;
  size_t begin = 0;
  for (const SliceEntry& entry : slice.entries) {
    if (entry.row < end) {
      const Bytes value{slice.values.data() + begin, entry.end - begin};
      taken.push_back({slice.view->view().index(static_cast<size_t>(entry.row)), entry.outcome, value});
      size += value.size;
    }
    begin = entry.end;
  }
  if (taken.empty()) return {};
  const size_t length = result_block_size(taken.size(), size);
  auto block = owned(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(length)));
  write_result_block(reinterpret_cast<uint8_t*>(PyBytes_AS_STRING(block.ptr())), length, taken.size(),
                     [&](size_t i) { return taken[i]; });
  return py::reinterpret_borrow<py::bytes>(block);
}

}  // namespace

FrameObject* child_frame(SliceObject* slice, RouteObject* route, size_t row) {
  SliceBody& body = slice->body;
  FrameObject* frame = nullptr;
  for (size_t i = body.children.size(); frame == nullptr && i-- != 0;) {
    FrameObject* child = body.children[i];
    if (child->route != route || !child->open()) continue;
    // A full one stays as it is; none before it has more room.
    if (child->body.writer.full() || child->body.writer.needed(row) > kMaxFrame) break;
    frame = child;
  }
  const size_t cost = row_cost(row) + (frame == nullptr ? frame_cost(route) : 0);
  if (body.current_size + cost > kMaxUnsettled) {
    PyErr_Format(state().queue_full, "one task may submit %zu bytes of children: submit with options(detached=True)",
                 kMaxUnsettled);
    return nullptr;
  }
  if (frame == nullptr) {
    const size_t needed = FrameWriter::needed(route->texts, row, true);
    const size_t capacity = needed > kFirstChildMemory ? FrameLayout::padded(needed) : kFirstChildMemory;
    Ref made(object(allocate_frame()));
    if (!made) return nullptr;
    frame = as<FrameObject>(made.get());
    address_frame(frame, route);
    frame->body.settled = false;
    frame->body.memory.heap.reset(new (std::nothrow) uint8_t[capacity]);
    if (frame->body.memory.heap == nullptr) {
      PyErr_NoMemory();
      return nullptr;
    }
    start_frame(frame, capacity, 0, true);
    frame->body.header.producer = body.view->view().header().producer;
    body.children.push_back(frame);
    made.release();  // the list has it, now that it has room
  } else if (!frame->body.writer.fits(row) && !grow(frame, row)) {
    return nullptr;
  }
  if (frame->body.marked_by != body.current) {
    frame->body.marked_by = body.current;
    frame->body.marked_count = frame->body.writer.count();
  }
  body.children_size += cost;
  body.current_size += cost;
  return frame;
}

void drop_children(SliceBody& slice, std::vector<Ref>& gone) {
  gone.reserve(gone.size() + slice.children.size());  // nothing fails in the midst of it
  size_t kept = 0;
  for (FrameObject* frame : slice.children) {
    if (frame->body.marked_by == slice.current && frame->body.marked_count == 0) {
      frame->body.settled = true;
      release_frame(frame);
      gone.emplace_back(object(frame));
      continue;
    }
    if (frame->body.marked_by == slice.current) {
      frame->body.writer.truncate(frame->body.marked_count);
      frame->body.marked_by = -1;
    }
    slice.children[kept++] = frame;
  }
  slice.children.resize(kept);
  slice.children_size -= slice.current_size;
  slice.current_size = 0;
}

PyObject* settle(SliceObject* self, bool cut) {
  SliceBody& body = self->body;
  // First everything that may fail or run Python (the collector does); then, in one go, what changes things.
  const auto children = owned(PyList_New(0));
  std::vector<Ref> spare;
  while (spare.size() < shared_frames(body)) {
    spare.emplace_back(object(allocate_frame()));
    if (!spare.back()) throw py::error_already_set();
  }
  const Py_ssize_t end = body.current >= 0 ? body.current : body.next.load(std::memory_order_relaxed);
  const Py_ssize_t first = body.start;
  const py::bytes outcomes(reinterpret_cast<const char*>(body.outcomes.data()) + (first - body.first),
                           static_cast<size_t>(end - first));
  const py::bytes block = results_block(body, end);
  std::vector<FrameObject*> left;
  left.reserve(body.children.size());
  for (FrameObject* frame : body.children)
    if (!stays(body, frame) && PyList_Append(children.ptr(), object(frame)) != 0) throw py::error_already_set();
  const bool running = body.current >= 0;
  auto answer =
      owned(Py_BuildValue("(nOOOO)", first, outcomes.ptr(), block.ptr(), children.ptr(), running ? Py_True : Py_False));
  size_t used = 0;
  for (FrameObject* frame : body.children)
    if (is_shared(body, frame)) split_off(frame, frame->body.marked_count, as<FrameObject>(spare[used++].get()));

  used = 0;
  for (FrameObject* frame : body.children) {
    if (stays(body, frame)) {
      left.push_back(frame);
      continue;
    }
    if (is_shared(body, frame)) {
      frame->body.writer.truncate(frame->body.marked_count);
      left.push_back(as<FrameObject>(spare[used++].release()));
    }
    if (frame->open()) seal_frame(frame);
    frame->body.settled = true;
    Py_DECREF(object(frame));  // the list has it
  }
  // What stays is what the row in hand has submitted.
  body.children.swap(left);
  body.children_size = body.current_size;
  body.keep_results(end, PY_SSIZE_T_MAX);
  body.start = end;
  if (cut) body.stop = running ? end + 1 : end;
  return answer.release().ptr();
}

}  // namespace ttp::bindings
