"""The native core, as Python sees it.

``_core`` (C++) and ``_pure`` (plain Python) both provide exactly these names; `ttp.native` picks one.
The bytes are those of docs/wire-format.md. Nothing here does I/O: callbacks hand control to Python.
One file, though long: the extension is one module, and stubs beside it would promise modules that nobody can import.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextvars import ContextVar
from mmap import mmap
from typing import Any, Final, Generic, TypeVar, final

from ttp.task import Status

R_co = TypeVar("R_co", covariant=True)

BACKEND: Final[str]  # "native" or "python"
WIRE_MAJOR: Final = 1
MAX_FRAME: Final = 1_048_576
MAX_ROWS: Final = 4_096
MAX_COLUMN_ROWS: Final = 65_535
MAX_TASK: Final = 131_072
MAX_DEPTH: Final = 32
MAX_UNSETTLED: Final = 1_048_576  # bytes of results and children a slice may hold; one row's children too: QueueFull

# Outcome of one task (docs/wire-format.md, Results); NONE has not finished, BACK is handed back unrun.
NONE: Final = 0
DONE: Final = 1
RETRY: Final = 2
DEAD: Final = 3
CANCELLED: Final = 4
BACK: Final = 5

scope: ContextVar[Slice | None]
"""The slice whose handler runs in this context: set by `Slice.run`, and by whoever drives a coroutine."""

def pack(value: Any, /) -> bytes:
    """Encode one value. SerializationError names the place in it (`value['x'][2]`); at most MAX_TASK bytes."""

def unpack(data: bytes | memoryview, /) -> Any:
    """Decode exactly one value. CorruptFrame if the bytes are not one."""

def crc32c(data: bytes | memoryview, /) -> int: ...
def encode_frame(
    rows: Sequence[bytes],
    *,
    name: str,
    queue: str,
    fid: int,
    producer: bytes,
    origin: int = 0,  # 0: this frame's own fid
    index: Sequence[int] | None = None,  # required exactly where origin is another fid
    priority: int = 1,
    attempt: int = 1,
    deferrals: int = 0,
    crashes: int = 0,
    created_at: int = 0,
    flags: int = 0,
    trace: bytes = b"",  # the context the tasks were sent in, at most 1,024 bytes; empty: none
) -> bytes:
    """A whole frame from encoded rows. ValueError for what does not fit the format."""

def encode_columns(
    columns: Iterable[tuple[str, int, Any, Any, Any, Any]],  # as FrameView.columns, any contiguous buffers
    count: int,
    *,
    name: str,
    queue: str,
    fid: int,
    producer: bytes,
    priority: int = 1,
    created_at: int = 0,
    flags: int = 0,
    trace: bytes = b"",
) -> bytes:
    """A whole frame of columns. ValueError for what does not fit the format."""

def encode_row(args: Sequence[Any], kwargs: dict[str, Any] | None = None, /) -> bytes:
    """One row; SerializationError paths begin `args[0]` or `kwargs['name']`."""

@final
class EventColumns:
    """Telemetry events on their way into frames of columns: device, epoch, sequence, timestamp, fields.

    The `read_` methods take the plain lines of a format, and leave all others to their caller, who knows more forms
    and can say what is wrong; what they take, they take as `ttp.telemetry.sources` would, and both twins take the
    same (csrc/ttp/json_event.hpp, line_event.hpp). Empty lines are left out. They return where they ended, and the
    next sequence: behind the data, behind the event that made the columns full, or at the first line that they left.

    Args:
        limit: bytes of a priority's events, above which the columns are full.
    """

    def __init__(self, limit: int, /) -> None: ...
    def __len__(self) -> int: ...
    @property
    def full(self) -> bool: ...
    def read_json(
        self,
        data: bytes | memoryview,
        start: int,
        /,
        *,
        device: str,
        epoch: int,
        sequence: int,
        now: str,
        by_line: bool = False,
    ) -> tuple[int, int]:
        """Take JSON Lines; device, epoch, sequence (which counts on) and now fill in what an event does not say.

        An empty now leaves events without a timestamp. by_line: the sequence counts lines, empty ones too, and not
        the events that have none.
        """

    def read_lines(
        self,
        data: bytes | memoryview,
        start: int,
        /,
        *,
        device: str,
        epoch: int,
        sequence: int,
        now: str,
        per_second: int,
    ) -> tuple[int, int]:
        """Take Influx line protocol whose timestamps count 1 / per_second; comments are left out."""

    def append(
        self, device: str, epoch: int, sequence: int, timestamp: str, fields: bytes, high: bool, /
    ) -> None:  # fields: a packed map
        """Add an event. ValueError if it takes more than a task may, or the columns are full."""

    def take(self) -> list[tuple[bool, int, list[tuple[str, int, bytes, bytes, bytes, bytes]]]]:
        """(high priority, count, columns as `encode_columns` takes them) of each priority; begins anew."""

@final
class FrameView:
    """A frame that was read: checked whole on construction (CorruptFrame says what is wrong)."""

    def __init__(self, data: bytes, /) -> None: ...
    def __len__(self) -> int: ...  # tasks
    @property
    def data(self) -> bytes: ...
    @property
    def fid(self) -> int: ...
    @property
    def origin(self) -> int: ...
    @property
    def producer(self) -> bytes: ...
    @property
    def name(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def attempt(self) -> int: ...
    @property
    def deferrals(self) -> int: ...
    @property
    def crashes(self) -> int: ...
    @property
    def created_at(self) -> int: ...
    @property
    def flags(self) -> int: ...
    @property
    def results(self) -> bool: ...  # the RESULTS flag
    @property
    def trace(self) -> bytes: ...
    def index(self, row: int, /) -> int:
        """The index of a row's task in its origin frame."""

    def arguments(self, row: int, /) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Decode one row. CorruptFrame if it is not one."""

    @property
    def columnar(self) -> bool: ...  # a frame of columns, not of rows
    def columns(self) -> list[tuple[str, int, memoryview, memoryview, memoryview, memoryview]]:
        """(name, type, validity, data, offsets, values) of each, views into `data`; none of a frame of rows."""

    def rows_as_columns(
        self, start: int, stop: int, fields: Sequence[tuple[str, int, bool, bytes]], /
    ) -> list[tuple[str, int, bytes, bytes, bytes, bytes]] | None:
        """The rows [start, stop) as columns, of a frame of rows.

        A field is (argument's name, column type, whether nil fits, MessagePack value of rows without it; b'' where
        they must have one), in the order of positional arguments. None if a row is not plain: a value is of
        another type, an argument is missing, unknown or given twice, the row is malformed; `arguments` says then
        what it is. Times in a zone make the type 5. A column of values takes what there is, unread.
        """

    def derive(
        self,
        rows: Sequence[int],
        /,
        *,
        fid: int,
        attempt: int | None = None,
        deferrals: int | None = None,
        crashes: int | None = None,
    ) -> bytes:
        """A frame of some of the rows (rising), same origin; what is None stays as it is."""

@final
class MemoryPool:
    """Fixed-size blocks with a lock-free free list. The memory is reserved at once and touched when used."""

    def __init__(self, block_size: int, blocks: int, /) -> None: ...
    @property
    def block_size(self) -> int: ...
    @property
    def capacity(self) -> int: ...
    @property
    def available(self) -> int: ...

@final
class FrameWriter:
    """A frame on its way out: open (takes rows), sealed (has bytes), released. Made by `Route`, never by hand."""

    @property
    def fid(self) -> int: ...
    @property
    def origin(self) -> int: ...
    @property
    def route(self) -> Route: ...
    @property
    def sealed(self) -> bool: ...
    def __len__(self) -> int: ...  # tasks
    outcome: Any
    """None; free for the sender to note what became of the frame."""

    def data(self) -> memoryview:
        """The frame's bytes: seals it first if need be. Valid until `release`. ValueError afterwards."""

    def release(self) -> None:
        """Give the block back to the pool (once; later calls do nothing). fid and len stay readable."""

