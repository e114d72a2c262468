"""From calls to frames: pool, frame writer, outbox, route, handle. The GIL is the lock, as in the native twin."""

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, final

from ttp.errors import QueueFull, SerializationError
from ttp.native._pure.codec import encode_row
from ttp.native._pure.frame import MAX_FRAME, MAX_ROWS, RESULTS, encode_frame, frame_size

if TYPE_CHECKING:
    from ttp.native._pure.slice import Slice

MAX_OPEN = 64
MAX_UNSETTLED = 1_048_576

scope: "ContextVar[Slice | None]" = ContextVar("ttp_scope", default=None)


@final
class MemoryPool:
    """See `_core.pyi`; here only counted."""

    def __init__(self, block_size: int, blocks: int, /) -> None:
        if block_size < 1 or blocks < 1:
            raise ValueError("block_size and blocks must be at least 1")
        self.block_size = block_size
        self.capacity = blocks
        self.available = blocks


@final
class FrameWriter:
    """See `_core.pyi`."""

    def __init__(self, route: "Route", producer: bytes, created_at: int, pool: MemoryPool | None) -> None:
        self.route = route
        self.fid = self.origin = secrets.randbits(64) or 1
        self.outcome: Any = None
        self.rows: list[bytes] = []
        self.size = 0  # of the rows
        self.base = 0  # index of the first row in the origin frame
        self._producer = producer
        self._created_at = created_at
        self._pool = pool
        self._data: bytes | None = None
        self._count: int | None = None

    @property
    def sealed(self) -> bool:
        """Whether it takes no more rows."""
        return self._count is not None

    def __len__(self) -> int:
        return len(self.rows) if self._count is None else self._count

    def fits(self, row: int, limit: int) -> bool:
        """Whether a row of this size keeps the whole frame within the limit."""
        if len(self.rows) == MAX_ROWS:
            return False
        return self.route.frame_size(self.size + row, len(self.rows) + 1, derived=self.base > 0) <= limit

    def seal(self) -> None:
        """Take no more rows."""
        if self._count is None:
            self._count = len(self.rows)
            self._data = encode_frame(
                self.rows,
                name=self.route.name,
                queue=self.route.queue,
                fid=self.fid,
                origin=self.origin,
                index=range(self.base, self.base + len(self.rows)) if self.base else None,
                producer=self._producer,
                priority=self.route.priority,
                created_at=self._created_at,
                flags=RESULTS if self.route.results else 0,
            )

    def data(self) -> memoryview:
        """See `_core.pyi`."""
        self.seal()
        if self._data is None:
            raise ValueError("the frame is released")
        return memoryview(self._data)

    def release(self) -> None:
        """See `_core.pyi`."""
        if self._count is None:
            self._count = len(self.rows)
        self._data = None
        self.rows = []
        if self._pool is not None:
            self._pool.available += 1
            self._pool = None

    def cut(self, rows: int) -> "FrameWriter":
        """The first rows as a frame of their own, under this one's fid; the rest goes on under a new one."""
        first = FrameWriter(self.route, self._producer, self._created_at, None)
        first.fid, first.origin, first.base = self.fid, self.origin, self.base
        first.rows, self.rows = self.rows[:rows], self.rows[rows:]
        first.size = sum(map(len, first.rows))
        self.size -= first.size
        self.base += rows
        self.fid = secrets.randbits(64) or 1
        return first


