"""From calls to frames: outbox and route."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, final

from ttp.errors import SerializationError
from ttp.native._pure.codec import encode_row
from ttp.native._pure.frame import MAX_ROWS, encode_frame
from ttp.native._pure.pool import FrameWriter, MemoryPool
from ttp.native._pure.task_handle import TaskHandle

if TYPE_CHECKING:
    from ttp.native._pure.slice import Slice

MAX_OPEN = 64

scope: "ContextVar[Slice | None]" = ContextVar("ttp_scope", default=None)

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@final
class Outbox:
    """See `_core.pyi`. No callback is called with the lock held."""

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
        self._lock = threading.RLock()
        self._open: dict[Route, FrameWriter] = {}
        self._sealed: deque[FrameWriter] = deque()
        self._live: set[FrameWriter] = set()
        self._signal = threading.Event()
        self._woken = False

    @property
    def open(self) -> int:
        """Frames open with rows."""
        return len(self._open)

    @property
    def sealed(self) -> int:
        """Frames sealed, not yet taken."""
        return sum(not frame.released for frame in list(self._sealed))

    def wait(self, timeout: float, /) -> bool:
        """See `_core.pyi`."""
        self._signal.clear()
        if not (self._open or self._sealed or self._woken):
            self._signal.wait(max(timeout, 0))
        woken, self._woken = self._woken, False
        return bool(self._open or self._sealed or woken)

    def wake(self) -> None:
        """See `_core.pyi`."""
        self._woken = True
        self._signal.set()

    def seal(self) -> None:
        """See `_core.pyi`."""
        with self._lock:
            for frame in list(self._open.values()):
                self.seal_frame(frame)

    def seal_frame(self, frame: FrameWriter) -> None:
        """Seal one open frame."""
        with self._lock:
            if self._open.get(frame.route) is frame:
                frame.seal()
                del self._open[frame.route]
                self._sealed.append(frame)

    def take(self) -> FrameWriter | None:
        """See `_core.pyi`."""
        while self._sealed:
            try:
                frame = self._sealed.popleft()
            except IndexError:  # another thread took it
                break
            if not frame.released:
                return frame
        return None

    def forget(self, frame: FrameWriter) -> None:
        """A frame was released."""
        with self._lock:
            if self._open.get(frame.route) is frame:
                del self._open[frame.route]
            if frame in self._live:
                self._live.remove(frame)
                self._pool.give_back()

    def reset(self, producer: bytes, /) -> None:
        """See `_core.pyi`."""
        frames = list(self._live)
        self._start(producer)  # the lock too: a thread of the parent may have held it
        for frame in frames:
            frame.release()
            self._pool.give_back()

    def append(self, route: "Route", row: bytes) -> tuple[FrameWriter, int, bool]:
        """Put a row into the route's open frame: the frame, the row's index in it, and whether it is full now."""
        while True:
            with self._lock:
                frame = self._open.get(route)
                if frame is not None and not frame.fits(len(row), self._pool.block_size):
                    self.seal_frame(frame)
                    callback = self._on_sealed
                else:
                    frame = frame or self._new_frame(route)
                    if frame is not None:
                        index = frame.append(row)
                        full = len(frame) == MAX_ROWS or not frame.fits(0, self._pool.block_size)
                        if full:
                            self.seal_frame(frame)
                        self._signal.set()
                        return frame, index, full
                    callback = self._on_full
            callback()  # which may have changed everything

    def appended(self, *, full: bool) -> None:
        """Say so to those who care, when a row was appended."""
        if full or not self.attended:
            self._on_sealed()

    def _new_frame(self, route: "Route") -> FrameWriter | None:
        if len(self._open) == MAX_OPEN:
            self.seal()
        if not self._pool.acquire():
            return None
        frame = self._open[route] = FrameWriter(route, self.producer, self)
        self._live.add(frame)
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
        bind: Callable[[tuple[Any, ...], dict[str, Any]], Arguments] | None = None,
        trace: bytes = b"",
    ) -> None:
        encode_frame(  # checks them
            [b"\x90"], name=name, queue=queue, fid=1, producer=bytes(12), priority=priority, trace=trace
        )
        self.outbox = outbox
        self.raw = name.encode(), queue.encode(), trace
        self.name: Final = name
        self.queue: Final = queue
        self.owner: Final = owner
        self.priority: Final = priority
        self.results: Final = results
        self.detached: Final = detached
        self.delay: Final = delay
        self.at: Final = at
        self.submit: Final = submit
        self.trace: Final = trace
        self._min_args = min_args
        self._max_args = max_args
        self._bind = bind

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        row = self._encode(args, kwargs)
        part = self._parent()
        if part is not None:
            frame, index = part.child(self, row)
        else:
            frame, index, full = self.outbox.append(self, row)
            self.outbox.appended(full=full)
            if self.submit:
                self.outbox.on_submit(frame)
        return TaskHandle(self.owner, frame.origin, index) if self.submit else None

    def append(self, /, *args: Any, **kwargs: Any) -> "tuple[FrameWriter, TaskHandle]":
        """See `_core.pyi`."""
        [(frame, index, _)] = self._extend([self._encode(args, kwargs)], [])
        return frame, TaskHandle(self.owner, frame.origin, index)

    def extend(self, rows: Iterable[tuple[Any, ...]], /) -> list[tuple[FrameWriter, int, int]]:
        """See `_core.pyi`."""
        spans: list[tuple[FrameWriter, int, int]] = []
        try:
            return self._extend((self._encode_row(i, row) for i, row in enumerate(rows)), spans)
        except BaseException as error:
            error.spans = spans  # type: ignore[attr-defined]
            raise

    def _extend(
        self, rows: Iterable[bytes], spans: list[tuple[FrameWriter, int, int]]
    ) -> list[tuple[FrameWriter, int, int]]:
        part = self._parent()
        for row in rows:
            frame, index, full = (*part.child(self, row), False) if part is not None else self.outbox.append(self, row)
            last, first, count = spans[-1] if spans else (None, 0, 0)
            if frame is last and index == first + count:
                spans[-1] = (frame, first, count + 1)
            else:
                spans.append((frame, index, 1))
            if part is None:
                self.outbox.appended(full=full)
        return spans

    def _parent(self) -> "Slice | None":
        """The slice whose children the calls are."""
        part = None if self.detached else scope.get()
        # A context may outlive its task (a thread that the handler started): there is no parent any more.
        return part if part is not None and part.in_hand >= 0 else None

    def _encode_row(self, i: int, row: tuple[Any, ...]) -> bytes:
        if not isinstance(row, tuple):
            raise TypeError(f"rows[{i}]: a row is a tuple of arguments, not {type(row).__name__}")
        try:
            return self._encode(row, {})
        except (SerializationError, TypeError) as error:
            raise type(error)(f"rows[{i}]: {error}") from None

    def _encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        if self._bind is not None and (kwargs or not self._min_args <= len(args) <= self._max_args):
            args, kwargs = self._bind(args, kwargs)
        return encode_row(args, kwargs)
