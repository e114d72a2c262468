"""How the queues are, looked at now and then, so that nobody who asks has to wait for the server."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ttp.coordination import commands, inspection
from ttp.coordination.connection import Connection
from ttp.coordination.keys import Keys
from ttp.errors import CorruptFrame, ServerUnavailable
from ttp.native import FrameView

log = logging.getLogger("ttp.observability")

PAUSE = 1.0  # seconds between two looks
PATIENCE = 2.0  # seconds that an answer may take
FRESH = 5.0  # seconds for which an answer says that the server is there


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue.

    Attributes:
        oldest_age: seconds since the opening of the oldest frame that is ready or running; 0 if there is none.
    """

    stats: inspection.Stats
    oldest_age: float


@dataclass(slots=True)
class QueueWatch:
    """Looks at some queues from a thread of its own, until stopped.

    Attributes:
        states: queue name → what was seen last.
    """

    open_connection: Callable[[float], Connection]
    keys: Sequence[Keys]
    states: dict[str, QueueState] = field(default_factory=dict)
    _answered_at: float | None = None
    _stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._work, name="ttp-queues", daemon=True).start()

    def stop(self) -> None:
        """End soon."""
        self._stopped.set()

    @property
    def answering(self) -> bool:
        """The server has answered of late."""
        return self._answered_at is not None and time.monotonic() - self._answered_at < FRESH

    def _work(self) -> None:
        connection = None
        while not self._stopped.is_set():
            try:
                connection = connection or self.open_connection(PATIENCE)
                self.states = {keys.queue: _look(connection, keys) for keys in self.keys}
                self._answered_at = time.monotonic()
            except ServerUnavailable as error:
                log.info("no server: %s", error)
                if connection is not None:
                    connection.close()
                connection = None
            self._stopped.wait(PAUSE)


def _look(connection: Connection, keys: Keys) -> QueueState:
    streams = (*keys.streams, keys.held)
    firsts = [commands.first(stream) for stream in streams]
    replies = connection.call_many([*inspection.stats(keys), *firsts, ("TIME",)], timeout=PATIENCE)
    stats = inspection.stats_reply(replies[: -len(firsts) - 1])
    seconds, micros = replies[-1]
    now_us = int(seconds) * 1_000_000 + int(micros)
    opened = []
    for stream, reply in zip(streams, replies[-len(firsts) - 1 : -1], strict=True):
        for entry in commands.range_entries(stream, reply):
            try:
                opened.append(FrameView(keys.verify(entry.frame or b"")).created_at)
            except CorruptFrame:
                continue  # some worker will bury it
    return QueueState(stats, max(0.0, (now_us - min(opened)) / 1e6) if opened else 0.0)
