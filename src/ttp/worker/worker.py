"""One worker process: read frames, run them, commit them.

One thread, one connection. While there is work in hand one XREADGROUP that does not block is on the wire,
behind the commits of the turn before; only an idle worker blocks, and sends its commits first. Frames for
threads and coroutines are committed by the committer's thread; it shares a second line with the watchdog.
"""

import contextlib
import logging
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from ttp.coordination import commands
from ttp.coordination.backoff import Backoff
from ttp.coordination.commands import Entry
from ttp.coordination.connection import Connection
from ttp.coordination.keys import Keys
from ttp.errors import ServerRefused, ServerUnavailable
from ttp.policy import Clock
from ttp.worker.commits import Committer
from ttp.worker.guard import admit, gates
from ttp.worker.hand import Hand
from ttp.worker.handler import Handler
from ttp.worker.inbox import Inbox
from ttp.worker.job import Job
from ttp.worker.join import Joiner
from ttp.worker.line import Line
from ttp.worker.observer import Observer
from ttp.worker.reading import Reading
from ttp.worker.recovery import Recovery
from ttp.worker.report import Reporter
from ttp.worker.runners import ThreadRunner, run_slices
from ttp.worker.scoreboard import Layout, Scoreboard, Slot
from ttp.worker.settings import Settings
from ttp.worker.stats import Stats
from ttp.worker.vital import Vital
from ttp.worker.watchdog import Watchdog
from ttp.worker.wire import Cancelled, Commit, Wire

if TYPE_CHECKING:  # asyncio is loaded only where there are async handlers
    from ttp.worker.coroutines import AsyncRunner

log = logging.getLogger("ttp.worker")

IDLE_BLOCK_MS = 250
BURST_BLOCK_MS = 20
COMMIT_DELAY = 0.001  # seconds a commit may wait for the next turn
OVERDUE_PATIENCE = 1.0  # seconds for a server to take back what a stopped worker still runs
ADOPT = 5.0  # seconds between two looks for deliveries whose reply was lost


