"""A connection for commands that may be repeated: it reconnects and sends again until it is answered."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from ttp.coordination.backoff import Backoff
from ttp.coordination.commands import Command
from ttp.coordination.connection import Connection
from ttp.coordination.traffic import Traffic
from ttp.errors import ServerRefused, ServerUnavailable

OUTAGE = 3600.0  # seconds that a commit waits for a server


class Line:
    """One connection and its lock. Commits, ticks and claims may be sent twice: the scripts see to that.

    Args:
        open_connection: makes a connected `Connection`.
        closed: set when the worker ends; then nothing is retried any more.
    """

    def __init__(self, open_connection: Callable[[float], Connection], closed: threading.Event) -> None:
        self._open_connection = open_connection
        self._closed = closed
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self.generation = 0  # counts connections: who sees a new number has been away
        self.traffic = Traffic()  # of all its connections

    def call_many(self, batch: Sequence[Command], *, patience: float = OUTAGE) -> list[Any]:
        """Send, and send again after a fault, for at most `patience` seconds. Replies in order.

        Raises:
            ServerUnavailable: out of patience, or the worker ends.
        """
        deadline = time.monotonic() + patience
        backoff = Backoff()
        if not self._lock.acquire(timeout=patience):
            raise ServerUnavailable("another request waits for the server")
        try:
            while True:
                try:
                    if self._connection is None:
                        self._connection = self._open_connection(min(5.0, max(0.05, patience)))
                        self._connection.traffic = self.traffic
                        self.generation += 1
                    return self._connection.call_many(batch)
                except ServerUnavailable as error:
                    if self._connection is not None:
                        self._connection.close()
                        self._connection = None
                    if isinstance(error, ServerRefused) or time.monotonic() >= deadline:
                        raise
                    if self._closed.wait(backoff.next()):
                        raise
        finally:
            self._lock.release()

    def call(self, command: Command, *, patience: float = OUTAGE) -> Any:
        """`call_many` for one."""
        return self.call_many([command], patience=patience)[0]

    @property
    def offset_us(self) -> int:
        """Server time minus this machine's, as last measured."""
        return 0 if self._connection is None else self._connection.offset_us

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
