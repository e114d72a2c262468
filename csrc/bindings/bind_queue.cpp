#include "bindings.hpp"
#include "ttp/mpmc_queue.hpp"

#include <pybind11/stl.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

namespace py = pybind11;

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kSignalInterval = std::chrono::milliseconds(50);  // how often a waiting thread looks for signals
constexpr double kForever = 1e9;                                 // seconds; longer timeouts would overflow the clock

// The ring holds owned references. Everything but the wait itself happens under the GIL.
class PyQueue {
 public:
  explicit PyQueue(size_t capacity) : ring_(capacity) {}
  ~PyQueue() { clear(); }
  PyQueue(const PyQueue&) = delete;
  PyQueue& operator=(const PyQueue&) = delete;

  size_t size() const noexcept { return ring_.size_approx(); }
  size_t capacity() const noexcept { return ring_.capacity(); }
  bool closed() const noexcept { return ring_.closed(); }

  bool try_push(py::handle item) {
    require_open();
    if (!ring_.try_push(item.ptr())) return false;
    item.inc_ref();
    wake(false);
    return true;
  }

  size_t push_many(const py::object& items) {
    const auto fast = py::reinterpret_steal<py::object>(PySequence_Fast(items.ptr(), "items must be a sequence"));
    if (!fast) throw py::error_already_set();
    require_open();  // after the line above, which may have run Python code
    const auto count = static_cast<size_t>(PySequence_Fast_GET_SIZE(fast.ptr()));
    PyObject** const first = PySequence_Fast_ITEMS(fast.ptr());
    const size_t pushed = ring_.try_push_many(first, count);
    for (size_t i = 0; i < pushed; ++i) Py_INCREF(first[i]);
    if (pushed != 0) wake(pushed > 1);
    return pushed;
  }

  py::object try_pop(const py::object& otherwise) {
    PyObject* item = nullptr;
    return ring_.try_pop(item) ? py::reinterpret_steal<py::object>(item) : otherwise;
  }

  py::list pop_many(py::ssize_t limit) {
    // The list is made first, since making it may start the collector, and is filled without further ado.
    const size_t expected = limit < 0 ? 0 : std::min(static_cast<size_t>(limit), size());
    auto list = py::reinterpret_steal<py::list>(PyList_New(static_cast<py::ssize_t>(expected)));
    if (!list) throw py::error_already_set();
    const size_t popped = ring_.try_pop_many(PySequence_Fast_ITEMS(list.ptr()), std::min(expected, size()));
    if (popped != expected &&
        PyList_SetSlice(list.ptr(), static_cast<py::ssize_t>(popped), static_cast<py::ssize_t>(expected), nullptr) != 0)
      throw py::error_already_set();
    return list;
  }

