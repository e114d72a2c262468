"""Run a job's slices: here, in threads, or as coroutines."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from ttp.errors import TaskTimeout
from ttp.native import BACK, DONE, Queue, Slice, scope
from ttp.worker.batch import Batch
from ttp.worker.job import BackToQueue, Job

MAX_SLICE_ROWS = 64
SLICE_SECONDS = 0.001
MAX_SLICES = 1024  # of one frame

Relieve = Callable[[Job], None]


def run_slice(job: Job, part: Slice, relieve: Relieve) -> None:
    """Run a slice in this thread to its end, or until it is halted.

    Args:
        relieve: commits what has been done so far; called when results and children grow large.
    """
    on_error = partial(job.failed, part)
    while part.next < part.stop and not part.halted:
        if job.handler.kind == "batch":
            _run_batch(job, part)
        else:
            part.run(job.handler.function, on_error)
        if part.next < part.stop and not part.halted:
            relieve(job)


def _run_batch(job: Job, part: Slice) -> None:
    """One call of a batch handler: what it returns or raises holds for all rows."""
    first, stop = part.next, min(part.stop, part.next + job.handler.max_events)
    token = scope.set(part)
    try:
        part.begin(first)
        error: BaseException | None = None
        try:
            job.handler.function(Batch(job.handler.row, job.view, range(first, stop), job.task_id))
        except BaseException as raised:  # noqa: BLE001 - a handler may raise anything
            error = raised
        for row in range(first, stop):
            if row > first:
                part.begin(row)
            part.finish(row, DONE if error is None else job.failed(part, row, error))
    finally:
        scope.reset(token)


class ThreadRunner:
    """Worker threads that take slices from the lock-free queue.

    Args:
        ended: called in some worker thread with each job whose last slice has ended.
    """

    def __init__(self, threads: int, *, ended: Callable[[Job], None], relieve: Relieve) -> None:
        self._queue = Queue(16_384)
        self._ended = ended
        self._relieve = relieve
        self._seconds_per_task: dict[str, float] = {}
        self._threads = [
            threading.Thread(target=self._work, name=f"ttp-handler-{n}", daemon=True) for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def start(self, job: Job) -> None:
        """Queue all slices of a job."""
        seconds = self._seconds_per_task.get(job.handler.name, SLICE_SECONDS / MAX_SLICE_ROWS)
        rows = min(MAX_SLICE_ROWS, max(1, int(SLICE_SECONDS / max(seconds, 1e-9))))
        if job.handler.kind == "batch":
            rows = job.handler.max_events
        for part in job.cut_into(max(rows, -(-len(job.view) // MAX_SLICES))):
            if not self._queue.try_push(part):
                raise RuntimeError("slice queue overflow")  # the fetch gate keeps far below

    @property
    def idle(self) -> bool:
        """Few enough slices wait that another frame is welcome."""
        return len(self._queue) < 2 * len(self._threads)

    def close(self) -> None:
        """End the threads; those inside a handler end when it does."""
        self._queue.close()

    def _work(self) -> None:
        while True:
            try:
                part: Slice = self._queue.pop()
            except EOFError:
                return
            job: Job = part.state
            begun, first = time.monotonic(), part.next
            job.started = job.started or begun
            run_slice(job, part, self._relieve)
            if done := part.next - first:
                mean = (time.monotonic() - begun) / done
                old = self._seconds_per_task.get(job.handler.name, mean)
                self._seconds_per_task[job.handler.name] = 0.8 * old + 0.2 * mean
            if _end(job):
                self._ended(job)


class AsyncRunner:
    """Coroutines on one event loop in a thread of its own, at most `concurrency` at a time."""

    def __init__(self, concurrency: int, *, ended: Callable[[Job], None]) -> None:
        self._concurrency = concurrency
        self._ended = ended
        self._waiting: deque[Slice] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="ttp-async", daemon=True)
        self._thread.start()

    def start(self, job: Job) -> None:
        """Queue every row of a job."""
        parts = job.cut_into(1)
        job.started = time.monotonic()
        self.loop.call_soon_threadsafe(self._add, parts)

    @property
    def idle(self) -> bool:
        """Few enough rows wait that another frame is welcome."""
        return len(self._waiting) < self._concurrency

    def give_back(self) -> None:
        """Cancel what runs; the tasks go back to the queue."""
        self.loop.call_soon_threadsafe(lambda: [task.cancel("grace is over") for task in self._running])

    def close(self) -> None:
        """Stop the loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5.0)

    def _add(self, parts: list[Slice]) -> None:
        self._waiting.extend(parts)
        self._fill()

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._concurrency:
            part = self._waiting.popleft()
            if part.next < part.stop and not part.halted:
                task = self.loop.create_task(self._run(part.state, part))
                self._running.add(task)
                task.add_done_callback(self._finished)
            elif _end(part.state):
                self._ended(part.state)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._fill()

    async def _run(self, job: Job, part: Slice) -> None:
        scope.set(part)
        row = part.next
        part.begin(row)
        limit = asyncio.timeout(job.handler.timeout)
        try:
            args, kwargs = job.view.arguments(row)
            async with limit:
                value = await job.handler.function(*args, **kwargs)
            part.finish(row, DONE, value)
        except BaseException as raised:  # noqa: BLE001 - a handler may raise anything
            error: BaseException = raised
            if limit.expired() and isinstance(error, TimeoutError):
                error = TaskTimeout(f"no end within {job.handler.timeout} s")
            elif job.stopping and isinstance(error, asyncio.CancelledError):
                error = BackToQueue()
            outcome = BACK if isinstance(error, BackToQueue) else job.failed(part, row, error)
            part.finish(row, outcome)
        if _end(job):
            self._ended(job)


def _end(job: Job) -> bool:
    """Count one slice as ended; True for the last."""
    with job.lock:
        job.unfinished -= 1
        return job.unfinished == 0
