"""A producer's one connection: opened when it is needed, and after a failure again, with pauses."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ttp.coordination.backoff import Backoff
from ttp.errors import ServerUnavailable

if TYPE_CHECKING:
    from ttp.coordination.connection import Connection
    from ttp.coordination.durability import Barrier
    from ttp.coordination.levels import Durability


class Link:
    """Used under the producer's lock.

    Args:
        open_connection: makes a connected `Connection` within some seconds; ServerUnavailable if that fails.
        durability: what an accepted task survives.

    Attributes:
        connection: None before the first, and while there is none.
        trouble: why there is none.
        retry_at: when the next may be opened, by time.monotonic().
    """

    def __init__(self, open_connection: "Callable[[float], Connection]", durability: "Durability") -> None:
        self._open_connection = open_connection
        self._durability: Durability = durability
        self._backoff = Backoff()
        self.connection: Connection | None = None
        self.trouble: ServerUnavailable | None = None
        self.retry_at = 0.0

    def open(self, deadline: float | None) -> "tuple[Connection, Barrier]":
        """A new connection, and what makes its frames durable. With a deadline, the pause between tries is waited for.

        Raises:
            ServerUnavailable: no server, or it is too early to try again.
        """
        pause = self.retry_at - time.monotonic()
        if pause > 0:
            if deadline is None:
                raise self.trouble or ServerUnavailable("no connection")
            time.sleep(max(0.0, min(pause, deadline - time.monotonic())))
        from ttp.coordination.durability import Barrier  # noqa: PLC0415 - with redis-py, not before needed

        connection = self._open_connection(5.0 if deadline is None else max(0.01, deadline - time.monotonic()))
        try:
            barrier = Barrier(connection, self._durability)
        except BaseException:
            connection.close()
            raise
        self._backoff.reset()
        self.trouble = None
        self.connection = connection
        return connection, barrier

    def broken(self, trouble: ServerUnavailable) -> None:
        """It failed: there is none, and for a while no other is tried."""
        self.trouble = trouble
        self.close()
        self.retry_at = time.monotonic() + self._backoff.next()

    def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()