  py::object pop(std::optional<double> timeout) {
    std::optional<Clock::time_point> deadline;
    if (timeout.has_value() && !(*timeout >= kForever))
      deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                    std::chrono::duration<double>(*timeout > 0.0 ? *timeout : 0.0));
    for (;;) {
      PyObject* item = nullptr;
      if (ring_.try_pop(item)) return py::reinterpret_steal<py::object>(item);
      if (ring_.closed()) {
        PyErr_SetString(PyExc_EOFError, "the queue is closed and empty");
        throw py::error_already_set();
      }
      if (deadline.has_value() && Clock::now() >= *deadline) {
        PyErr_SetString(PyExc_TimeoutError, "the queue is empty");
        throw py::error_already_set();
      }
      wait(deadline);
      if (PyErr_CheckSignals() != 0) {
        if (size() != 0) wake(false);  // this thread may have been the only one woken for an item
        throw py::error_already_set();
      }
    }
  }

  void close() {
    ring_.close();
    wake(true);
  }

  int traverse(visitproc visit, void* arg) {
    int stop = 0;
    ring_.for_each([&](PyObject* item) {
      if (stop == 0) stop = visit(item, arg);
    });
    return stop;
  }

  // Drops what is there now. Dropping runs Python code, which may push and pop.
  void clear() noexcept {
    PyObject* item = nullptr;
    for (size_t left = size(); left != 0 && ring_.try_pop(item); --left) Py_DECREF(item);
  }

 private:
  void require_open() const {
    if (ring_.closed()) throw std::runtime_error("the queue is closed");
  }

  // No wake-up is lost: pushes_ changes only under the GIL, and is read here under the GIL after the ring was
  // seen empty; a push after that makes the two differ, whenever the wait begins. The mutex is never held by
  // one who asks for the GIL, so taking it under the GIL takes no longer than the lines below.
  void wait(const std::optional<Clock::time_point>& deadline) {
    const uint64_t seen = pushes_;
    ++waiting_;
    {
      const py::gil_scoped_release released;
      auto until = Clock::now() + kSignalInterval;
      if (deadline.has_value()) until = std::min(until, *deadline);
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait_until(lock, until, [&] { return pushes_ != seen; });
    }
    --waiting_;
  }

  void wake(bool all) {
    if (waiting_ == 0) return;
    {
      const std::scoped_lock lock(mutex_);
      ++pushes_;
    }
    if (all) {
      changed_.notify_all();
    } else {
      changed_.notify_one();
    }
  }

  ttp::MpmcQueue<PyObject*> ring_;
  size_t waiting_ = 0;  // guarded by the GIL
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t pushes_ = 0;  // written under the GIL and the mutex, read under either
};

std::unique_ptr<PyQueue> make_queue(py::ssize_t capacity) {
  if (capacity < 1 || !ttp::MpmcQueue<PyObject*>::is_valid_capacity(static_cast<size_t>(capacity)))
    throw py::value_error("capacity must be a power of two");
  return std::make_unique<PyQueue>(static_cast<size_t>(capacity));
}

// The collector sees through the queue, so a cycle through one is no leak.
void collect_cycles(PyHeapTypeObject* heap_type) {
  PyTypeObject& type = heap_type->ht_type;
  type.tp_flags |= Py_TPFLAGS_HAVE_GC;
  type.tp_traverse = [](PyObject* self, visitproc visit, void* arg) -> int {
    Py_VISIT(Py_TYPE(self));
    return py::detail::is_holder_constructed(self) ? py::cast<PyQueue&>(py::handle(self)).traverse(visit, arg) : 0;
  };
  type.tp_clear = [](PyObject* self) -> int {
    if (py::detail::is_holder_constructed(self)) py::cast<PyQueue&>(py::handle(self)).clear();
    return 0;
  };
}

}  // namespace

void bind_queue(py::module_& module) {
  py::class_<PyQueue>(module, "Queue", py::is_final(), py::custom_type_setup(collect_cycles),
                      "Bounded multi-producer multi-consumer queue of Python objects over the lock-free ring.")
      .def(py::init(&make_queue), py::arg("capacity"), py::pos_only())
      .def("__len__", &PyQueue::size)
      .def_property_readonly("capacity", &PyQueue::capacity)
      .def_property_readonly("closed", &PyQueue::closed)
      .def("try_push", &PyQueue::try_push, py::arg("item"), py::pos_only(),
           "False when full. RuntimeError when closed.")
      .def("try_pop", &PyQueue::try_pop, py::arg("default") = py::none(), py::pos_only())
      .def("push_many", &PyQueue::push_many, py::arg("items"), py::pos_only(),
           "How many of them, from the front, fitted.")
      .def("pop_many", &PyQueue::pop_many, py::arg("limit"), py::pos_only())
      .def("pop", &PyQueue::pop, py::arg("timeout") = py::none(), py::pos_only(),
           "Wait without the GIL. TimeoutError after timeout seconds; EOFError when closed and empty.")
      .def("close", &PyQueue::close, "No more pushes; poppers drain what is left.");
}
