"""A frame in hand: its entry on the server, its slices, and what went wrong in them."""

import logging
import threading
import time
import traceback
from collections.abc import Collection
from dataclasses import dataclass
from random import Random
from typing import Any

from ttp.coordination.commands import Entry
from ttp.coordination.keys import Keys
from ttp.errors import CircuitOpen, CorruptFrame, Reject, SerializationError
from ttp.native import BACK, DEAD, RETRY, FrameView, Slice
from ttp.policy import Clock
from ttp.task import TaskContext, TaskId
from ttp.worker.handler import Handler

log = logging.getLogger("ttp.worker")

NOT_BEGUN = 8  # times in a row that a frame may be in a dead worker's hand before that is held against it
TRACEBACK_BYTES = 4096
REASON_BYTES = 512


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task did not end well, as text; `due_ms` is set where it will be tried again."""

    error_type: str
    reason: str
    traceback: str = ""
    due_ms: int | None = None


def crashes_of(entry: Entry, view: FrameView, keys: Keys) -> int:
    """Workers that died over these tasks.

    A frame that has none yet may be charged for another's: it was in hand, or on the wire. Such a frame is held before
    it runs (`Committer.hold`), so from then on only a death over a held one is its own.
    """
    deaths = entry.deliveries - 1
    if deaths > NOT_BEGUN:  # it does harm before it runs
        return view.crashes + deaths
    return view.crashes + (deaths > 0 and (entry.stream == keys.held or not view.crashes))


class Job:
    """A frame that this worker holds, and will replace by a commit.

    Attributes:
        source, id, tasks, size: the stream entry that stands for the unfinished rows. A split replaces it.
        first_id: the id under which the frame was read.
        cancelled: indices of tasks that are asked not to run.
        crashes: workers that died over these tasks, stamped on every frame derived from this one.
        slices: the rows, in ranges that run one after the other.
        failures: row → why it failed.
        admitted: rows that the breaker lets run now; the rest is put off.
        deferral: seconds that rows which go back are put off; None: they are ready at once.
        read_at, started, drafted_at: when it was read, began to run, and had a commit drafted last; monotonic seconds.
        drafted: its last commit has been drafted: nothing is left to take out of it.
        lock: held while the entry is being replaced, so across that one commit's round trip.
        cutting: held while slices are cut, settled or counted; never across I/O.
    """

    __slots__ = (
        "_clock", "_rng", "admitted", "cancelled", "crashes", "cutting", "deferral", "drafted", "drafted_at",
        "failures", "first_id", "handler", "id", "keys", "lock", "over", "read_at", "size", "slices",
        "source", "started", "state", "stopping", "tasks", "unfinished", "view",
    )  # fmt: skip

    def __init__(
        self, entry: Entry, view: FrameView, handler: Handler, keys: Keys, *, clock: Clock, rng: Random, state: Any
    ) -> None:
        self.keys = keys
        self.view = view
        self.handler = handler
        self.source = entry.stream
        self.id = entry.id
        self.tasks = entry.tasks
        self.size = len(view.data) + keys.overhead
        self.crashes = crashes_of(entry, view, keys)
        self.first_id = entry.id
        self.cancelled: Collection[int] = ()  # indices of tasks that are asked not to run
        self.slices: list[Slice] = []
        self.unfinished = 0  # slices that have not ended; under cutting
        self.failures: dict[int, Failure] = {}
        self.lock = threading.Lock()
        self.cutting = threading.Lock()
        self.over = False
        self.drafted = False
        self.admitted = len(view)
        self.deferral: float | None = None
        self.stopping = False
        self.read_at = time.monotonic()
        self.started = self.drafted_at = 0.0
        self.state = state
        self._clock = clock
        self._rng = rng

    def cut_into(self, rows: int) -> list[Slice]:
        """Make the slices, of so many rows each."""
        for start in range(0, self.admitted, rows):
            self._cut(start, min(self.admitted, start + rows))
        self.unfinished = len(self.slices)
        to_run = list(self.slices)
        if self.admitted < len(self.view):
            self._cut(self.admitted, len(self.view)).halt()
        return to_run

    def _cut(self, start: int, stop: int) -> Slice:
        piece = Slice(self.view, start, stop)
        piece.state = self
        for row in range(start, stop) if self.cancelled else ():
            if self.view.index(row) in self.cancelled:
                piece.cancel(row)
        if self.stopping:
            piece.halt()
        self.slices.append(piece)
        return piece

    def detach(self, part: Slice, row: int) -> Slice | None:
        """Make the unstarted rows of a slice from this one on a slice of their own; None: there are none."""
        with self.cutting:
            if row >= part.stop:
                return None
            rest = part.detach(row)
            self.slices.append(rest)
            self.unfinished += 1
        if self.stopping or self.over:  # which may have become so before others could see this slice
            rest.halt()
        return rest

    def stop(self) -> None:
        """Start no further row."""
        self.stopping = True
        for part in list(self.slices):
            part.halt()

    def put_off(self, seconds: float) -> None:
        """Start no further row: what is unstarted goes back, and is due after so many seconds."""
        self.deferral = seconds
        for part in list(self.slices):
            part.halt()

    def failed(self, part: Slice, row: int, error: BaseException) -> int:
        """A task raised: decide by its policy, note why, and return the outcome."""
        if isinstance(error, CircuitOpen):
            self.deferral = max(self.deferral or 0.0, error.retry_after)
            return BACK
        final = isinstance(error, (CorruptFrame, SerializationError))
        delay = None if final else self._retry_delay(error)
        breaker = self.handler.breaker
        if delay is not None and breaker is not None and not breaker.may_retry():
            delay = max(delay, self.handler.retry.max_delay)
        error_type = "Rejected" if isinstance(error, Reject) else type(error).__qualname__
        reason = _clip(_text_of(error), REASON_BYTES)
        if delay is not None:
            due_ms = round((self._clock.time() + delay) * 1000)
            self.failures[row] = Failure(error_type, reason, due_ms=due_ms)
            part.record(row, RETRY, due_ms)
            return RETRY
        text = "" if isinstance(error, Reject) else _traceback(error)
        self.failures[row] = Failure(error_type, reason, text)
        part.record(row, DEAD, [error_type, reason, text])
        return DEAD

    def _retry_delay(self, error: BaseException) -> float | None:
        try:
            return self.handler.retry.delay(self.view.attempt, error, self._rng)
        except Exception:  # a policy of the user's own: its fault is no reason to end the worker
            log.exception("the retry policy of %s failed, and so the task is dead", self.handler.name)
            return None

    def task_id(self, row: int) -> TaskId:
        """The id of a row's task."""
        return TaskId(self.keys.queue, self.keys.partition, self.view.origin, self.view.index(row))

    def context(self, row: int) -> TaskContext:
        """What `ttp.current_task` shows for a row."""
        return TaskContext(str(self.task_id(row)), self.view.name, self.view.attempt, self.state)


def end_slice(job: Job) -> bool:
    """Count one slice as ended; True for the last."""
    with job.cutting:
        job.unfinished -= 1
        return job.unfinished == 0


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as wrong:
        return f"(its text cannot be had: {type(wrong).__qualname__})"


def _traceback(error: BaseException) -> str:
    """The traceback as text, without this library's own frames, its last 4 KiB."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return _clip("".join(lines), -TRACEBACK_BYTES)


def _clip(text: str, size: int) -> str:
    """The first bytes of a text, or the last if size is negative; what cannot be encoded is escaped."""
    raw = text.encode("utf-8", "backslashreplace")
    return (raw[:size] if size > 0 else raw[size:]).decode("utf-8", "ignore")
