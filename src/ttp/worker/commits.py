"""Bring drafts to the server and take the answer: a frame is replaced, or another was first."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from ttp.coordination import commands
from ttp.errors import ServerUnavailable
from ttp.policy import Clock
from ttp.worker.draft import Draft, command, draft
from ttp.worker.flight import FlightRecorder
from ttp.worker.job import Job
from ttp.worker.line import OUTAGE, Line
from ttp.worker.stats import Stats
from ttp.worker.vital import Vital

log = logging.getLogger("ttp.worker")

HOLD = 1.0  # seconds without a server, after which a frame is not held for now


class Committer:
    """Replaces jobs' entries on a connection of its own; with `start`, in a thread that commits many at once."""

    def __init__(self, line: Line, consumer: str, clock: Clock, stats: Stats, ended: Callable[[Job], None]) -> None:
        self.line = line
        self._consumer = consumer
        self._clock = clock
        self._stats = stats
        self.flight = FlightRecorder(consumer)
        self._ended = ended
        self._wake = threading.Condition()
        self._jobs: list[Job] = []
        self._closing = False
        self._thread: threading.Thread | None = None

    def now_ms(self) -> int:
        """Server time, as well as it is known."""
        return round(self._clock.time() * 1000) + self.line.offset_us // 1000

    def draft_end(self, job: Job) -> tuple[Draft, commands.Command]:
        """The commit of a job that has ended (or was stopped: what is unstarted goes back). Under job.lock."""
        job.drafted = True
        job.drafted_at = time.monotonic()
        drafted = draft(job, now_ms=self.now_ms())
        return drafted, command(job, drafted, consumer=self._consumer, offset_ms=self._clock.offset_ms)

    def answer(self, job: Job, drafted: Draft, reply: Any, line: Line | None = None) -> None:
        """Take a commit's reply. Under job.lock."""
        status, held_id = commands.commit_reply(reply)
        for frame in drafted.children:
            frame.release()
        if status == "FENCED" and drafted.held and line is not None:
            # Ours, if the reply to a first sending was lost: then the held entry is pending for us.
            held_id = self._find_held(job, drafted, line)
        if status == "OK" or held_id:
            now, now_ms = time.monotonic(), self.now_ms()
            self._stats.committed(job, drafted, now=now, now_ms=now_ms)
            self.flight.committed(job, drafted, now=now, now_ms=now_ms)
            self._log_failures(job, drafted)
        else:
            self._stats.fenced(drafted)
            extra = {"task": job.handler.name, "queue": job.keys.queue, "worker": self._consumer}
            log.info("frame %s was committed by another", job.id, extra=extra)
        if held_id:
            job.source, job.id = job.keys.held, held_id
            job.tasks, job.size = len(drafted.held), drafted.held_size
        else:
            self._leave(job)

    def _leave(self, job: Job) -> None:
        job.over = True
        for part in job.slices:
            part.halt()
        self._ended(job)

    def replace(
        self,
        job: Job,
        *,
        running: Literal["held", "ready"] = "held",
        unstarted: Literal["held", "ready"] = "ready",
        piece: int | None = None,
        patience: float = OUTAGE,
    ) -> None:
        """Commit what is finished now, in this thread; the rest stays in hand or goes back."""
        with job.lock:
            if job.over or job.drafted:
                return
            job.drafted_at = time.monotonic()
            drafted = draft(job, now_ms=self.now_ms(), running=running, unstarted=unstarted, piece=piece)
            say = command(job, drafted, consumer=self._consumer, offset_ms=self._clock.offset_ms)
            self.answer(job, drafted, self.line.call(say, patience=patience), self.line)

    def relieve(self, job: Job) -> None:
        """Results and children have grown large: commit them, keep the rest in hand."""
        self.replace(job, unstarted="held")

    def give_back(self, jobs: Sequence[Job], patience: float) -> None:
        """Jobs that still run are for others now; without a server their frames stay pending, and are taken over."""
        with contextlib.suppress(ServerUnavailable):
            for job in jobs:
                self.replace(job, running="ready", patience=patience)
        for job in jobs:
            with job.lock:
                if not job.over:  # what it came to may be lost with a request, so it cannot be committed here any more
                    self._leave(job)

    def hold(self, job: Job) -> bool:
        """A frame is about to run alone: hold it, so that a death is charged to it. False if it is another's.

        Raises:
            ServerUnavailable: nothing came of it, or the held one is pending and will be adopted.
        """
        job.cut_into(len(job.view))
        try:
            self.replace(job, unstarted="held", patience=HOLD)
        finally:
            job.slices.clear()
        return not job.over

    def _find_held(self, job: Job, drafted: Draft, line: Line) -> str:
        suffix = f"-{drafted.held_fid}"
        pending = commands.pending_ids(line.call(commands.pending(job.keys.held, self._consumer)))
        return next((entry for entry in pending if entry.endswith(suffix)), "")

    def _log_failures(self, job: Job, drafted: Draft) -> None:
        """One line a commit, however many tasks failed: it names the first."""
        if drafted.failed:
            extra = {
                "task": job.handler.name,
                "task_id": str(job.task_id(drafted.failed[0])),
                "attempt": job.view.attempt,
                "queue": job.keys.queue,
                "worker": self._consumer,
                "retried": drafted.retried,
                "dead": drafted.dead,
            }
            log.log(logging.WARNING if drafted.dead else logging.INFO, "tasks failed", extra=extra)

    # the thread

    def start(self, vital: Vital) -> None:
        """Commit what `put` hands over."""
        self._thread = vital.thread("ttp-committer", self._work)
        self._thread.start()

    def put(self, job: Job) -> None:
        """A job has ended: commit it soon, together with others."""
        with self._wake:
            self._jobs.append(job)
            self._wake.notify()

    def close(self) -> None:
        """Commit what was put, then end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._jobs or self._closing)
                jobs, self._jobs = self._jobs, []
            if not jobs:
                return
            try:
                self._commit(jobs)
            except ServerUnavailable:
                log.warning("%d frames not committed: they will be run again", len(jobs))

    def _commit(self, jobs: list[Job]) -> None:
        for job in jobs:
            job.lock.acquire()
        try:
            live = [(job, *self.draft_end(job)) for job in jobs if not job.over]
            replies = self.line.call_many([say for _, _, say in live])
            for (job, drafted, _), reply in zip(live, replies, strict=True):
                self.answer(job, drafted, reply)
        finally:
            for job in jobs:
                job.lock.release()