@final
class Outbox:
    """The frames of one producer. Not thread-safe beyond the GIL; holds no lock.

    At most 64 frames are open; opening one more seals them all. A frame is sealed when a row no longer
    fits the pool's block, or at MAX_ROWS; a row too large for a block gets a frame with memory of its own,
    which counts as one block of the pool.
    """

    def __init__(
        self,
        pool: MemoryPool,
        producer: bytes,
        *,
        on_sealed: Callable[[], None],  # a frame filled up: the calling thread may send now
        on_submit: Callable[[FrameWriter], None],  # returns once the frame is accepted, raises if it is not
        on_full: Callable[[], None],  # the pool is empty: returns when a block may be free, else raises
    ) -> None: ...
    attended: bool
    """Whether somebody waits for frames. False at first and after reset: then each append calls on_sealed."""
    offset_us: int
    """Added to the local wall clock for created_at: server time minus local time."""

    @property
    def producer(self) -> bytes: ...
    @property
    def open(self) -> int: ...  # frames open with rows
    @property
    def sealed(self) -> int: ...  # frames sealed, not yet taken
    def wait(self, timeout: float, /) -> bool:
        """Wait without the GIL until a frame is open or sealed, or `wake` is called; False after timeout seconds."""

    def wake(self) -> None: ...
    def seal(self) -> None:
        """Seal every open frame."""

    def take(self) -> FrameWriter | None:
        """The oldest sealed frame, which is the caller's from now on."""

    def reset(self, producer: bytes, /) -> None:
        """After a fork: forget every frame, give all blocks back, start as this producer."""