class Worker:
    """Runs handlers until stopped (or, in a burst, until nothing is left).

    Args:
        open_connection: (connection name, seconds) → a connected `Connection`.
        state: what the lifespan yielded.
        coroutines: runs async handlers; needed where there are any.
        ready: set once connected.
        overdue: called when the grace of a stop is over and a handler still runs.
        slot: where this process counts.
    """

    def __init__(
        self,
        *,
        handlers: Mapping[str, Handler],
        queues: Sequence[Keys],
        open_connection: Callable[[str, float], Connection],
        settings: Settings,
        clock: Clock,
        state: Any = None,
        coroutines: "AsyncRunner | None" = None,
        ready: threading.Event | None = None,
        overdue: Callable[[], None] = lambda: None,
        slot: Slot | None = None,
    ) -> None:
        self.consumer = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.stats = Stats(slot or Scoreboard(Layout.of(handlers.values(), 1)).slot(0))
        self._breakers = [handler.breaker for handler in handlers.values() if handler.breaker is not None]
        self.ready = ready or threading.Event()
        self._settings = settings
        self._queues = list(queues)
        self._reading = Reading(self._queues, gates(handlers, queues))
        self._overdue = overdue
        self._closed, self._vital = threading.Event(), Vital() if coroutines is None else coroutines.vital
        self._hand = Hand(Joiner(clock, patient=not settings.burst))
        self._stopping = False
        self._give_up_at = math.inf  # when a stopped worker waits no longer for a server
        self._engaged = False  # this thread runs a handler, and takes nothing meanwhile
        self._adopt_at = 0.0
        connect = partial(open_connection, self.consumer)
        self._committer = Committer(Line(connect, self._closed), self.consumer, clock, self.stats, self._hand.over)
        self._inbox = Inbox(
            handlers,
            consumer=self.consumer,
            clock=clock,
            rng=Random(),  # noqa: S311 - jitter, not a secret
            stats=self.stats,
            state=state,
        )
        self._wire = Wire(
            open_connection=connect,
            consumer=self.consumer,
            queues=self._queues,
            answered=self._answered,
            received=self._received,
        )
        self._streams = {stream: keys for keys in queues for stream in (*map(keys.stream, range(3)), keys.held)}
        self._recovery = Recovery(
            wire=self._wire,
            committer=self._committer,
            hand=self._hand,
            inbox=self._inbox,
            stats=self.stats,
            consumer=self.consumer,
            streams=self._streams,
            receive=lambda entries: self._received(entries, {}),
        )
        self._watchdog = Watchdog(
            committer=self._committer,
            consumer=self.consumer,
            queues=self._queues,
            clock=clock,
            at_once={"sync": settings.threads, "async": settings.concurrency},
            observer=Observer(lease=settings.lease, stall=settings.stall),
            jobs=self._hand.jobs,
            surrender=self._surrender,
            orphans=self._recovery.note,
            overdue=self._give_back_running,
            beat=self._beat,
            report=Reporter(self.stats, self._hand.jobs, handlers.values()).report,
        )
        self._coroutines = coroutines
        self._threads: ThreadRunner | None = None
        if coroutines is not None:
            coroutines.ended = self._ran

    def run(self) -> None:
        """Work until `stop`, or until nothing is left in a burst.

        Raises:
            ServerRefused: the server will not serve this worker.
        """
        if self._settings.threads > 1:
            ended, relieve, vital = self._ran, self._committer.relieve, self._vital
            self._threads = ThreadRunner(self._settings.threads, ended=ended, relieve=relieve, vital=vital)
        self._committer.start(self._vital)
        try:
            self._reconnect()
            self._watchdog.start(self._vital)
            while True:
                self._vital.check()
                try:
                    if self._finished():
                        break
                    self._work()
                except ServerUnavailable as error:
                    log.warning("no server: %s", error)
                    self._reconnect()
        finally:
            self._end()

    def stop(self) -> None:
        """Stop fetching; what is unstarted goes back. Safe in a signal handler and from any thread."""
        self._stopping = True
        for job in self._hand.jobs():
            job.stop()
        self._give_up_at = time.monotonic() + self._settings.grace
        self._watchdog.stop_at(self._give_up_at)
        self._hand.room.set()

    # the turn

    def _work(self) -> None:
        if self._stopping:
            self._drain()
        elif self._hand.suspects:
            self._run_suspect()
        elif self._hand.ready:
            if self._reading.is_early(self._hand.waiting) and self._has_room() and not self._wire.fetching:
                self._fetch(block_ms=None)
            elif self._wire.unsent_age > COMMIT_DELAY:
                self._wire.send()
            self._start(self._hand.take())
        elif self._wire.fetching:
            self._wire.read()
        elif self._recovery.due:
            self._recovery.claim_one()
        elif not self._has_room():
            self._wire.settle()
            self._pause()
        elif time.monotonic() >= self._adopt_at:
            self._adopt_at = time.monotonic() + ADOPT
            self._recovery.adopt()
        else:
            self._fetch(block_ms=self._idle_ms())
            self._wire.read()

    def _drain(self) -> None:
        """Stopping: give back what has not begun, then wait for what runs."""
        self._wire.settle()
        self._give_back(self._hand.take_waiting())
        if self._hand.held:
            self._pause()

    def _give_back(self, jobs: list[Job]) -> None:
        for job in jobs:
            job.cut_into(len(job.view))
            self._commit(job)
        self._wire.settle()

    def _start(self, jobs: Sequence[Job]) -> None:
        """Run a job, or several in one call, here; or hand them to threads or the event loop."""
        jobs = [job for job in jobs if self._admit(job)]
        if not jobs:
            return
        self._watchdog.busy()
        now_us = self._committer.now_ms() * 1000
        for job in jobs:
            self.stats.started(job, now_us - job.view.created_at)
        if jobs[0].handler.kind == "async":
            assert self._coroutines is not None
            self._coroutines.start(jobs[0])
        elif self._threads is not None:
            self._threads.start(jobs)
        else:
            begun = time.monotonic()
            for job in jobs:
                job.started = begun
            self._engaged = True
            run_slices([part for job in jobs for part in job.cut_into(len(job.view))], self._committer.relieve)
            self._engaged = False
            seconds = (time.monotonic() - begun) / len(jobs)
            self._reading.took(seconds)
            for job in jobs:
                self._commit(job)

    def _ran(self, job: Job) -> None:
        """Threads or coroutines have run a job (in one of their threads)."""
        self._reading.took(time.monotonic() - job.started if job.started else 0.0)
        self._committer.put(job)

    def _admit(self, job: Job) -> bool:
        """Let the job's breaker decide; where no row may run now, the frame is put off."""
        if admit(job):
            return True
        job.cut_into(len(job.view))
        self._commit(job)
        return False

    def _surrender(self) -> None:
        """A handler is slow: what waits behind it in this worker is for others (watchdog's thread)."""
        if self._engaged:
            self._recovery.surrender()

    def _commit(self, job: Job) -> None:
        """Commit a job that has ended here."""
        with job.lock:
            if not job.over:
                drafted, say = self._committer.draft_end(job)
                self._wire.commit(Commit(say, job.id, job, drafted))

    def _run_suspect(self) -> None:
        """A frame that a worker died over comes first, and runs with nothing else in hand."""
        self._reading.caution(time.monotonic())
        if self._wire.fetching:
            self._wire.read()
        elif self._hand.waiting or self._hand.suspects > 1:
            self._give_back(self._hand.take_waiting(spare=True))
        elif self._hand.held > 1:
            self._wire.settle()
            self._pause()
        elif (job := self._hand.suspect) is not None:
            ours = self._committer.hold(job)
            self._hand.take_suspect()
            if ours:
                self._start([job])
            self._wire.settle()
            while not job.over and not self._stopping:
                self._pause()

    def _fetch(self, *, block_ms: int | None) -> None:
        streams = self._reading.streams(busy=block_ms is None)
        if streams:
            self._wire.fetch(streams, count=self._reading.count(time.monotonic()), block_ms=block_ms)
        else:
            self._wire.settle()
            if block_ms is not None:
                self._pause()

    def _idle_ms(self) -> int | None:
        """How long a read may block: until a join is due; None: not at all."""
        limit = BURST_BLOCK_MS if self._settings.burst else IDLE_BLOCK_MS
        return math.ceil(self._hand.join_wait(limit / 1000) * 1000) or None

    def _has_room(self) -> bool:
        return all(runner is None or runner.idle for runner in (self._coroutines, self._threads))

    def _pause(self) -> None:
        """Wait until a job is over, or a moment."""
        self._vital.check()
        self._hand.await_room(0.05)

    def _beat(self, answered: bool) -> None:
        """Show how this process is (watchdog's thread)."""
        self.stats.moved((self._wire.traffic, self._committer.line.traffic))
        self.stats.slot.beat(
            serving=answered and self._wire.connected and not self._stopping,
            in_hand=sum(job.tasks for job in self._hand.jobs()),
            ring=self._threads.ring if self._threads is not None else (0, 0),
            breakers={breaker.name: breaker.state for breaker in self._breakers},
        )

    # replies

    def _answered(self, commit: Commit, reply: Any) -> None:
        if commit.job is not None and commit.drafted is not None:
            with commit.job.lock:
                self._committer.answer(commit.job, commit.drafted, reply)
        else:
            commands.commit_reply(reply)
            self._hand.forget(commit.entry_id)

    def _received(self, entries: Sequence[Entry], cancelled: Cancelled) -> None:
        """Entries that were read or claimed become jobs."""
        now_ms = self._committer.now_ms()
        self._reading.brought(entries[0].stream if entries else None)
        for entry in entries:
            if not self._hand.learn(entry.id):
                self._hand.forget(entry.id)  # given back before its delivery was read
                continue
            opened = self._inbox.open(entry, self._streams[entry.stream], now_ms)
            if isinstance(opened, Job):
                opened.cancelled = cancelled.get(opened.view.origin, frozenset())
                self._hand.add(opened, (now_ms - opened.view.created_at // 1000) / 1000)
            else:
                self._wire.commit(Commit(opened, entry.id))

    # beginning and end

    def _reconnect(self) -> None:
        """Connect, however long it takes, and look for lost deliveries next."""
        backoff = Backoff()
        while not self._stopping or (self._hand.held and time.monotonic() < self._give_up_at):
            try:
                self._wire.reconnect()
            except ServerRefused:
                raise
            except ServerUnavailable as error:
                log.warning("no server: %s", error)
                time.sleep(backoff.next())
            else:
                self._adopt_at = 0.0
                self.ready.set()
                return

    def _finished(self) -> bool:
        if self._stopping:
            if not self._wire.connected:  # what is in hand stays pending, and others run it
                return not self._hand.held or time.monotonic() >= self._give_up_at
            return not self._hand.held and self._wire.quiet
        if not self._settings.burst or self._hand.held or not self._wire.quiet or self._recovery.due:
            return False
        replies = self._wire.connection.call_many([say for keys in self._queues for say in commands.backlog(keys)])
        return commands.backlog_reply(replies) == 0

    def _give_back_running(self) -> None:
        """Grace is over: what still runs, and what waits behind it, goes back to the queue (watchdog's thread)."""
        with contextlib.suppress(ServerUnavailable):  # without a server all stays pending, and others take it over
            self._recovery.surrender(patience=OVERDUE_PATIENCE)
        stuck = [job for job in self._hand.jobs() if job.slices and job.handler.kind != "async"]
        self._committer.give_back(stuck, OVERDUE_PATIENCE)
        if self._coroutines is not None:
            self._coroutines.give_back()
        if stuck:
            log.warning("grace is over: %d frames go back to the queue while their handlers run", len(stuck))
            self._overdue()

    def _end(self) -> None:
        if not self._wire.connected:
            self._closed.set()  # what is left to commit is tried once
        self._committer.close()
        with contextlib.suppress(ServerUnavailable):
            self._committer.flight.flush(partial(self._committer.line.call_many, patience=1.0))
        self._closed.set()
        self._watchdog.close()
        if self._threads is not None:
            self._threads.close()
        self._committer.line.close()
        self._wire.close()
