"""The executable specification of `_core.pyi` in plain Python: oracle, baseline and fallback."""

from typing import Final

from ttp.native._pure.children import MAX_UNSETTLED
from ttp.native._pure.codec import MAX_DEPTH, MAX_TASK, encode_row, pack, unpack
from ttp.native._pure.column import MAX_COLUMN_ROWS
from ttp.native._pure.counters import Counters
from ttp.native._pure.crc32c import crc32c
from ttp.native._pure.event_columns import EventColumns
from ttp.native._pure.frame import MAX_FRAME, MAX_ROWS, WIRE_MAJOR, FrameView, encode_columns, encode_frame
from ttp.native._pure.histogram import Histogram
from ttp.native._pure.outbox import Outbox, Route, scope
from ttp.native._pure.pool import FrameWriter, MemoryPool
from ttp.native._pure.queue import Queue
from ttp.native._pure.results import ResultBlock
from ttp.native._pure.slice import BACK, CANCELLED, DEAD, DONE, NONE, RETRY, Slice
from ttp.native._pure.task_handle import TaskHandle

BACKEND: Final = "python"

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
