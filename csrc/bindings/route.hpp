// Route: where the calls of one task go.
#pragma once

#include "outbox.hpp"
#include "py_encode.hpp"

namespace ttp::bindings {

struct RouteObject {
  PyObject_HEAD vectorcallfunc vectorcall;
  OutboxObject* outbox;
  FrameObject* current;  // the outbox's open frame of this route, borrowed from it
  PyObject* name;
  PyObject* queue;
  PyObject* owner;
  PyObject* bind;  // null: any call is taken as it is
  double delay;
  double at;
  Py_ssize_t min_args;
  Py_ssize_t max_args;
  int priority;
  char submit;
  char results;
  char detached;
  PyObject* trace;   // bytes
  FrameTexts texts;  // inside `name`, `queue` and `trace`
};

}  // namespace ttp::bindings
