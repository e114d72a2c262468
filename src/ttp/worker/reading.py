"""What a worker reads next: which streams, how many frames of each, and how early. No I/O."""

from collections.abc import Mapping, Sequence

from ttp.coordination.keys import Keys
from ttp.policy import CircuitBreaker

FETCH = 16  # frames of a stream in one read, while frames take little time: 1 MiB
FETCH_SECONDS = 0.01  # of work in one read
PREFETCH_SECONDS = 0.0002  # of work in hand, above which the next read goes out before it
CAREFUL = 1.0  # seconds of single reads after a frame that a worker died over


class Reading:
    """Remembers what the last reads brought and how long frames take.

    Args:
        queues: in the order in which they are listed.
        gates: queues that are not read while their breaker is open.
    """

    def __init__(self, queues: Sequence[Keys], gates: Mapping[Keys, CircuitBreaker]) -> None:
        self._queues = queues
        self._gates = gates
        self._priority_of = {keys.stream(priority): priority for keys in queues for priority in range(3)}
        self._turn = 0
        self._highest = 2  # the highest priority of the last read
        self._frame_seconds = 0.0
        self._careful_until = 0.0

    def streams(self, *, busy: bool) -> list[str]:
        """All priorities; but while higher ones bring work, NORMAL every 2nd and LOW every 8th turn.

        Args:
            busy: there is work in hand.
        """
        self._turn += 1
        lowest = 2
        if busy and self._turn % 8 and self._highest < 2:
            lowest = 1 if self._turn % 2 == 0 or self._highest == 1 else 0
        queues = self._queues
        if self._gates:
            queues = [keys for keys in queues if keys not in self._gates or self._gates[keys].state != "open"]
        return [keys.stream(priority) for priority in range(lowest + 1) for keys in queues]

    def count(self, now: float) -> int:
        """Frames of each stream: about `FETCH_SECONDS` of work; one where caution is due."""
        if now < self._careful_until or any(gate.state != "closed" for gate in self._gates.values()):
            return 1
        return max(1, min(FETCH, int(FETCH_SECONDS / max(self._frame_seconds, 1e-6))))

    def is_early(self, waiting: int) -> bool:
        """Whether to read before the frames in hand are run.

        They take longer than a round trip, and not so long that others had better have the rest.
        """
        return self._frame_seconds * waiting > PREFETCH_SECONDS and self._frame_seconds < FETCH_SECONDS

    def brought(self, stream: str | None) -> None:
        """A read has ended; its first entry was of this stream, None if there was none."""
        self._highest = self._priority_of.get(stream, 2) if stream is not None else 2

    def took(self, seconds: float) -> None:
        """A frame has run for so long."""
        self._frame_seconds += (seconds - self._frame_seconds) * 0.2

    def caution(self, now: float) -> None:
        """A worker died over a frame: read singly for a while."""
        self._careful_until = now + CAREFUL
