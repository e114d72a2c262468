#include "bindings.hpp"
#include "state.hpp"

#include "ttp/frame.hpp"

// PYBIND11_MODULE without py::mod_gil_not_used: see bindings.hpp.
PYBIND11_MODULE(_core, module) {
  module.doc() = "The native core of ttp. The contract is _core.pyi.";
  if (!ttp::bindings::init_state(module.ptr())) throw pybind11::error_already_set();

  module.attr("BACKEND") = "native";
  module.attr("WIRE_MAJOR") = static_cast<int>(ttp::kWireMajor);
  module.attr("MAX_FRAME") = ttp::kMaxFrame;
  module.attr("MAX_ROWS") = ttp::kMaxRows;
  module.attr("MAX_TASK") = ttp::kMaxTask;
  module.attr("MAX_DEPTH") = ttp::kMaxDepth;

  bind_codec(module);
  bind_columns(module);
  bind_event_columns(module);
  bind_frame_view(module);
  bind_pool(module);
  bind_frame_writer(module);
  bind_task_handle(module);
  bind_outbox(module);
  bind_route(module);
  bind_slice(module);
  bind_result_block(module);
  bind_queue(module);
  bind_histogram(module);
  bind_counters(module);
}