@final
class Route:
    """Where calls of one task go: task name, queue, priority, flags. Calling it appends one row.

    Call it as the task's ``emit`` or ``submit`` (vectorcall). With ``submit=False`` it returns None.
    With ``submit=True`` it calls ``on_submit(frame)`` and returns the TaskHandle.
    Inside a handler (``scope`` is set) and unless ``detached``, the row goes to the running slice's
    children instead, and neither callback is called.
    SerializationError names the argument; TypeError comes from ``bind``; nothing is appended in either case.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        name: str,
        queue: str,
        owner: Any,  # goes into every TaskHandle
        priority: int = 1,
        submit: bool = False,
        results: bool = False,  # the RESULTS flag
        detached: bool = False,
        delay: float = 0.0,  # seconds, noted for the sender
        at: float = 0.0,  # seconds since 1970, noted for the sender; 0: none
        min_args: int = 0,
        max_args: int = 65_535,
        bind: Callable[[tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]] | None = None,
        # called where there are keywords or the number of arguments lies outside min_args..max_args;
        # None: any call is taken as it is
        trace: bytes = b"",  # of every frame of this route
    ) -> None: ...
    name: Final[str]
    queue: Final[str]
    owner: Final[Any]
    priority: Final[int]
    submit: Final[bool]
    results: Final[bool]
    detached: Final[bool]
    delay: Final[float]
    at: Final[float]
    trace: Final[bytes]
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any: ...
    def append(self, /, *args: Any, **kwargs: Any) -> tuple[FrameWriter, TaskHandle[Any]]:
        """Like a call, but on_submit is not called: the frame and the handle."""

    def extend(self, rows: Iterable[tuple[Any, ...]], /) -> list[tuple[FrameWriter, int, int]]:
        """Append many rows (tuples of positional arguments); on_sealed is called as frames fill.

        Returns (frame, first index, number of rows) in order. An error names `rows[i]`; the rows before it
        stay appended, and the exception's ``spans`` attribute lists them the same way.
        """

@final
class TaskHandle(Generic[R_co]):
    """One accepted task: its id, and its result by way of ``owner`` (``owner.result(handle, timeout)`` and so on).

    Not tracked by the garbage collector; made from a free list.
    """

    def __init__(self, owner: Any, origin: int, index: int, /) -> None: ...
    @property
    def id(self) -> str: ...  # owner.task_id(origin, index)
    @property
    def origin(self) -> int: ...
    @property
    def index(self) -> int: ...
    def status(self) -> Status: ...  # owner.status(self)
    async def astatus(self) -> Status: ...  # returns owner.astatus(self), which is awaitable
    def result(self, timeout: float | None = None) -> R_co: ...  # owner.result(self, timeout)
    def __await__(self) -> Generator[Any, None, R_co]: ...  # owner.wait(self).__await__()
    def cancel(self) -> bool: ...  # owner.cancel(self)
    # equal and hashed by (origin, index); repr <TaskHandle default.0.00…01.17>

@final
class Slice:
    """Rows [start, stop) of a frame, run one after the other by one thread (or one coroutine).

    Indices are rows of the frame. Every row before `running` (or before `next` when none runs) has an
    outcome; rows from `next` on are unstarted. Safe to read and to cut from another thread under the GIL.
    """

    def __init__(self, frame: FrameView, start: int, stop: int, /) -> None: ...
    @property
    def frame(self) -> FrameView: ...
    @property
    def start(self) -> int: ...
    @property
    def stop(self) -> int: ...
    @property
    def running(self) -> int: ...  # -1: none
    @property
    def next(self) -> int: ...
    state: Any  # free for the worker: None at first
    def cancel(self, row: int, /) -> None:
        """Mark an unstarted row CANCELLED: it is passed over. Results get an entry where the frame keeps them."""

    def detach(self, row: int, /) -> Slice:
        """Make the unstarted rows from this one on a slice of their own, with the same state, halted if this one is."""

    def run(self, handler: Callable[..., Any], on_error: Callable[[int, BaseException], int], /) -> None:
        """Call handler(*args, **kwargs) for each unstarted row, until stop. Sets `scope` meanwhile.

        A return value is DONE and, where the frame keeps results, encoded into the results; a coroutine is
        closed, and a TypeError, since nobody awaits it. An exception (a handler's, that TypeError, an undecodable
        row's CorruptFrame, an unencodable result's SerializationError, or an interrupt's) drops what the row had
        submitted and goes to on_error(row, exception), with `running` already -1 and `scope` still set, which
        returns the outcome. KeyboardInterrupt and SystemExit outside on_error's remit do not exist here: every
        BaseException goes to on_error. If on_error raises, run raises it, and the row is BACK.
        """

    def begin(self, row: int, /) -> None:
        """Mark the row (which must be `next`) running: for coroutines."""

    def finish(self, row: int, outcome: int, value: Any = None, /) -> None:
        """End a row begun: DONE encodes value where results are kept (SerializationError leaves it running).

        Any other outcome drops what the row had submitted.
        """

    def finish_rows(self, stop: int, outcome: int, /, *, keep: bool = False) -> None:
        """End the row begun and all after it up to stop (or the slice's), but for cancelled ones, with one outcome.

        DONE records None where results are kept. Any other outcome drops what the row begun has submitted,
        unless keep.
        """

    def withdraw(self) -> None:
        """Take back `begin`: the row is unstarted again, and what it has submitted is dropped."""

    def halt(self) -> None:
        """Make `run` return before it starts another row; these stay unstarted, stop is unchanged."""

    @property
    def halted(self) -> bool: ...
    def interrupt(self, row: int, exception: type[BaseException], /) -> bool:
        """Raise exception in the thread inside `run`, if `running` is still row; else False. Cleared on return."""

    def record(self, row: int, outcome: int, value: Any, /) -> None:
        """Add an entry to the results (nothing where the frame keeps none): for RETRY and DEAD, from on_error."""

    def settle(self, *, cut: bool = True) -> tuple[int, bytes, bytes, list[FrameWriter], bool]:
        """Take, in one step, all that finished rows have come to.

        Returns (first row, outcomes, results block, children, whether the row after these is running).

        `outcomes` has one byte a row, from the old start on; start moves past them. With cut, stop moves to
        the end of the running row, or to `next`: unstarted rows are no longer this slice's. The results
        block is b'' where nothing was recorded; children are sealed and belong to no pool.
        What the running row has submitted so far stays behind; where it shares a frame with earlier rows,
        that frame is cut in two: the first part is taken, the rest keeps the origin (and so its task ids)
        under a new fid, with an INDEX section.
        """

    @property
    def weight(self) -> int:
        """Bytes of results and children not settled yet. `run` returns early, between two rows, above MAX_UNSETTLED."""

@final
class ResultBlock:
    """One field of a result hash. CorruptFrame if malformed."""

    def __init__(self, data: bytes, /) -> None: ...
    def __len__(self) -> int: ...
    def find(self, index: int, /) -> tuple[int, Any] | None:
        """(outcome, decoded value) of a task, or None."""

    def items(self) -> list[tuple[int, int, Any]]:
        """(index, outcome, value) of all, in order."""

@final
class Queue:
    """Bounded multi-producer multi-consumer queue of Python objects over the lock-free ring.

    Capacity: a power of two, else ValueError.
    """

    def __init__(self, capacity: int, /) -> None: ...
    def __len__(self) -> int: ...
    @property
    def capacity(self) -> int: ...
    @property
    def closed(self) -> bool: ...
    def try_push(self, item: Any, /) -> bool:
        """False when full. RuntimeError when closed."""

    def try_pop(self, default: Any = None, /) -> Any: ...
    def push_many(self, items: Sequence[Any], /) -> int:
        """How many of them, from the front, fitted."""

    def pop_many(self, limit: int, /) -> list[Any]: ...
    def pop(self, timeout: float | None = None, /) -> Any:
        """Wait without the GIL. TimeoutError after timeout seconds; EOFError when closed and empty."""

    def close(self) -> None:
        """No more pushes; poppers drain what is left."""

@final
class Histogram:
    """HDR-style histogram of non-negative integers (nanoseconds): 32 linear steps to each power of two.

    Values below 32 are exact; above, v with highest bit b >= 5 falls into bucket (b-4)*32 + ((v >> (b-5)) - 32)
    ... so the relative error is at most 1/32. Values are clamped to 2**40 - 1 (18 minutes).
    """

    def __init__(self) -> None: ...
    def record(self, value: int, weight: int = 1, /) -> None: ...
    @property
    def count(self) -> int: ...
    @property
    def sum(self) -> int: ...
    @property
    def max(self) -> int: ...
    def percentile(self, q: float, /) -> int:
        """The highest value of the bucket that holds rank ceil(q/100 * count), at most max; 0 when empty."""

    def merge(self, other: Histogram, /) -> None: ...
    def counts(self) -> list[tuple[int, int]]:
        """(highest value of the bucket, count) of the buckets that are not empty."""

    def clear(self) -> None: ...

@final
class Counters:
    """Cells of 64 bits in memory that processes may share, such as an `mmap`; what it holds is kept.

    Native adding is atomic between threads and processes; the twin's between threads only. Sums are modulo 2**64.

    Raises:
        BufferError: the memory cannot be written.
        ValueError: it is not made of whole, aligned cells of 8 bytes.
    """

    def __init__(self, memory: bytearray | memoryview | mmap, /) -> None: ...
    def add(self, cell: int, amount: int, /) -> None:
        """IndexError for an unknown cell, ValueError for an amount that is negative or has over 64 bits."""

    def set(self, cell: int, value: int, /) -> None: ...
    def get(self, cell: int, /) -> int: ...
    def values(self, first: int, last: int, /) -> list[int]:
        """Those of the cells from first to last, both included, one read after another."""

    def __len__(self) -> int: ...
