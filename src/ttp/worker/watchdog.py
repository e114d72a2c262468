"""The thread beside the handlers: it beats, promotes, splits slow frames, ends late tasks, finds dead workers."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ttp.coordination import commands
from ttp.coordination.keys import Keys
from ttp.errors import ServerUnavailable, TaskTimeout
from ttp.native import Slice
from ttp.policy import Clock
from ttp.worker.commits import Committer
from ttp.worker.job import Job
from ttp.worker.observer import Observer
from ttp.worker.vital import Vital

log = logging.getLogger("ttp.worker")

BUSY_LOOK = 0.025  # seconds between two looks at running tasks
TICK = 0.25  # seconds between two beats
REPORT = 1.0  # seconds between two reports
SCAN = 1.0  # seconds between two looks for dead workers
SLOW = 0.05  # seconds after which a frame is split
PATIENCE = 0.25  # seconds that a frame may wait for threads or coroutines, before it is for others
PIECE_SECONDS = 0.02  # of work in a frame that is handed back


class Watchdog:
    """Looks after one worker.

    Args:
        at_once: tasks that run at the same time, by kind of handler.
        jobs: the jobs in hand, now.
        surrender: hands back frames that wait behind a slow one.
        orphans: told the dead and the stalled consumers of each scan, and the beats of all.
        overdue: called when the grace of a stop is over.
        beat: told, a few times a second, whether the server answers.
        report: what the worker tells of itself, for the next beat.
    """

    def __init__(
        self,
        *,
        committer: Committer,
        consumer: str,
        queues: Sequence[Keys],
        clock: Clock,
        at_once: Mapping[str, int],
        observer: Observer,
        jobs: Callable[[], list[Job]],
        surrender: Callable[[], None],
        orphans: Callable[[list[str], list[str], dict[Keys, dict[str, int]]], None],
        overdue: Callable[[], None],
        beat: Callable[[bool], None],
        report: Callable[[], bytes],
    ) -> None:
        self._committer = committer
        self._line = committer.line
        self._consumer = consumer
        self._queues = queues
        self._clock = clock
        self._at_once = at_once
        self._observer = observer
        self._jobs = jobs
        self._surrender = surrender
        self._orphans = orphans
        self._overdue = overdue
        self._beat = beat
        self._report = report
        self._report_at = 0.0
        self._wake = threading.Event()
        self._closed = False
        self._grace_ends: float | None = None
        self._generation = 0
        self._running: dict[Slice, tuple[int, float]] = {}
        self._seen_to: dict[Job, float] = {}  # when something was last done about a slow job
        self._thread: threading.Thread | None = None

    def start(self, vital: Vital) -> None:
        """Begin."""
        self._thread = vital.thread("ttp-watchdog", self._work)
        self._thread.start()

    def busy(self) -> None:
        """A frame is about to run: look often from now on."""
        if not self._wake.is_set():
            self._wake.set()

    def stop_at(self, deadline: float) -> None:
        """The worker ends: what still runs at this monotonic time is overdue."""
        self._grace_ends = deadline
        self._wake.set()

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._wake.set()
        if self._thread is not None and self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _work(self) -> None:
        tick_at = scan_at = 0.0
        while not self._closed:
            try:
                now = time.monotonic()
                self._look(now)
                if now >= tick_at:
                    tick_at = now + self._tick()
                    self._beat(True)
                    self._committer.flight.flush(partial(self._line.call_many, patience=TICK))
                if now >= scan_at:
                    scan_at = now + SCAN
                    self._scan()
            except ServerUnavailable as error:
                self._beat(False)
                log.warning("no server: %s", error)
            except Exception:
                log.exception("watchdog")
            if self._jobs() or self._grace_ends is not None:
                time.sleep(BUSY_LOOK)
            else:
                self._wake.clear()
                if not self._jobs():
                    self._wake.wait(max(0.0, min(tick_at, scan_at) - time.monotonic()))

    def _tick(self) -> float:
        """Beat and promote; seconds until the next time."""
        offset = self._clock.offset_ms
        report, now = b"", time.monotonic()
        if now >= self._report_at:
            report, self._report_at = self._report(), now + REPORT
        batch = [commands.tick(keys, consumer=self._consumer, offset_ms=offset, report=report) for keys in self._queues]
        replies = self._line.call_many(batch, patience=TICK)
        pause = TICK
        for reply in replies:
            _, due_ms = commands.tick_reply(reply)
            if due_ms is not None:
                pause = min(pause, max(0.001, (due_ms - self._committer.now_ms()) / 1000))
        return pause

    def _scan(self) -> None:
        """Look for workers that are dead or stalled."""
        batch = [commands.beats(keys) for keys in self._queues]
        replies = self._line.call_many([*batch, commands.client_names()], patience=SCAN)
        seen = {keys: commands.beats_reply(reply) for keys, reply in zip(self._queues, replies, strict=False)}
        beats = {name: beat for each in seen.values() for name, beat in each.items()}
        now = self._clock.monotonic()
        if self._line.generation != self._generation:
            self._generation = self._line.generation
            self._observer.connected(now)
        dead, stalled = self._observer.scan(now, beats, commands.client_names_reply(replies[-1]), self._consumer)
        self._orphans(dead, stalled, seen)

    def _look(self, now: float) -> None:
        """Split slow frames, interrupt late tasks."""
        jobs = self._jobs()
        self._running = {part: seen for part, seen in self._running.items() if part.running >= 0}
        for job in jobs:
            if job.over:
                continue
            if not job.started:
                if _waits_for_runner(job) and now - job.read_at > PATIENCE:
                    self._committer.replace(job)
                continue
            if job.handler.timeout is not None and job.handler.kind != "async":
                self._time(job, job.handler.timeout, now)
            since = max(job.started, self._seen_to.get(job, 0.0))
            if now - since > SLOW:
                if _worth_a_split(job):
                    self._split(job, now)
                elif job not in self._seen_to:
                    self._seen_to[job] = now
                    self._surrender()
        self._seen_to = {job: at for job, at in self._seen_to.items() if not job.over}
        if self._grace_ends is not None and now >= self._grace_ends:
            self._overdue()

    def _split(self, job: Job, now: float) -> None:
        """Commit what is finished, keep what runs, hand back the rest in pieces of about 20 ms.

        A piece holds as many as run at once, at least: smaller ones would end no sooner.
        """
        if job.handler.kind == "batch":
            self._seen_to[job] = now
            self._surrender()  # a batch runs as a whole
            return
        finished = sum(part.next - part.start for part in job.slices)
        piece = max(self._at_once[job.handler.kind], int(finished * PIECE_SECONDS / (now - job.started)))
        self._committer.replace(job, piece=piece)
        self._surrender()
        self._seen_to[job] = time.monotonic()

    def _time(self, job: Job, timeout: float, now: float) -> None:
        for part in list(job.slices):
            row = part.running
            if row < 0:
                continue
            seen_row, since = self._running.get(part, (-1, now))
            if seen_row != row:
                self._running[part] = (row, now)
            elif now - since >= timeout and part.interrupt(row, TaskTimeout):
                extra = {
                    "task": job.handler.name,
                    "task_id": str(job.task_id(row)),
                    "attempt": job.view.attempt,
                    "queue": job.keys.queue,
                    "worker": self._consumer,
                }
                log.warning("no end within %s s: interrupted", timeout, extra=extra)
                self._running[part] = (row, now)


def _waits_for_runner(job: Job) -> bool:
    """It is queued for threads or coroutines, and can be taken back: neither a batch, nor one that runs alone."""
    return bool(job.slices) and job.handler.kind != "batch" and not job.crashes


def _worth_a_split(job: Job) -> bool:
    """Something is finished and uncommitted, or waits behind a running task."""
    return any(part.next > part.start + (part.running >= 0) or part.stop > part.next for part in list(job.slices))
