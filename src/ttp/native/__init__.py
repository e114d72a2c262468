"""The native core, or its pure twin: same names, same bytes, same errors (see `_core.pyi`).

``TTP_BACKEND=native|python`` forces one. By default the twin steps in only where the extension was not
built; a broken extension is never hidden.
"""

import os
from typing import TYPE_CHECKING

_wanted = os.environ.get("TTP_BACKEND", "")
if _wanted not in ("", "native", "python"):
    raise ImportError(f"TTP_BACKEND is {_wanted!r}: use native or python, or leave it unset")

if TYPE_CHECKING:
    from ttp.native import _core as _backend
elif _wanted == "python":
    from ttp.native import _pure as _backend
else:
    try:
        from ttp.native import _core as _backend
    except ImportError as error:
        # A broken extension has a spec, and fails for another reason than being absent.
        if _wanted == "native":
            raise ImportError(
                f"TTP_BACKEND=native, but the extension cannot be imported ({error}): install a wheel, or build it"
                " with a C++17 compiler (pip install . with TTP_REQUIRE_NATIVE=1 tells what is missing)"
            ) from error
        from importlib.util import find_spec

        if find_spec("ttp.native._core") is not None:
            raise
        from ttp.native import _pure as _backend

BACKEND = _backend.BACKEND
WIRE_MAJOR = _backend.WIRE_MAJOR
MAX_FRAME = _backend.MAX_FRAME
MAX_ROWS = _backend.MAX_ROWS
MAX_COLUMN_ROWS = _backend.MAX_COLUMN_ROWS
MAX_TASK = _backend.MAX_TASK
MAX_DEPTH = _backend.MAX_DEPTH
MAX_UNSETTLED = _backend.MAX_UNSETTLED
NONE = _backend.NONE
DONE = _backend.DONE
RETRY = _backend.RETRY
DEAD = _backend.DEAD
CANCELLED = _backend.CANCELLED
BACK = _backend.BACK
scope = _backend.scope
pack = _backend.pack
unpack = _backend.unpack
crc32c = _backend.crc32c
encode_columns = _backend.encode_columns
encode_frame = _backend.encode_frame
encode_row = _backend.encode_row

if TYPE_CHECKING:
    from ttp.native._core import (
        Counters,
        EventColumns,
        FrameView,
        FrameWriter,
        Histogram,
        MemoryPool,
        Outbox,
        Queue,
        ResultBlock,
        Route,
        Slice,
        TaskHandle,
    )
else:
    Counters = _backend.Counters
    EventColumns = _backend.EventColumns
    FrameView = _backend.FrameView
    FrameWriter = _backend.FrameWriter
    Histogram = _backend.Histogram
    MemoryPool = _backend.MemoryPool
    Outbox = _backend.Outbox
    Queue = _backend.Queue
    ResultBlock = _backend.ResultBlock
    Route = _backend.Route
    Slice = _backend.Slice
    TaskHandle = _backend.TaskHandle

__all__ = [
    "BACK",
    "BACKEND",
    "CANCELLED",
    "DEAD",
    "DONE",
    "MAX_COLUMN_ROWS",
    "MAX_DEPTH",
    "MAX_FRAME",
    "MAX_ROWS",
    "MAX_TASK",
    "MAX_UNSETTLED",
    "NONE",
    "RETRY",
    "WIRE_MAJOR",
    "Counters",
    "EventColumns",
    "FrameView",
    "FrameWriter",
    "Histogram",
    "MemoryPool",
    "Outbox",
    "Queue",
    "ResultBlock",
    "Route",
    "Slice",
    "TaskHandle",
    "crc32c",
    "encode_columns",
    "encode_frame",
    "encode_row",
    "pack",
    "scope",
    "unpack",
]
