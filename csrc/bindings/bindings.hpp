// What module.cpp puts together. One function per file that defines something Python sees.
//
// The GIL is the lock of every object here: none is safe without it, so the module does not declare
// support for free-threaded builds. Nothing asks for the GIL while it holds a native lock, and nothing
// waits while it holds the GIL.
#pragma once

#include <pybind11/pybind11.h>

void bind_codec(pybind11::module_& module);
void bind_columns(pybind11::module_& module);
void bind_event_columns(pybind11::module_& module);
void bind_frame_view(pybind11::module_& module);
void bind_pool(pybind11::module_& module);
void bind_frame_writer(pybind11::module_& module);
void bind_task_handle(pybind11::module_& module);
void bind_outbox(pybind11::module_& module);
void bind_route(pybind11::module_& module);
void bind_slice(pybind11::module_& module);
void bind_result_block(pybind11::module_& module);
void bind_queue(pybind11::module_& module);
void bind_histogram(pybind11::module_& module);
void bind_counters(pybind11::module_& module);
