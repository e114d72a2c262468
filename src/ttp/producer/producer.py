"""Sends a producer's frames and waits for their acceptance.

Whoever has a reason to send does: the thread that filled a frame (without waiting), `submit` and `flush`
(waiting, and sending what others appended meanwhile), and a flusher thread for frames left half full.
One lock guards the connection; whoever holds it works for all.
"""

import contextlib
import logging
import os
import sys
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal

from ttp.coordination.keys import Keys
from ttp.errors import QueueFull, ServerRefused, ServerUnavailable, TtpError
from ttp.native import FrameWriter, MemoryPool, Outbox, Route, scope
from ttp.policy import Clock
from ttp.producer.flusher import Flusher
from ttp.producer.keeper import OpenStore
from ttp.producer.link import Link
from ttp.producer.pump import Pump
from ttp.producer.window import RESEND_LIMIT, RESEND_SECONDS, ResendWindow

if TYPE_CHECKING:
    from ttp.coordination.connection import Connection
    from ttp.coordination.levels import Durability

OnFull = Literal["block", "error", "drop_oldest", "store"]

log = logging.getLogger("ttp.producer")

BLOCK_SIZE = 64 * 1024
BLOCKS = 128  # 8 MiB of frames not yet accepted: the resend buffer, and the backpressure
MOST_PUSHED = 64  # frames of a chain that wait for acceptance, above which no frame of columns is added


