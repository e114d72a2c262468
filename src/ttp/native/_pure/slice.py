"""The dispatch loop: rows of a frame, run one after the other."""

import ctypes
import threading
from collections.abc import Callable
from typing import Any, Final, final

from ttp.native._pure.codec import pack
from ttp.native._pure.frame import FrameView
from ttp.native._pure.outbox import MAX_UNSETTLED, ChildFrames, FrameWriter, Route, scope
from ttp.native._pure.results import encode_block

NONE: Final = 0
DONE: Final = 1
RETRY: Final = 2
DEAD: Final = 3
CANCELLED: Final = 4
BACK: Final = 5

_set_async_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc


@final
class Slice:
    """See `_core.pyi`."""

    def __init__(self, frame: FrameView, start: int, stop: int, /) -> None:
        if not 0 <= start <= stop <= len(frame):
            raise ValueError("start and stop must lie within the frame, in order")
        self.frame = frame
        self.start = start
        self.stop = stop
        self.next = start
        self.running = -1
        self.halted = False
        self.state: Any = None
        self._current = -1  # running, or on its way through on_error
        self._outcomes = bytearray(stop - start)
        self._first = start  # the row of _outcomes[0]
        self._records: list[tuple[int, int, bytes]] = []
        self._record_bytes = 0
        self._children = ChildFrames()
        self._lock = threading.RLock()  # ending a row and settling exclude each other
        self._thread = 0
        self._raising = False  # an interrupt is about to be raised
        self._raised = False  # one is on its way

    def _set(self, row: int, outcome: int) -> None:
        self._outcomes[row - self._first] = outcome

    def cancel(self, row: int, /) -> None:
        """See `_core.pyi`."""
        if not self.next <= row < self.stop:
            raise ValueError("only an unstarted row can be cancelled")
        with self._lock:
            if self._outcomes[row - self._first] != CANCELLED:
                self._set(row, CANCELLED)
                self.record(row, CANCELLED, None)
            self._pass_over()

    def _pass_over(self) -> None:
        """Move next past cancelled rows."""
        while self._current < 0 and self.next < self.stop and self._outcomes[self.next - self._first] == CANCELLED:
            self.next += 1

    def run(self, handler: Callable[..., Any], on_error: Callable[[int, BaseException], int], /) -> None:
        """See `_core.pyi`."""
        if self._thread:
            raise RuntimeError("the slice is running")
        token = scope.set(self)
        self._thread = threading.get_ident()
        try:
            while self.next < self.stop and not self.halted and self.weight <= MAX_UNSETTLED:
                self._run_row(self.next, handler, on_error)
        finally:
            self._thread = 0
            scope.reset(token)

    def _run_row(self, row: int, handler: Callable[..., Any], on_error: Callable[[int, BaseException], int]) -> None:
        error: BaseException | None = None
        value: Any = None
        try:
            self.begin(row)
            args, kwargs = self.frame.arguments(row)
            value = handler(*args, **kwargs)
        except BaseException as raised:  # noqa: BLE001 - every one goes to on_error
            error = raised
        self._quiet()
        if error is None:
            try:
                self.finish(row, DONE, value)
            except BaseException as raised:  # noqa: BLE001 - the result cannot be encoded
                error = raised
            else:
                return
        with self._lock:
            self._children.end(keep=False)
        outcome = BACK
        try:
            outcome = on_error(row, error)
        finally:
            self._end(row, outcome)

    def _quiet(self) -> None:
        """No interrupt reaches this row from now on; one that arrives in here came too late, and is dropped."""
        while True:
            try:
                self.running = -1
                while self._raising:
                    pass  # it has seen the row run, and raises in a moment
                if self._raised:
                    _set_async_exception(ctypes.c_ulong(self._thread), None)
                    self._raised = False
            except BaseException:  # noqa: BLE001, S112
                continue
            return

    def begin(self, row: int, /) -> None:
        """See `_core.pyi`."""
        with self._lock:
            if row != self.next or row >= self.stop:
                raise ValueError(f"row {row} is not the next one")
            self._current = self.running = row
            self.next = row + 1

    def finish(self, row: int, outcome: int, value: Any = None, /) -> None:
        """See `_core.pyi`."""
        if row != self._current:
            raise ValueError(f"row {row} is not running")
        data = pack(value) if outcome == DONE and self.frame.results else None
        with self._lock:
            if data is not None:
                self._add(row, DONE, data)
            self._children.end(keep=outcome == DONE)
            self._end(row, outcome)

    def _end(self, row: int, outcome: int) -> None:
        with self._lock:
            self._set(row, outcome)
            self._current = self.running = -1
            self._pass_over()

    def halt(self) -> None:
        """See `_core.pyi`."""
        self.halted = True

    def interrupt(self, row: int, exception: type[BaseException], /) -> bool:
        """See `_core.pyi`."""
        # No lock: the row's thread must not be interrupted while it holds one.
        self._raising = True
        try:
            if self.running != row or not self._thread:
                return False
            self._raised = True
            _set_async_exception(ctypes.c_ulong(self._thread), ctypes.py_object(exception))
            return True
        finally:
            self._raising = False

    def record(self, row: int, outcome: int, value: Any, /) -> None:
        """See `_core.pyi`."""
        if self.frame.results:
            self._add(row, outcome, pack(value))

    def _add(self, row: int, outcome: int, data: bytes) -> None:
        self._records.append((self.frame.index(row), outcome, data))
        self._record_bytes += len(data)

    def child(self, route: Route, row: bytes) -> tuple[FrameWriter, int]:
        """A row that the running task submits."""
        with self._lock:
            return self._children.append(route, row, self.frame.producer)

    def settle(self, *, cut: bool = True) -> tuple[int, bytes, bytes, list[FrameWriter], bool]:
        """See `_core.pyi`."""
        with self._lock:
            running = self._current >= 0
            first, end = self.start, self._current if running else self.next
            outcomes = bytes(self._outcomes[first - self._first : end - self._first])
            del self._outcomes[: end - self._first]
            self.start = self._first = end
            if cut:
                self.stop = end + running
                del self._outcomes[self.stop - self._first :]
            indices = {self.frame.index(row) for row in range(first, end)}
            taken = [record for record in self._records if record[0] in indices]
            self._records = [record for record in self._records if record[0] not in indices]
            self._record_bytes = sum(len(record[2]) for record in self._records)
            return first, outcomes, encode_block(taken), self._children.take(), running

    @property
    def weight(self) -> int:
        """See `_core.pyi`."""
        return self._record_bytes + self._children.size


