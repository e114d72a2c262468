"""A replica of the modelled server: a little behind, and promoted in a failover."""

from typing import Any

from simulation.model_server import ModelServer
from simulation.oracle import Oracle

LAG = 2.0  # seconds at most


class Replica:
    """What it has of the server, and of what the oracle has seen there.

    Attributes:
        since: when it got that; None while it has nothing.
    """

    def __init__(self, server: ModelServer, oracle: Oracle) -> None:
        self._server = server
        self._oracle = oracle
        self.since: float | None = None
        self._copy: tuple[Any, Any] = (None, None)

    def follow(self, now: float) -> None:
        """Have all that the server has now."""
        if self._server.store.keys:
            self.since = now
            self._copy = self._server.snapshot(), self._oracle.snapshot()

    def is_behind(self, now: float) -> bool:
        """Whether it is as far behind as it may be, or has nothing yet."""
        return self.since is None or now - self.since > LAG

    def promote(self) -> None:
        """It is the server now: what it has not got has not happened."""
        self._server.restore(self._copy[0])
        self._oracle.restore(self._copy[1])
