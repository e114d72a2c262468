"""Files played as if their devices sent them now."""

import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import NamedTuple

from ttp.telemetry.event import Record
from ttp.telemetry.sources.record_file import RecordFile


class _Played(NamedTuple):
    """A record, where it stands, and seconds from the start at which it is due; ordered by the last."""

    offset: float
    file_number: int
    line: int
    record: Record


class Recording:
    """A source that plays files: each from its own first timestamp on, in the order of the lines.

    Args:
        files: at full speed one after the other, else side by side.
        speed: 1 plays at the original pace, 60 a minute in a second; infinite does not wait at all.
            Timestamps that run backwards are not waited for again.
        clock: seconds that never run backwards.
    """

    def __init__(
        self, files: Sequence[RecordFile], *, speed: float = math.inf, clock: Callable[[], float] = monotonic
    ) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self.files = files
        self._speed = speed
        self._clock = clock
        self._start: float | None = None
        self._current: _Played | None = None  # handed out last
        self._next: _Played | None = None
        self._played = self._merge()

    @property
    def next_due(self) -> float | None:
        """When the next event is due by the clock; None at the end."""
        if self._start is None:
            self._start = self._clock()
            self._next = next(self._played, None)
        return None if self._next is None else self._start + self._next.offset

    def due(self) -> Iterator[Record]:
        """The events that are due by now. Never waits."""
        while (at := self.next_due) is not None and at <= self._clock():
            self._current, self._next = self._next, next(self._played, None)
            yield self._current.record  # type: ignore[union-attr]  # there was one, as it was due

    def refuse(self, reason: str) -> None:
        """Report the event handed out last as a bad row of its file."""
        if self._current is not None:
            self.files[self._current.file_number].refuse(reason, self._current.line)

    def _merge(self) -> Iterator[_Played]:
        played = [self._play(number, file) for number, file in enumerate(self.files)]
        return heapq.merge(*played, key=lambda item: item[:2])

    def _play(self, number: int, file: RecordFile) -> Iterator[_Played]:
        first = latest = None
        for record in file:
            offset = 0.0
            if math.isfinite(self._speed):
                stamp = _seconds(record.timestamp)
                first = stamp if first is None else first
                latest = stamp if latest is None else max(latest, stamp)
                offset = (latest - first) / self._speed
            yield _Played(offset, number, file.line, record)


def _seconds(timestamp: str) -> float:
    stamp = datetime.fromisoformat(timestamp)
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()
