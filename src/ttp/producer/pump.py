"""From the outbox over the connection and back: what is done for all of a producer's frames, under its lock."""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ttp.coordination.keys import Keys
from ttp.coordination.traffic import Traffic
from ttp.errors import ServerUnavailable
from ttp.native import FrameWriter, Outbox
from ttp.policy import Clock
from ttp.producer.counts import SendingCounts
from ttp.producer.flight import FULL_PAUSE, Flight
from ttp.producer.keeper import Keeper, OpenStore
from ttp.producer.lead import Lead
from ttp.producer.link import Link
from ttp.producer.owned import NamedProducer
from ttp.producer.window import ResendWindow, kept

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from ttp.coordination.connection import Connection
    from ttp.producer.awaiting import Awaiting

log = logging.getLogger("ttp.producer")

WATCH = 1.0  # seconds between two questions whether the server still has what it accepted
SILENCE = 10.0  # seconds without a reply after which the connection is given up, though nobody waits
HASTE = 0.1  # seconds within which a deadline that passes without a reply says nothing against the server
SPACING = 0.0003  # seconds from one sending of partial frames to the next: under load they fill meanwhile
BACKLOG = 3  # frames in the stream from which on the spacing grows: more small ones would only wait there
LONGEST_SPACING = 0.003


class Pump:
    """Everything here is called by whoever holds the lead.

    Args:
        limits: bytes and tasks a queue may hold before it answers FULL; 0 tasks: any number.
        open_store: opens the folder of `on_full="store"`.
        name: of a named producer.
        new_window: keeps accepted frames for a while.

    Attributes:
        lead: the producer's lock.
        awaiting: coroutines that wait for a frame, by its fid and their loop.
        spacing: seconds between two sendings of partial frames.
        watching: the flusher knows that the server might lose something.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        keys: Callable[[str], Keys],
        new_link: Callable[[], Link],
        clock: Clock,
        limits: tuple[int, int],
        open_store: OpenStore | None,
        name: str | None,
        new_window: Callable[[], ResendWindow],
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self.lead = Lead()
        self.counts = SendingCounts()
        self.traffic = Traffic()
        self.link = new_link()
        self.flight = Flight(outbox.producer.hex(), keys, clock, limits, new_window())
        self.keeper = Keeper(open_store, self.flight, self.counts) if open_store is not None else None
        if name is not None:
            self.flight.owner = NamedProducer(name)
        self.awaiting: dict[int, dict[AbstractEventLoop, Awaiting]] = {}
        self.spacing = SPACING
        self.watching = False
        self._ask_at = 0.0
        self._taken: FrameWriter | None = None  # from the outbox, and not in its chain yet

    def turn(self, deadline: float | None = None) -> None:
        """Send what may be sent and take the replies that are there; with a deadline, wait for one of them."""
        self.collect()
        try:
            connection = self.connected(deadline)
            asked = time.monotonic()
            self._watch(asked)
            self._send(connection)
            if deadline is not None:
                if self.flight.unanswered:
                    self._await_reply(connection, deadline, asked)
                elif self.flight.full_until:
                    time.sleep(max(0.0, min(FULL_PAUSE, deadline - time.monotonic())))
            while self.flight.unanswered and connection.readable(0):
                self._take(connection.read(None))
            self._send(connection)
        except ServerUnavailable as error:
            error.__context__ = None  # its frames hold what was sent, and so a block of the pool
            self.broken(error)
            raise
        except BaseException as error:  # Ctrl-C, or no memory: nobody knows which replies are still to come
            self.link.close()  # at once: this takes no memory
            self.broken(ServerUnavailable(f"{type(error).__name__} in the midst of an exchange"))
            raise

    @property
    def busy(self) -> bool:
        """Whether something is on its way: to a chain, to the server, or to those who wait for it."""
        flight = self.flight
        waiting = self._taken is not None or bool(flight.unanswered) or bool(flight.accepted)
        return waiting or any(map(len, flight.chains.values()))

    def _watch(self, now: float) -> None:
        """Ask the server now and then whether it still has what it accepted; give up one that says nothing."""
        if self.flight.silence(now) > SILENCE:
            raise ServerUnavailable(f"the server has said nothing for {SILENCE:.0f} s")
        if self.flight.window and now >= self._ask_at:
            self.flight.asking = True
            self._ask_at = now + WATCH

    def connected(self, deadline: float | None) -> "Connection":
        """The connection; a new one where there is none. ServerUnavailable as `Link.open`."""
        connection = self.link.connection
        if connection is None:
            if self.flight.is_connected:  # it could not be told: memory was short
                self.flight.disconnected()
            connection, barrier = self.link.open(deadline)
            connection.traffic = self.traffic
            self.flight.connected(barrier)
            self._outbox.offset_us = connection.offset_us + self._clock.offset_ms * 1000
        return connection

    def broken(self, trouble: ServerUnavailable) -> None:
        """The connection failed: what was not answered is sent again over the next."""
        self.link.broken(trouble)
        self.flight.disconnected()

    def collect(self) -> None:
        """Put sealed frames at the end of their chains."""
        while (frame := self._taken or self._outbox.take()) is not None:
            self._taken = frame
            self.flight.chain(frame.route, emitted=not frame.route.submit).push(frame)
            self._taken = None
            self.counts.submitted += len(frame)
        if self.keeper is not None:
            self.keeper.sync_due()

    def _send(self, connection: "Connection") -> None:
        self.flight.send(connection)
        if self.flight.accepted:  # a chain was resumed, or memory was short when they were to be told
            self._settle_accepted()

    def _await_reply(self, connection: "Connection", deadline: float, asked: float) -> None:
        """Take a reply. One that the deadline leaves hardly any time for may come later, and another turn takes it."""
        now = time.monotonic()
        patience = max(0.001, deadline - now)
        hasty = patience < HASTE and self.flight.silence(now) < HASTE
        if not hasty or connection.readable(patience):
            reply = connection.read(patience)
            self.traffic.waited(asked)
            self._take(reply)

    def _take(self, reply: object) -> None:
        """One reply to the oldest unanswered submit."""
        self.flight.take(reply)
        self.spacing = min(LONGEST_SPACING, SPACING * max(1.0, self.flight.backlog / BACKLOG))
        self._settle_accepted()

    def _settle_accepted(self) -> None:
        accepted = self.flight.accepted
        try:
            while accepted:
                self._count(accepted[0])
                self.settle(accepted.popleft(), outcome=True)
        finally:
            self.lead.settled()
        window = self.flight.window
        if window.lost:
            log.error("the server has lost %d accepted tasks, more than the resend window holds", window.lost)
            self.counts.lost += window.lost
            window.lost = 0
        if window and not self.watching:
            self.watching = True
            self._outbox.wake()

    def _count(self, frame: FrameWriter) -> None:
        if kept(frame):
            self.counts.resent += len(frame)
        else:
            self.counts.accepted += len(frame)

    def settle(self, frame: FrameWriter, outcome: object) -> None:
        """This became of a frame: its block is free."""
        frame.outcome = outcome
        frame.release()
        self.tell(frame)

    def tell(self, frame: FrameWriter) -> None:
        """The frame's outcome is set: wake the coroutines that wait for it. Needs no lead."""
        for awaiting in list(self.awaiting.pop(frame.fid, {}).values()):
            awaiting.settled()
