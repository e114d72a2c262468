"""Where telemetry comes from.

A `Source` says when its next event is due and hands out those that are, by a clock it was given; it never waits.
The simulated fleet, this machine's metrics and a recording (files, played) are sources. What others send when
they please comes by a `Receiver` (`intake.py`), which waits and reports.
"""

from collections.abc import Iterator
from typing import Protocol, TypeVar

from ttp.telemetry.event import Event, Record

MAX_INTERVAL = 366 * 86_400.0  # seconds

T_co = TypeVar("T_co", bound=Event | Record, covariant=True)


def check_interval(seconds: float) -> float:
    """Return seconds between two readings. ValueError if nobody can wait as long, or need not wait at all."""
    if not 0 < seconds <= MAX_INTERVAL:
        raise ValueError(f"interval must be above 0 s and at most a year, not {seconds:g} s")
    return seconds


class Source(Protocol[T_co]):
    """Events by and by."""

    @property
    def next_due(self) -> float | None:
        """When the next event is due, in seconds of the source's clock; None when it has ended."""
        ...

    def due(self) -> Iterator[T_co]:
        """The events that are due by now, in order. Never waits."""
        ...
