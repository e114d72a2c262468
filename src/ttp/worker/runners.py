"""Run a job's slices here or in threads."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

from ttp.native import Queue, Slice
from ttp.worker.batch_runner import Piece, run_batch, run_joined
from ttp.worker.guard import Guard
from ttp.worker.job import Job, end_slice
from ttp.worker.traced import span_of
from ttp.worker.vital import Vital

MAX_SLICE_ROWS = 64
SLICE_SECONDS = 0.001
MAX_SLICES = 1024  # of one frame
RING = 16_384  # slices that may wait for a thread
ENDING = 1.0  # seconds for a thread that runs nothing to end

Relieve = Callable[[Job], None]


def run_slices(parts: Sequence[Slice], relieve: Relieve) -> None:
    """Run the slice of a job in this thread, or those of several jobs of a batch task in one call."""
    if len(parts) == 1:
        run_slice(parts[0].state, parts[0], relieve)
        return
    with ExitStack() as spans:
        pieces = []
        for part in parts:
            job: Job = part.state
            handler = job.handler
            if handler.tracing is not None:
                spans.enter_context(span_of(handler.tracing, job, part))
            guard = None if handler.breaker is None else Guard(handler.breaker, job, part)
            pieces.append(Piece(job, part, guard, range(part.next, part.stop)))
        run_joined(pieces)


def run_slice(job: Job, part: Slice, relieve: Relieve) -> None:
    """Run a slice in this thread to its end, or until it is halted.

    Args:
        relieve: commits what has been done so far; called when results and children grow large.
    """
    if job.handler.tracing is None or part.next >= part.stop:  # a split may have left nothing of it
        _run(job, part, relieve)
    else:
        with span_of(job.handler.tracing, job, part):
            _run(job, part, relieve)


def _run(job: Job, part: Slice, relieve: Relieve) -> None:
    breaker = job.handler.breaker
    guard = None if breaker is None else Guard(breaker, job, part)
    on_error = partial(job.failed, part) if guard is None else guard.failed
    while part.next < part.stop and not part.halted:
        if job.handler.kind == "batch":
            run_batch(job, part, guard)
        else:
            part.run(job.handler.function, on_error)
        if part.next < part.stop and not part.halted:
            relieve(job)
    if guard is not None:
        guard.ended()


class ThreadRunner:
    """Worker threads that take slices from the lock-free queue.

    Args:
        ended: called in some worker thread with each job whose last slice has ended.
    """

    def __init__(self, threads: int, *, ended: Callable[[Job], None], relieve: Relieve, vital: Vital) -> None:
        self._queue = Queue(RING)
        self._ended = ended
        self._relieve = relieve
        self._seconds_per_task: dict[str, float] = {}
        self._running: set[threading.Thread] = set()
        self._threads = [vital.thread(f"ttp-handler-{n}", self._work) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def start(self, jobs: Sequence[Job]) -> None:
        """Queue all slices of a job, or several jobs as one call."""
        if len(jobs) > 1:
            self._push([part for job in jobs for part in job.cut_into(len(job.view))])
            return
        (job,) = jobs
        seconds = self._seconds_per_task.get(job.handler.name, SLICE_SECONDS / MAX_SLICE_ROWS)
        rows = min(MAX_SLICE_ROWS, max(1, int(SLICE_SECONDS / max(seconds, 1e-9))))
        if job.handler.kind == "batch":
            rows = job.handler.max_events
        for part in job.cut_into(max(rows, -(-len(job.view) // MAX_SLICES))):
            self._push([part])

    def _push(self, parts: list[Slice]) -> None:
        if not self._queue.try_push(parts):
            raise RuntimeError("slice queue overflow")  # the fetch gate keeps far below

    @property
    def ring(self) -> tuple[int, int]:
        """Slices that wait in the queue, and how many there is room for."""
        return len(self._queue), RING

    @property
    def idle(self) -> bool:
        """Few enough slices wait that another frame is welcome."""
        return len(self._queue) < 2 * len(self._threads)

    def close(self) -> None:
        """End the threads; those inside a handler end when it does.

        The others are waited for: the interpreter, when it ends, would end a thread that waits for a slice by force,
        which C++ does not survive.
        """
        self._queue.close()
        for thread in self._threads:
            if thread not in self._running:
                thread.join(ENDING)

    def _work(self) -> None:
        this = threading.current_thread()
        while True:
            self._running.discard(this)
            try:
                parts: list[Slice] = self._queue.pop()
            except EOFError:
                return
            self._running.add(this)
            jobs: list[Job] = [part.state for part in parts]
            begun, first = time.monotonic(), sum(part.next for part in parts)
            for job in jobs:
                job.started = job.started or begun
            run_slices(parts, self._relieve)
            if done := sum(part.next for part in parts) - first:
                name, mean = jobs[0].handler.name, (time.monotonic() - begun) / done
                old = self._seconds_per_task.get(name, mean)
                self._seconds_per_task[name] = 0.8 * old + 0.2 * mean
            for job in jobs:
                if end_slice(job):
                    self._ended(job)
