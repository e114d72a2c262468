"""Which workers are dead or stalled, from what one observer sees over time. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(slots=True)
class _Seen:
    beat: int
    beat_at: float
    missing_at: float | None = None


class Observer:
    """Judges consumers by the observer's own monotonic clock.

    Dead: the server lists no connection of it in two scans at least a second apart. Stalled: it is listed,
    but its heartbeat has not moved for `stall` seconds. Where the server's client list may not be read,
    heartbeats alone decide, and nobody is called dead.

    Args:
        lease: seconds for which the observer must have been connected before it calls anybody dead:
            time for all to reconnect after a failover.
        stall: seconds; above the longest timeout.
    """

    def __init__(self, *, lease: float, stall: float) -> None:
        self._lease = lease
        self._stall = stall
        self._connected_at: float | None = None
        self._seen: dict[str, _Seen] = {}

    def connected(self, now: float) -> None:
        """The observer has (re)connected: what it saw before counts no more."""
        self._connected_at = now
        for seen in self._seen.values():
            seen.missing_at = None
            seen.beat_at = now

    def scan(
        self, now: float, beats: Mapping[str, int], listed: frozenset[str] | None, me: str
    ) -> tuple[list[str], list[str]]:
        """One look.

        Args:
            now: the observer's monotonic clock, seconds.
            beats: heartbeat counter of each consumer that exists on the server.
            listed: names of the connections; None where the server does not tell.
            me: the observer's own name, never judged.

        Returns:
            The dead and the stalled.
        """
        dead, stalled = [], []
        for name, beat in beats.items():
            if name == me:
                continue
            seen = self._seen.get(name)
            if seen is None:
                seen = self._seen[name] = _Seen(beat, now)
            if seen.beat != beat:
                seen.beat, seen.beat_at = beat, now
            if listed is None or name in listed:
                seen.missing_at = None
                if now - seen.beat_at >= self._stall:
                    stalled.append(name)
            elif seen.missing_at is None:
                seen.missing_at = now
            elif now - seen.missing_at >= 1.0 and self._long_connected(now):
                dead.append(name)
        for name in self._seen.keys() - beats.keys():
            del self._seen[name]
        return dead, stalled

    def _long_connected(self, now: float) -> bool:
        return self._connected_at is not None and now - self._connected_at >= self._lease
