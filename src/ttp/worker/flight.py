"""The flight recorder: when which tasks were read, run and committed, by whom, and what came of them."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from ttp.coordination import flight
from ttp.coordination.commands import Command
from ttp.coordination.keys import Keys
from ttp.native import CANCELLED, DEAD, DONE, RETRY, pack, unpack
from ttp.worker.draft import Draft
from ttp.worker.job import Job

SAMPLED = 256  # one of so many frames is kept though nothing is the matter with it
SLOW = 1.0  # seconds from submit to commit above which a frame is kept
WAITING = 256  # records of a worker not yet sent, at most: older ones make room
RANGES = 256  # of task indices in a record, at most: what is beyond is left out

Outcome = Literal["done", "retried", "dead", "cancelled"]
_OUTCOMES: Final[dict[Outcome, int]] = {"done": DONE, "retried": RETRY, "dead": DEAD, "cancelled": CANCELLED}


@dataclass(frozen=True, slots=True)
class Leg:
    """One attempt at some tasks of one frame. Times are the server's, in milliseconds.

    Attributes:
        origin: with an index, the task's id.
        submitted_ms: when the frame was opened in which the task was first written.
        outcomes: outcome → ranges of task indices, as [first, after the last].
    """

    origin: int
    task: str
    attempt: int
    worker: str
    submitted_ms: int
    read_ms: int
    started_ms: int
    finished_ms: int
    committed_ms: int
    outcomes: dict[str, list[list[int]]]

    def to_bytes(self) -> bytes:
        """As it is stored."""
        return pack([f"{self.origin:016x}", *(getattr(self, field.name) for field in fields(self)[1:])])

    @classmethod
    def from_bytes(cls, data: bytes) -> "Leg":
        """Back from bytes."""
        origin, *rest = unpack(data)
        return cls(int(origin, 16), *rest)

    def outcome(self, index: int) -> str | None:
        """What one task came to in this attempt; None if it is none of these."""
        for outcome, ranges in self.outcomes.items():
            if any(first <= index < after for first, after in ranges):
                return outcome
        return None


class FlightRecorder:
    """Keeps what a worker notes until it is sent. Safe between threads."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._waiting: deque[tuple[Keys, bytes]] = deque(maxlen=WAITING)

    def committed(self, job: Job, drafted: Draft, *, now: float, now_ms: int) -> None:
        """Note a commit that the server accepted, if it is one to keep.

        Args:
            now: monotonic clock, seconds.
            now_ms: server time.
        """
        view = job.view
        slow = now_ms - view.created_at // 1000 > SLOW * 1000
        if not (drafted.failed or slow or view.origin % SAMPLED == 0) or not drafted.ended:
            return
        read, started, finished = (
            now_ms - round((now - at) * 1000) for at in (job.read_at, job.started or now, job.drafted_at)
        )
        outcomes = {name: _ranges(job, drafted, code) for name, code in _OUTCOMES.items()}
        leg = Leg(
            view.origin, view.name, view.attempt, self._worker, view.created_at // 1000, read, started, finished,
            now_ms, {name: ranges for name, ranges in outcomes.items() if ranges},
        )  # fmt: skip
        self._waiting.append((job.keys, leg.to_bytes()))

    def flush(self, send: Callable[[Sequence[Command]], object]) -> None:
        """Send what waits; what cannot be sent waits on."""
        records = []
        while self._waiting:
            records.append(self._waiting.popleft())
        if not records:
            return
        try:
            send([flight.record(keys, data) for keys, data in records])
        except BaseException:
            self._waiting.extendleft(reversed(records[: WAITING - len(self._waiting)]))
            raise


def _ranges(job: Job, drafted: Draft, code: int) -> list[list[int]]:
    """Where the tasks of an outcome are. A run of rows is one step, since most frames are all one run."""
    out: list[list[int]] = []
    for first, outcomes in drafted.ended:
        for low, high in _runs(outcomes, code):
            for start, after in _unbroken(job.view.index, first + low, first + high):
                if out and out[-1][1] == start:
                    out[-1][1] = after
                elif len(out) < RANGES:
                    out.append([start, after])
                else:
                    return out
    return out


def _runs(outcomes: bytes, code: int) -> Iterable[tuple[int, int]]:
    if outcomes.count(code) == len(outcomes):
        yield 0, len(outcomes)
    elif code in outcomes:
        yield from (run.span() for run in re.finditer(re.escape(bytes([code])) + b"+", outcomes))


def _unbroken(index: Callable[[int], int], first: int, after: int) -> Iterable[tuple[int, int]]:
    """The ranges of indices that rows stand for: indices rise with the rows, with gaps in derived frames."""
    low, high = index(first), index(after - 1)
    if high - low == after - 1 - first:
        yield low, high + 1
    else:
        for row in range(first, after):
            yield index(row), index(row) + 1


def legs_of(call: Callable[[Command], Any], keys: Keys, origin: int, index: int) -> list[Leg]:
    """What is known of one task, oldest first.

    Args:
        call: asks the server.
    """
    legs, after = [], "-"
    while page := flight.page_reply(call(flight.page(keys, after))):
        for entry_id, data in page:
            leg = Leg.from_bytes(data)
            if leg.origin == origin and leg.outcome(index):
                legs.append(leg)
            after = f"({entry_id}"
    return legs
