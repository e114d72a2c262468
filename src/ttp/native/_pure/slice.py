"""The dispatch loop: rows of a frame, run one after the other."""

import ctypes
import threading
from collections.abc import Callable
from types import CoroutineType
from typing import Any, Final, final

from ttp.native._pure.children import MAX_UNSETTLED, ChildFrames
from ttp.native._pure.codec import pack
from ttp.native._pure.frame import FrameView
from ttp.native._pure.outbox import Route, scope
from ttp.native._pure.pool import FrameWriter
from ttp.native._pure.results import encode_block
from ttp.native.unawaited import refuse

NONE: Final = 0
DONE: Final = 1
RETRY: Final = 2
DEAD: Final = 3
CANCELLED: Final = 4
BACK: Final = 5

_set_async_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc

OnError = Callable[[int, BaseException], int]


@final
class Slice:
    """See `_core.pyi`."""

    def __init__(self, frame: FrameView, start: int, stop: int, /) -> None:
        if not 0 <= start <= stop <= len(frame):
            raise ValueError("a slice is a range of the frame's rows")
        self.frame = frame
        self.start = start
        self.stop = stop
        self.next = start
        self.running = -1
        self.halted = False
        self.state: Any = None
        self.in_hand = -1  # the row that is running, or on its way through on_error
        self._outcomes = bytearray(stop - start)
        self._first = start  # the row of _outcomes[0]
        self._records: list[tuple[int, int, bytes]] = []  # row, outcome, value
        self._record_bytes = 0
        self._children = ChildFrames()
        self._lock = threading.RLock()  # ending a row and settling exclude each other
        self._thread = 0
        self._interrupting = False  # somebody looks at the running row, and may be about to interrupt it
        self._interrupt: type[BaseException] | None = None  # on its way to that thread

    def cancel(self, row: int, /) -> None:
        """See `_core.pyi`."""
        with self._lock:
            if not self.next <= row < self.stop:
                raise ValueError("only an unstarted row can be cancelled")
            if self._outcomes[row - self._first] != CANCELLED:
                self._outcomes[row - self._first] = CANCELLED
                if self.frame.results:
                    self._add(row, CANCELLED, pack(None))
            self._pass_over()

    def _pass_over(self) -> None:
        """Move next past cancelled rows."""
        while self.in_hand < 0 and self.next < self.stop and self._outcomes[self.next - self._first] == CANCELLED:
            self.next += 1

    def detach(self, row: int, /) -> "Slice":
        """See `_core.pyi`."""
        with self._lock:
            if not self.next <= row < self.stop:
                raise ValueError("only unstarted rows can be detached")
            rest = Slice(self.frame, row, self.stop)
            rest.state, rest.halted = self.state, self.halted
            rest._outcomes[:] = self._outcomes[row - self._first :]
            rest._records = [record for record in self._records if record[0] >= row]  # of cancelled rows
            self._records = [record for record in self._records if record[0] < row]
            for part in (self, rest):
                part._record_bytes = sum(len(record[2]) for record in part._records)
            rest._pass_over()
            del self._outcomes[row - self._first :]
            self.stop = row
            return rest

    def run(self, handler: Callable[..., Any], on_error: OnError, /) -> None:
        """See `_core.pyi`."""
        if self.in_hand >= 0:
            raise RuntimeError("a row of the slice is running")
        token = scope.set(self)
        self._thread = threading.get_ident()
        try:
            while self._run_row(handler, on_error):
                pass
        finally:
            self._thread = 0
            scope.reset(token)

    def _run_row(self, handler: Callable[..., Any], on_error: OnError) -> bool:
        """One row from begin to end. False if none is left, or none is to start."""
        value, error = None, None
        try:
            try:
                if not self._begin_next():
                    return False
                args, kwargs = self.frame.arguments(self.in_hand)
                value = handler(*args, **kwargs)
                self.running = -1
            except BaseException as raised:
                self.running = -1  # at once: now one more interrupt can come, at most
                error = raised
            self._await_interrupt()
        except BaseException as late:
            # An interrupt that arrives here came too late.
            error = error if type(late) is self._interrupt else error or late
        self._interrupt = None
        row = self.in_hand
        try:
            if error is None:
                if type(value) is CoroutineType:
                    refuse(value)
                self._finish(row, DONE, value)
                return True
        except BaseException as raised:
            error = raised
        with self._lock:
            self._children.end(keep=False)
        outcome = BACK
        try:
            outcome = _checked(on_error(row, error))
        except BaseException:
            self._records = [record for record in self._records if record[0] != row]
            raise
        finally:
            self._end(row, outcome)
        return True

    def _await_interrupt(self) -> None:
        """Wait for who has seen the row run, and take back the interrupt that is on its way."""
        while self._interrupting:
            pass
        if self._interrupt is not None:
            _set_async_exception(ctypes.c_ulong(self._thread), None)

    def begin(self, row: int, /) -> None:
        """See `_core.pyi`."""
        with self._lock:
            if self.in_hand >= 0:
                raise ValueError("a row of the slice is running")
            if row != self.next or row >= self.stop:
                raise ValueError("only the next row can begin")
            self._begin(row)

    def _begin_next(self) -> bool:
        with self._lock:
            self._pass_over()
            if self.next >= self.stop or self.halted or self.weight > MAX_UNSETTLED:
                return False
            self._begin(self.next)
            return True

    def _begin(self, row: int) -> None:
        self.next = row + 1
        self.in_hand = self.running = row  # an interrupt may come from here on

    def finish(self, row: int, outcome: int, value: Any = None, /) -> None:
        """See `_core.pyi`."""
        if row < 0 or row != self.in_hand or self._thread:
            raise ValueError("only a row that was begun can end")
        self._finish(row, _checked(outcome), value)

    def _finish(self, row: int, outcome: int, value: Any) -> None:
        data = pack(value) if outcome == DONE and self.frame.results else None
        with self._lock:
            if data is not None:
                self._add(row, DONE, data)
            self._end(row, outcome)

    def _end(self, row: int, outcome: int) -> None:
        with self._lock:
            self._children.end(keep=outcome == DONE)
            self._outcomes[row - self._first] = outcome
            self.in_hand = self.running = -1
            self._pass_over()

    def finish_rows(self, stop: int, outcome: int, /, *, keep: bool = False) -> None:
        """See `_core.pyi`."""
        _checked(outcome)
        if self.in_hand < 0 or self._thread:
            raise ValueError("only a row that was begun can end")
        with self._lock:
            self._children.end(keep=keep or outcome == DONE)
            while True:
                if outcome == DONE and self.frame.results:
                    self._add(self.in_hand, DONE, pack(None))
                self._end(self.in_hand, outcome)
                if self.next >= min(stop, self.stop):
                    return
                self._begin(self.next)

    def withdraw(self) -> None:
        """See `_core.pyi`."""
        if self.in_hand < 0 or self._thread:
            raise ValueError("only a row that was begun can be withdrawn")
        with self._lock:
            self._children.end(keep=False)
            self._records = [record for record in self._records if record[0] != self.in_hand]
            self.next = self.in_hand
            self.in_hand = self.running = -1

    def halt(self) -> None:
        """See `_core.pyi`."""
        self.halted = True

    def interrupt(self, row: int, exception: type[BaseException], /) -> bool:
        """See `_core.pyi`."""
        if not issubclass(exception, BaseException):
            raise TypeError("exception must be an exception class")
        # Without the lock: the row's thread must not be interrupted between taking it and noting that it has it.
        self._interrupting = True
        try:
            if row < 0 or self.running != row or not self._thread:
                return False
            self._interrupt = exception
            _set_async_exception(ctypes.c_ulong(self._thread), ctypes.py_object(exception))
            return True
        finally:
            self._interrupting = False

    def record(self, row: int, outcome: int, value: Any, /) -> None:
        """See `_core.pyi`."""
        if _checked(outcome) == BACK:
            raise ValueError("BACK is no result")
        if not self.start <= row < self.next:
            raise ValueError("only a row that was started has a result")
        if self.frame.results:
            data = pack(value)
            with self._lock:
                self._add(row, outcome, data)

    def _add(self, row: int, outcome: int, data: bytes) -> None:
        self._records.append((row, outcome, data))
        self._record_bytes += len(data)

    def child(self, route: Route, row: bytes) -> tuple[FrameWriter, int]:
        """A row that the running task submits."""
        with self._lock:
            return self._children.append(route, row, self.frame.producer)

    def settle(self, *, cut: bool = True) -> tuple[int, bytes, bytes, list[FrameWriter], bool]:
        """See `_core.pyi`."""
        with self._lock:
            running = self.in_hand >= 0
            first, end = self.start, self.in_hand if running else self.next
            outcomes = bytes(self._outcomes[: end - self._first])
            del self._outcomes[: end - self._first]
            self.start = self._first = end
            if cut:
                self.stop = end + running
                del self._outcomes[self.stop - self._first :]
            taken = [(self.frame.index(row), outcome, data) for row, outcome, data in self._records if row < end]
            self._records = [record for record in self._records if record[0] >= end]
            self._record_bytes = sum(len(record[2]) for record in self._records)
            return first, outcomes, encode_block(taken), self._children.take(), running

    @property
    def weight(self) -> int:
        """See `_core.pyi`."""
        return self._record_bytes + self._children.size


def _checked(outcome: int) -> int:
    if not DONE <= outcome <= BACK:
        raise ValueError(f"not an outcome: {outcome}")
    return outcome