@final
class Outbox:
    """See `_core.pyi`."""

    def __init__(
        self,
        pool: MemoryPool,
        producer: bytes,
        *,
        on_sealed: Callable[[], None],
        on_submit: Callable[[FrameWriter], None],
        on_full: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._on_sealed = on_sealed
        self.on_submit = on_submit
        self._on_full = on_full
        self.offset_us = 0
        self._start(producer)

    def _start(self, producer: bytes) -> None:
        if len(producer) != 12:
            raise ValueError("a producer id has 12 bytes")
        self.producer = producer
        self.attended = False
        self._open: dict[Route, FrameWriter] = {}
        self._sealed: deque[FrameWriter] = deque()
        self._live: list[FrameWriter] = []
        self._signal = threading.Event()
        self._woken = False

    @property
    def open(self) -> int:
        """Frames open with rows."""
        return len(self._open)

    @property
    def sealed(self) -> int:
        """Frames sealed, not yet taken."""
        return len(self._sealed)

    def wait(self, timeout: float, /) -> bool:
        """See `_core.pyi`."""
        self._signal.clear()
        if not (self._open or self._sealed or self._woken):
            self._signal.wait(timeout)
        woken, self._woken = self._woken, False
        return bool(self._open or self._sealed or woken)

    def wake(self) -> None:
        """See `_core.pyi`."""
        self._woken = True
        self._signal.set()

    def seal(self) -> None:
        """See `_core.pyi`."""
        for route in list(self._open):
            self._seal(route)

    def _seal(self, route: "Route") -> None:
        frame = self._open.pop(route, None)
        if frame is not None:
            frame.seal()
            self._sealed.append(frame)

    def take(self) -> FrameWriter | None:
        """See `_core.pyi`."""
        try:
            return self._sealed.popleft()
        except IndexError:
            return None

    def reset(self, producer: bytes, /) -> None:
        """See `_core.pyi`."""
        for frame in self._live:
            frame.release()
        self._pool.available = self._pool.capacity
        self._start(producer)

    def append(self, route: "Route", row: bytes) -> tuple[FrameWriter, int]:
        """Put a row into the route's open frame: the frame, and the row's index in it."""
        frame = self._open.get(route)
        if frame is not None and not frame.fits(len(row), self._pool.block_size):
            self._seal(route)
            frame = None
            self._on_sealed()
        if frame is None or frame.sealed:
            frame = self._new_frame(route)
        frame.rows.append(row)
        frame.size += len(row)
        at = len(frame) - 1
        if len(frame) == MAX_ROWS or not frame.fits(0, self._pool.block_size):
            self._seal(route)
            self._on_sealed()
        elif not self.attended:
            self._on_sealed()
        self._signal.set()
        return frame, at

    def _new_frame(self, route: "Route") -> FrameWriter:
        while not self._pool.available:
            self._on_full()
        if (frame := self._open.get(route)) is not None:
            return frame  # opened by another thread while this one waited
        if len(self._open) == MAX_OPEN:
            self.seal()
        self._pool.available -= 1
        frame = FrameWriter(route, self.producer, now_us(self.offset_us), self._pool)
        self._live = [f for f in self._live if not f.sealed or f._data is not None]  # noqa: SLF001
        self._live.append(frame)
        self._open[route] = frame
        return frame


@final
class Route:
    """See `_core.pyi`."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        name: str,
        queue: str,
        owner: Any,
        priority: int = 1,
        submit: bool = False,
        results: bool = False,
        detached: bool = False,
        delay: float = 0.0,
        at: float = 0.0,
        min_args: int = 0,
        max_args: int = 65_535,
        bind: Callable[[tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]] | None = None,
    ) -> None:
        encode_frame([b"\x90"], name=name, queue=queue, fid=1, producer=bytes(12), priority=priority)  # checks them
        self._outbox = outbox
        self.name: Final = name
        self.queue: Final = queue
        self.owner: Final = owner
        self.priority: Final = priority
        self.results: Final = results
        self.detached: Final = detached
        self.delay: Final = delay
        self.at: Final = at
        self._submit = submit
        self._min_args = min_args
        self._max_args = max_args
        self._bind = bind

    def frame_size(self, rows_size: int, count: int, *, derived: bool) -> int:
        """Bytes of a whole frame of this route."""
        return frame_size(self.name.encode(), self.queue.encode(), rows_size, count, derived=derived)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        row = self._encode(args, kwargs)
        part = None if self.detached else scope.get()
        if part is not None:
            frame, index = part.child(self, row)
        else:
            frame, index = self._outbox.append(self, row)
            if self._submit:
                self._outbox.on_submit(frame)
        return TaskHandle(self.owner, frame.origin, index) if self._submit else None

    def append(self, /, *args: Any, **kwargs: Any) -> "tuple[FrameWriter, TaskHandle]":
        """See `_core.pyi`."""
        frame, index = self._put(self._encode(args, kwargs))
        return frame, TaskHandle(self.owner, frame.origin, index)

    def extend(self, rows: Iterable[tuple[Any, ...]], /) -> list[tuple[FrameWriter, int, int]]:
        """See `_core.pyi`."""
        spans: list[tuple[FrameWriter, int, int]] = []
        i = 0
        try:
            for i, row in enumerate(rows):  # noqa: B007 - named in the error
                if type(row) is not tuple:
                    raise TypeError(f"rows[{i}]: a row is a tuple of arguments, not {type(row).__name__}")
                frame, index = self._put(self._encode(row, {}))
                if spans and spans[-1][0] is frame:
                    spans[-1] = (frame, spans[-1][1], spans[-1][2] + 1)
                else:
                    spans.append((frame, index, 1))
        except Exception as error:
            named = error
            if type(error) in (SerializationError, TypeError) and not str(error).startswith("rows["):
                named = type(error)(f"rows[{i}]: {error}")
            named.spans = spans  # type: ignore[attr-defined]
            if named is error:
                raise
            raise named from None
        return spans

    def _put(self, row: bytes) -> tuple[FrameWriter, int]:
        part = None if self.detached else scope.get()
        return part.child(self, row) if part is not None else self._outbox.append(self, row)

    def _encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        if self._bind is not None and (kwargs or not self._min_args <= len(args) <= self._max_args):
            args, kwargs = self._bind(args, kwargs)
        return encode_row(args, kwargs)


@final
class TaskHandle:
    """See `_core.pyi`."""

    __slots__ = ("_owner", "index", "origin")

    def __init__(self, owner: Any, origin: int, index: int, /) -> None:
        self._owner = owner
        self.origin = origin
        self.index = index

    def __class_getitem__(cls, _: Any) -> type:
        return cls

    @property
    def id(self) -> str:
        """See `_core.pyi`."""
        return self._owner.task_id(self.origin, self.index)

    def status(self) -> Any:
        """See `_core.pyi`."""
        return self._owner.status(self)

    def astatus(self) -> Any:
        """See `_core.pyi`."""
        return self._owner.astatus(self)

    def result(self, timeout: float | None = None) -> Any:
        """See `_core.pyi`."""
        return self._owner.result(self, timeout)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._owner.wait(self).__await__()

    def cancel(self) -> bool:
        """See `_core.pyi`."""
        return self._owner.cancel(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TaskHandle):
            return NotImplemented
        return (self.origin, self.index) == (other.origin, other.index)

    def __hash__(self) -> int:
        return hash((self.origin, self.index))

    def __repr__(self) -> str:
        return f"<TaskHandle {self.id}>"


class ChildFrames:
    """What the rows of a slice have submitted; a failed row's part is dropped."""

    def __init__(self) -> None:
        self._frames: list[FrameWriter] = []
        self._marks: dict[FrameWriter, int] | None = None  # rows of each frame before the running row's
        self._own = 0  # bytes of the running row's
        self.size = 0

    def append(self, route: Route, row: bytes, producer: bytes) -> tuple[FrameWriter, int]:
        """Put a row of the running task into an open frame of its route."""
        if self._own + len(row) > MAX_UNSETTLED:
            raise QueueFull(
                f"one task may submit {MAX_UNSETTLED:,} bytes of children: submit with options(detached=True)"
            )
        if self._marks is None:
            self._marks = {frame: len(frame) for frame in self._frames}
        frame = next((f for f in reversed(self._frames) if f.route is route), None)
        if frame is None or frame.sealed or not frame.fits(len(row), MAX_FRAME):
            frame = FrameWriter(route, producer, now_us(route._outbox.offset_us), None)  # noqa: SLF001
            self._frames.append(frame)
        frame.rows.append(row)
        frame.size += len(row)
        self._own += len(row)
        self.size += len(row)
        return frame, frame.base + len(frame) - 1

    def end(self, *, keep: bool) -> None:
        """The running row has ended."""
        if self._marks is not None and not keep:
            for frame in self._frames:
                rows = self._marks.get(frame, 0)
                frame.size = sum(map(len, frame.rows[:rows]))
                del frame.rows[rows:]
            self._frames = [frame for frame in self._frames if frame.rows]
            self.size -= self._own
        self._marks = None
        self._own = 0

    def take(self) -> list[FrameWriter]:
        """The frames of finished rows, sealed."""
        marks, taken, left = self._marks, [], []
        for frame in self._frames:
            rows = len(frame) if marks is None else marks.get(frame, 0)
            if rows == len(frame):
                taken.append(frame)
            elif rows == 0:
                left.append(frame)
            else:
                taken.append(frame.cut(rows))
                left.append(frame)
        for frame in taken:
            frame.seal()
        self._frames = left
        if marks is not None:
            self._marks = dict.fromkeys(left, 0)
        self.size = self._own
        return taken


def now_us(offset_us: int) -> int:
    """Server time, microseconds since 1970."""
    return time.time_ns() // 1000 + offset_us