class Producer:
    """All frames of one app in one process.

    Args:
        keys: the keys of a queue by its name.
        open_connection: makes a connected `Connection`; ServerUnavailable if that fails.
        queue_limit: bytes a queue may hold before it answers FULL.
        queue_tasks: likewise tasks; 0: any number.
        on_full: what `emit` does when the pool is full: "block" up to submit_timeout, "error", "drop_oldest", "store".
        open_store: opens the folder of "store".
        name: under which what is emitted is continued by a later process; not with "store".
        submit_timeout: seconds `submit` waits for acceptance.
        durability: what an accepted task survives.
        resend_seconds, resend_limit: how long, and how many bytes of, accepted frames are kept should the server
            lose them.
    """

    def __init__(
        self,
        *,
        keys: Callable[[str], Keys],
        open_connection: "Callable[[float], Connection]",
        queue_limit: int,
        queue_tasks: int,
        on_full: OnFull,
        submit_timeout: float,
        clock: Clock,
        durability: "Durability" = "memory",
        open_store: OpenStore | None = None,
        name: str | None = None,
        resend_seconds: float = RESEND_SECONDS,
        resend_limit: int = RESEND_LIMIT,
    ) -> None:
        self._queue_limits = queue_limit, queue_tasks
        self._policy = on_full
        self.submit_timeout = submit_timeout
        self._pool = MemoryPool(BLOCK_SIZE, BLOCKS)
        self.outbox = Outbox(
            self._pool,
            os.urandom(12),
            on_sealed=self._on_sealed,
            on_submit=self.accept,
            on_full=self._on_full,
        )
        self._new_pump = partial(
            Pump,
            self.outbox,
            keys=keys,
            new_link=partial(Link, open_connection, durability),
            clock=clock,
            limits=self._queue_limits,
            new_window=partial(ResendWindow, resend_seconds, resend_limit),
            open_store=open_store if on_full == "store" else None,
            name=name,
        )
        self._closed = False
        self._start()
        ref = weakref.ref(self)

        def start_anew() -> None:
            if (producer := ref()) is not None:
                producer._after_fork()  # noqa: SLF001

        os.register_at_fork(after_in_child=start_anew)

    def _start(self) -> None:
        """The state of a process that has sent nothing yet."""
        self._pump = self._new_pump()
        self._io = self._pump.lead
        self.counts, self.traffic = self._pump.counts, self._pump.traffic
        self._link, self._flight, self._keeper = self._pump.link, self._pump.flight, self._pump.keeper
        self._flusher: Flusher | None = None

    def _after_fork(self) -> None:
        """Every inherited block, connection, thread and file belongs to the parent: start as a new producer."""
        scope.set(None)  # if a handler forked: what is sent here cannot commit with its task
        self.outbox.reset(os.urandom(12))
        if self._keeper is not None:
            self._keeper.disown()
        self._start()

    @property
    def blocks(self) -> tuple[int, int]:
        """Blocks of the pool that hold tasks not yet accepted, and all blocks."""
        return self._pool.capacity - self._pool.available, self._pool.capacity

    # what the native core calls

    def _on_sealed(self) -> None:
        """A frame filled up, or nobody attends the outbox: send without waiting, if nobody else does."""
        if self._link.connection is None:
            self._attend()  # connecting takes long: that is the flusher's
        elif self._io.take():
            try:
                self._pump.turn()
            except ServerUnavailable as error:
                log.debug("not sent now: %s", error)
            finally:
                self._io.release()

    def _on_full(self) -> None:
        """No block is free: make room by sending, or raise QueueFull."""
        patience = 0.0 if self._policy == "error" or _in_event_loop() else self.submit_timeout
        deadline = time.monotonic() + patience
        reason = "the server has not accepted what was emitted before"
        while True:
            with self._io:
                try:
                    self.outbox.seal()
                    if self._policy == "drop_oldest":
                        self._make_way()
                    elif self._keeper is not None:
                        self._pump.collect()
                        if not self._pool.available:
                            self._keeper.make_room()
                    if not self._pool.available:
                        self._pump.turn(deadline)
                except ServerUnavailable as error:
                    reason = str(error)
                if self._pool.available:
                    return
                if time.monotonic() >= deadline:
                    held = self._pool.capacity
                    if self._keeper is not None and self._keeper.trouble:
                        self.counts.refused_store += 1
                        reason = self._keeper.trouble
                    else:
                        self.counts.refused_pool += 1
                    raise QueueFull(f"all {held} frames of the producer's pool wait for acceptance: {reason}")

    def _make_way(self) -> None:
        """Free a block without waiting, if need be that of the oldest frame surely not on the server; under _io."""
        with contextlib.suppress(ServerUnavailable):
            self._pump.turn()
        if not self._pool.available and (frame := self._flight.oldest_unsent()) is not None:
            self._flight.withdraw(frame)
            self.counts.dropped += len(frame)
            self._pump.settle(
                frame, outcome=QueueFull("the task was dropped: newer ones took its place in the full pool")
            )
            self._io.settled()

    def accept(self, frame: FrameWriter) -> None:
        """Return once the server has accepted the frame.

        Raises:
            QueueFull: the queue had no room for it in time.
            ServerUnavailable: no server in time. The message says whether the task may still be accepted.
        """
        self._attend()
        deadline = time.monotonic() + self.submit_timeout
        error: TtpError | None = None
        while frame.outcome is None:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or isinstance(error, ServerRefused):
                self._give_up(frame, error)
                break
            if not self._io.take_or_follow(frame, remaining):
                continue
            try:
                self.outbox.seal()
                self._pump.turn(deadline)
            except ServerUnavailable as unavailable:
                error = unavailable.with_traceback(None)  # which holds this call, and so what it sent
            finally:
                self._io.release()
        if isinstance(frame.outcome, Exception):
            raise frame.outcome

    def push(self, frame: FrameWriter) -> None:
        """Send a frame that was made outside the pool, after all that was appended before. Does not wait for its reply.

        Raises:
            QueueFull: as many of them as may wait for acceptance did so for submit_timeout seconds.
        """
        self._attend()
        deadline = time.monotonic() + self.submit_timeout
        reason = "the server has not accepted what was sent before"
        while True:
            room = False
            with self._io:
                try:
                    self.outbox.seal()
                    self._pump.collect()
                    chain = self._flight.chain(frame.route, emitted=False)
                    room = len(chain) < MOST_PUSHED
                    if room:
                        chain.push(frame)
                        self.counts.submitted += len(frame)
                    if self._link.connection is not None or not room:
                        self._pump.turn(None if room else deadline)
                except ServerUnavailable as error:
                    reason = str(error)
            if room:
                self.outbox.wake()
                return
            if time.monotonic() >= deadline:
                raise QueueFull(f"{MOST_PUSHED} frames wait for acceptance: {reason}")

    async def until_accepted(self, frame: FrameWriter) -> None:
        """`accept` for event loops, which must not wait for the lead either."""
        import asyncio  # noqa: PLC0415 - only programs that have an event loop pay for it

        from ttp.producer.awaiting import Awaiting  # noqa: PLC0415

        loop, pump = asyncio.get_running_loop(), self._pump
        group = pump.awaiting.setdefault(frame.fid, {})
        awaiting = group.get(loop)
        if awaiting is None:
            self._attend()
            abandon = partial(self._abandon, frame, lambda: group.pop(loop, None))
            awaiting = group[loop] = Awaiting(frame, self.submit_timeout, abandon)
            self.outbox.wake()
        if frame.outcome is not None:  # perhaps since before it could be seen here that somebody waits
            pump.tell(frame)
            awaiting.settled()
        await awaiting.wait()

    def _abandon(self, frame: FrameWriter, forget: Callable[[], object]) -> None:
        """The time of an event loop's coroutines is up: take the frame back if that is safe, else raise."""
        try:
            self._give_up(frame, self._link.trouble)
        finally:
            forget()

    def flush(self, timeout: float | None = None) -> None:
        """Return when everything appended before is accepted; ServerUnavailable or QueueFull after timeout seconds."""
        if self._keeper is not None:
            self._attend()  # an earlier process may have left something
        deadline = time.monotonic() + (self.submit_timeout if timeout is None else timeout)
        with self._io:
            self.outbox.seal()
            self._pump.collect()
            waiting = list(self._flight)
            stored = [(chain, chain.pushed) for chain in self._flight.stored]
        error: TtpError | None = None
        full = False
        while True:
            waiting = [frame for frame in waiting if frame.outcome is None]
            stored = [(chain, goal) for chain, goal in stored if chain.settled < goal]
            if not waiting and not stored:
                return
            full = full or any(chain.full for chain in self._flight.chains.values())  # not while it tries again
            if time.monotonic() >= deadline or isinstance(error, ServerRefused):
                tasks = sum(map(len, waiting)) + sum(chain.tasks for chain, _ in stored)
                if error is None and full:
                    raise QueueFull(f"{tasks} emitted tasks are not accepted yet: the queue is at its limit")
                raise error or ServerUnavailable(
                    f"{tasks} emitted tasks are not accepted yet; they are kept and resent"
                )
            with self._io:
                try:
                    self._pump.turn(deadline)
                except ServerUnavailable as unavailable:
                    error = unavailable.with_traceback(None)

    def position(self, route: Route) -> int:
        """Tasks that were ever accepted along a route of this named producer; makes this process its owner."""
        deadline = time.monotonic() + self.submit_timeout
        with self._io:
            while True:
                try:
                    self._pump.turn(deadline)
                    return self._flight.position(self._pump.connected(deadline), route)
                except ServerUnavailable as error:
                    self._pump.broken(error)
                    if time.monotonic() >= deadline or isinstance(error, ServerRefused):
                        raise
                except BaseException:  # as in the pump's turn
                    self._link.close()
                    raise

    def close(self, timeout: float = 5.0) -> None:
        """Flush, stop the flusher, close the connection. Logs what was not accepted."""
        if self._closed:
            return
        self._closed = True
        if self._flusher is None and not self.outbox.open and not self.outbox.sealed:
            return
        failed: TtpError | None = None
        if self._flusher is not None:
            self._flusher.close()
        try:
            self.flush(timeout)
        except TtpError as error:
            failed = error
        self.outbox.wake()
        if self._flusher is not None:
            self._flusher.join(timeout)
        with self._io:
            left = sum(map(len, self._flight)) + (self._keeper.close(failed) if self._keeper is not None else 0)
            self._link.close()
        if left:
            log.error("closed with %d tasks not accepted: %s", left, failed)

    # further

    def _attend(self) -> None:
        if self.outbox.attended:
            return
        # redis-py needs it. Where that is first imported at exit, to send what is left, this could be no more.
        import concurrent.futures.thread  # noqa: F401, PLC0415

        if self._keeper is not None:
            with self._io:
                self._keeper.open()
        self.outbox.attended = True
        try:
            self._flusher = Flusher(self.outbox, self._pump)
        except BaseException:
            self.outbox.attended = False
            raise

    def _give_up(self, frame: FrameWriter, error: TtpError | None) -> None:
        """A submit's time is up: the frame is taken back where that is safe."""
        with self._io:
            if frame.outcome is not None:
                return
            self.outbox.seal()
            self._pump.collect()
            chain = self._flight.chain(frame.route, emitted=False)
            if error is None and chain.full:
                error = QueueFull(f"queue {frame.route.queue!r} is at its limit of {self._limits_in_words()}")
            why = error or ServerUnavailable(f"no answer within {self.submit_timeout} s")
            refusal = type(why)(f"{why}. The task was not accepted.")
            if self._flight.withdraw(frame):
                if isinstance(why, QueueFull):
                    self.counts.refused_queue += len(frame)
                else:
                    self.counts.refused_server += len(frame)
                self._pump.settle(frame, outcome=refusal)
                self._io.settled()
            else:
                raise type(why)(f"{why}. The task was sent and may still be accepted.")

    def _limits_in_words(self) -> str:
        size, tasks = self._queue_limits
        return f"{size:,} bytes" + (f" or {tasks:,} tasks" if tasks else "")


def _in_event_loop() -> bool:
    """Whether this thread runs an event loop, which must not be blocked."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001
