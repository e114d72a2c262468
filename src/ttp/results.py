"""Results of submitted tasks: one connection and one listening thread a process, at most one HGETALL a frame.

A commit publishes to the producer's channel what it has added to the results of a frame, or that it has where that
is large. The hash is the truth, so a lost message costs time, not the result: whoever waits looks by himself after a
growing pause.
"""

import contextlib
import logging
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ttp.coordination import commands
from ttp.coordination.keys import Keys
from ttp.errors import ResultExpired, ResultTimeout, ServerUnavailable, TaskCancelled, TaskFailed
from ttp.native import CANCELLED, DEAD, DONE, RETRY, ResultBlock, TaskHandle, scope
from ttp.policy import Clock
from ttp.task import Status, TaskId

if TYPE_CHECKING:
    from ttp.coordination.connection import Connection

log = logging.getLogger("ttp.results")

KEPT_FRAMES = 256  # results read and not yet asked for
PAUSES = (0.002, 0.01, 0.05, 0.25, 1.0)  # seconds between two looks at the hash while no hint comes


class FrameResults:
    """What is known of one origin frame's tasks."""

    def __init__(self, keys: Keys, origin: int, fields: dict[bytes, bytes]) -> None:
        marker = fields.pop(b"q", None)
        fields.pop(b"r", None)
        self.known = marker is not None or bool(fields)
        self.due_ms = int(marker or 0)
        self._keys, self._origin = keys, origin
        self._blocks: dict[int, ResultBlock] = {}  # in the order in which they are looked at
        for field, stored in fields.items():
            self._take(field, stored)
        self._sort()

    def add(self, field: bytes, stored: bytes) -> None:
        """One commit has added this."""
        self.known = True
        self._take(field, stored)
        self._sort()

    def _take(self, field: bytes, stored: bytes) -> None:
        block = ResultBlock(self._keys.verify_results(self._origin, field.decode(), stored))
        self._blocks[int(field.partition(b"-")[0])] = block

    def _sort(self) -> None:
        # A field is the id of the entry that was committed: the higher counter is the later word on a task.
        self._blocks = dict(sorted(self._blocks.items(), reverse=True))

    def find(self, index: int) -> tuple[int, Any] | None:
        """(outcome, value) of a task, or None."""
        for block in self._blocks.values():
            if (found := block.find(index)) is not None:
                return found
        return None


class ResultReader:
    """Reads results for all handles of one app in one process.

    Args:
        open_connection: makes a connected `Connection`; ServerUnavailable if that fails.
        channel: names the channel that announces results for this process's producer, now.
    """

    def __init__(
        self, *, open_connection: "Callable[[float], Connection]", channel: Callable[[], str], clock: Clock
    ) -> None:
        self._open_connection = open_connection
        self._channel = channel
        self.clock = clock
        self._start()
        ref = weakref.ref(self)

        def start_anew() -> None:
            if (reader := ref()) is not None:
                reader._start()  # noqa: SLF001

        os.register_at_fork(after_in_child=start_anew)

    def _start(self) -> None:
        self._io = threading.Lock()
        self._connection: Connection | None = None
        self._lock = threading.Lock()  # guards what follows; never held across I/O
        self._frames: OrderedDict[int, FrameResults] = OrderedDict()
        self._hinted: OrderedDict[int, None] = OrderedDict()
        self._told: dict[int, list[tuple[bytes, bytes]]] = {}  # fields of frames that are waited for
        self._waiters: dict[int, list[Callable[[], None]]] = {}
        self._listener: threading.Thread | None = None
        self._closed = False

    def close(self) -> None:
        """Stop listening; waiting callers find out by themselves."""
        self._closed = True
        if self._listener is not None and self._listener is not threading.current_thread():
            self._listener.join()
        with self._io:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def fetch(self, keys: Keys, origin: int) -> FrameResults:
        """Read what the server knows of a frame now."""
        fields = self.call(commands.results(keys, origin))
        frame = FrameResults(keys, origin, commands.mapping(fields))
        with self._lock:
            self._keep(origin, frame)
        return frame

    def _keep(self, origin: int, frame: FrameResults) -> None:
        self._frames[origin] = frame
        self._frames.move_to_end(origin)
        if len(self._frames) > KEPT_FRAMES:
            self._frames.popitem(last=False)

    def call(self, command: commands.Command) -> Any:
        """One command on the reader's own connection."""
        with self._io:
            for attempt in (1, 2):
                try:
                    if self._connection is None:
                        self._connection = self._open_connection(5.0)
                    return self._connection.call(*command)
                except ServerUnavailable:
                    # Reads and cancel requests may be repeated; an idle connection may have been closed.
                    if self._connection is not None:
                        self._connection.close()
                        self._connection = None
                    if attempt == 2:
                        raise
        raise AssertionError

    def heard(self, keys: Keys, origin: int, index: int) -> tuple[int, Any] | None:
        """The outcome of a task, as far as it is known here."""
        with self._lock:
            for field in self._told.pop(origin, ()):
                if origin not in self._frames:
                    self._keep(origin, FrameResults(keys, origin, {}))
                self._frames[origin].add(*field)
            frame = self._frames.get(origin)
        return None if frame is None else frame.find(index)

    def look(self, keys: Keys, origin: int, index: int) -> tuple[int, Any] | None:
        """The final outcome of a task if it is known here, reading the server only where a hint came."""
        found = self.heard(keys, origin, index)
        hinted = origin in self._hinted
        if ((found is None or found[0] == RETRY) and hinted) or (found is not None and found[0] == DEAD):
            # A dead task may have been replayed since.
            with self._lock:
                self._hinted.pop(origin, None)
            found = self.fetch(keys, origin).find(index)
        return None if found is None or found[0] == RETRY else found

    def watch(self, origin: int, callback: Callable[[], None]) -> None:
        """Call back, from the listening thread, at each message about this frame."""
        with self._lock:
            self._waiters.setdefault(origin, []).append(callback)
            if self._listener is None or not self._listener.is_alive():
                self._listener = threading.Thread(target=self._listen, name="ttp-results", daemon=True)
                self._listener.start()
            if origin in self._hinted:
                callback()

    def unwatch(self, origin: int, callback: Callable[[], None]) -> None:
        """Undo `watch`."""
        with self._lock:
            waiters = self._waiters[origin]
            waiters.remove(callback)
            if not waiters:
                del self._waiters[origin]
                if self._told.pop(origin, None):
                    self._hint(origin)

    def _listen(self) -> None:
        while not self._closed:
            try:
                connection = self._open_connection(5.0)
                try:
                    connection.subscribe(self._channel())
                    while not self._closed:
                        message = connection.read_message(0.25)
                        if message is not None:
                            with contextlib.suppress(ValueError):  # nobody of ours said it
                                self._hear(*commands.announcement(message))
                finally:
                    connection.close()
            except ServerUnavailable as error:
                log.debug("not listening for results: %s", error)
                time.sleep(0.25)  # whoever waits also looks by himself meanwhile

    def _hear(self, origin: int, field: tuple[bytes, bytes] | None) -> None:
        with self._lock:
            waiters = self._waiters.get(origin, ())
            if waiters and field is not None:
                self._told.setdefault(origin, []).append(field)
            else:
                self._hint(origin)
            for callback in waiters:
                callback()

    def _hint(self, origin: int) -> None:
        self._hinted[origin] = None
        if len(self._hinted) > 65_536:
            self._hinted.popitem(last=False)


class ResultOwner:
    """Answers for the handles of one task: what `TaskHandle` calls.

    Args:
        convert: makes the annotated return type out of what arrived; None where nothing needs converting.
    """

    def __init__(self, reader: ResultReader, keys: Keys, convert: Callable[[Any], Any] | None = None) -> None:
        self._reader = reader
        self._keys = keys
        self._convert = convert

    def task_id(self, origin: int, index: int) -> str:
        """The id as text."""
        return str(TaskId(self._keys.queue, self._keys.partition, origin, index))

    def status(self, handle: TaskHandle[Any]) -> Status:
        """What the server knows of the task now."""
        frame = self._reader.fetch(self._keys, handle.origin)
        found = frame.find(handle.index)
        if found is None:
            if not frame.known:
                return "unknown"
            return "delayed" if frame.due_ms > self._reader.clock.time() * 1000 else "queued"
        outcome, value = found
        if outcome == RETRY:
            return "delayed" if value > self._reader.clock.time() * 1000 else "queued"
        return {DONE: "done", DEAD: "failed", CANCELLED: "cancelled"}[outcome]  # type: ignore[return-value]

    async def astatus(self, handle: TaskHandle[Any]) -> Status:
        """`status` for event loops."""
        import asyncio  # noqa: PLC0415 - only programs that have an event loop pay for it

        return await asyncio.to_thread(self.status, handle)

    def result(self, handle: TaskHandle[Any], timeout: float | None = None) -> Any:
        """Wait for the result.

        Args:
            timeout: seconds; None waits as long as the server remembers the task.

        Raises:
            TaskFailed, TaskCancelled: what became of the task instead.
            ResultTimeout: nothing yet.
            ResultExpired: the server does not know the task (any more), or keeps no results for it.
            RuntimeError: called inside a handler, where waiting could never end.
        """
        _refuse_in_handler()
        deadline = None if timeout is None else time.monotonic() + timeout
        if (found := self._reader.look(self._keys, handle.origin, handle.index)) is None:
            hint = threading.Event()
            self._reader.watch(handle.origin, hint.set)
            try:
                found = self._wait(handle, hint, deadline)
            finally:
                self._reader.unwatch(handle.origin, hint.set)
        return self._unwrap(handle, *found)

    def _wait(self, handle: TaskHandle[Any], hint: threading.Event, deadline: float | None) -> tuple[int, Any]:
        for looks in range(1_000_000_000):
            pause = PAUSES[min(looks, len(PAUSES) - 1)]
            if deadline is not None:
                pause = min(pause, deadline - time.monotonic())
            if pause > 0 and hint.wait(pause):
                hint.clear()
                found = self._reader.look(self._keys, handle.origin, handle.index)
            else:
                found = self._final(handle)
            if found is not None:
                return found
            if deadline is not None and time.monotonic() >= deadline:
                break
        raise ResultTimeout(f"task {handle.id} has no result yet")

    def _final(self, handle: TaskHandle[Any]) -> tuple[int, Any] | None:
        """Ask the server; None while the task is under way."""
        frame = self._reader.fetch(self._keys, handle.origin)
        if not frame.known:
            raise ResultExpired(f"task {handle.id}: the server keeps no result for it (any more)")
        found = frame.find(handle.index)
        return None if found is None or found[0] == RETRY else found

    async def wait(self, handle: TaskHandle[Any]) -> Any:
        """`result` for event loops, without a timeout of its own (use `asyncio.timeout`)."""
        import asyncio  # noqa: PLC0415

        _refuse_in_handler()
        loop = asyncio.get_running_loop()
        hint = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(hint.set)

        self._reader.watch(handle.origin, wake)
        try:
            looks = 0
            found: tuple[int, Any] | None = None
            while found is None:
                try:
                    await asyncio.wait_for(hint.wait(), PAUSES[min(looks, len(PAUSES) - 1)])
                    hint.clear()
                except TimeoutError:
                    pass
                found = self._reader.heard(self._keys, handle.origin, handle.index)
                if found is None or found[0] in (RETRY, DEAD):
                    found = await asyncio.to_thread(self._final, handle)
                looks += 1
        finally:
            self._reader.unwatch(handle.origin, wake)
        return self._unwrap(handle, *found)

    def cancel(self, handle: TaskHandle[Any]) -> bool:
        """Ask for the task not to be run. True: the request is recorded; the status tells what won."""
        self._reader.call(
            commands.cancel(
                self._keys, origin=handle.origin, index=handle.index, offset_ms=self._reader.clock.offset_ms
            )
        )
        return True

    def _unwrap(self, handle: TaskHandle[Any], outcome: int, value: Any) -> Any:
        if outcome == DONE:
            return value if self._convert is None else self._convert(value)
        if outcome == CANCELLED:
            raise TaskCancelled(f"task {handle.id} was cancelled")
        raise TaskFailed(*value)


def _refuse_in_handler() -> None:
    if scope.get() is not None:
        raise RuntimeError(
            "result() inside a handler would wait for ever: a task submitted there is sent when the handler's own"
            " task commits. Submit with options(detached=True), or let the child do the rest of the work."
        )
