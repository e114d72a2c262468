"""Counters of all worker processes of one pool, in memory that they share with whoever shows them."""

import json
import mmap
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ttp.native import Counters
from ttp.worker.handler import Handler

Outcome = Literal["done", "retried", "dead", "cancelled", "deferred"]
Stage = Literal["wait", "run", "commit", "total"]

OUTCOMES: Final[tuple[Outcome, ...]] = ("done", "retried", "dead", "cancelled", "deferred")
STAGES: Final[tuple[Stage, ...]] = ("wait", "run", "commit", "total")
EVENTS: Final = (
    "frames", "fenced", "corrupt", "reclaimed", "duplicated", "requests", "round_trips", "round_trip_us",
)  # fmt: skip
BOUNDS: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
"""Upper bounds of a stage's buckets, seconds; one more bucket takes what is longer."""

MAX_SERIES = 200  # tasks with counters of their own; what is beyond shares those of OTHER
MAX_LABEL = 120  # characters of a task's name that are shown
OTHER = "_other"
STATES: Final = ("closed", "half_open", "open")  # of a breaker

_PROCESS = ("beat_ms", "serving", "in_hand", "ring_used", "ring", *EVENTS)
_STAGE = 1 + len(BOUNDS) + 1  # sum in microseconds (modulo 2^64), then the buckets
_SERIES = len(OUTCOMES) + len(STAGES) * _STAGE
_OUTCOME_AT: Final = {outcome: n for n, outcome in enumerate(OUTCOMES)}
_STAGE_AT: Final = {stage: len(OUTCOMES) + n * _STAGE for n, stage in enumerate(STAGES)}


@dataclass(frozen=True, slots=True)
class Layout:
    """What the cells mean: some of each process, then some of each breaker, then those of each task.

    Attributes:
        processes: slots, one for each process at a time; its successor goes on counting in it.
        series: (task, queue) of each series; the last is `OTHER`.
        breakers: their names.
    """

    processes: int
    series: tuple[tuple[str, str], ...]
    breakers: tuple[str, ...]

    @classmethod
    def of(cls, handlers: Iterable[Handler], processes: int) -> "Layout":
        """The layout for these handlers."""
        handlers = list(handlers)
        series = [(handler.name, handler.queue) for handler in handlers][:MAX_SERIES]
        breakers = {handler.breaker.name for handler in handlers if handler.breaker is not None}
        return cls(processes, (*series, (OTHER, OTHER)), tuple(sorted(breakers)))

    @property
    def slot_size(self) -> int:
        """Cells of one process."""
        return len(_PROCESS) + len(self.breakers) + len(self.series) * _SERIES

    @property
    def size(self) -> int:
        """Bytes of all."""
        return self.processes * self.slot_size * 8

    def to_json(self) -> str:
        """As text, for another process."""
        return json.dumps([self.processes, self.series, self.breakers])

    @classmethod
    def from_json(cls, text: str) -> "Layout":
        """Back from text."""
        processes, series, breakers = json.loads(text)
        return cls(processes, tuple((task, queue) for task, queue in series), tuple(breakers))


class Scoreboard:
    """The cells of a pool.

    Args:
        fd: of a file of `Layout.size` bytes that holds them; -1: they are this process's, and those it forks.
    """

    def __init__(self, layout: Layout, fd: int = -1) -> None:
        self.layout = layout
        self._cells = Counters(mmap.mmap(fd, layout.size))

    def slot(self, number: int) -> "Slot":
        """The cells of one process."""
        return Slot(self.layout, self._cells, number * self.layout.slot_size)

    def slots(self) -> list["Slot"]:
        """The cells of all processes."""
        return [self.slot(number) for number in range(self.layout.processes)]


class Slot:
    """The cells of one process. It alone writes them, from any of its threads; anybody reads them."""

    def __init__(self, layout: Layout, counters: Counters, first: int) -> None:
        self._layout = layout
        self._cells = counters
        self._process = {name: first + n for n, name in enumerate(_PROCESS)}
        self._breakers = first + len(_PROCESS)
        self._series = self._breakers + len(layout.breakers)
        self._other = self._series + (len(layout.series) - 1) * _SERIES
        self._of = {name: self._series + n * _SERIES for n, (name, _) in enumerate(layout.series)}

    # the process that owns it

    def count(self, task: str, outcome: Outcome, tasks: int) -> None:
        """So many tasks of this name came to this."""
        self._cells.add(self._of.get(task, self._other) + _OUTCOME_AT[outcome], tasks)

    def observe(self, task: str, stage: Stage, seconds: float, tasks: int) -> None:
        """So many tasks of this name took so long for a stage."""
        first = self._of.get(task, self._other) + _STAGE_AT[stage]
        self._cells.add(first, max(0, int(seconds * 1e6)) * tasks)
        self._cells.add(first + 1 + bisect_left(BOUNDS, seconds), tasks)

    def event(self, name: str, count: int = 1) -> None:
        """One of `EVENTS` happened."""
        self._cells.add(self._process[name], count)

    def beat(self, *, serving: bool, in_hand: int, ring: tuple[int, int], breakers: dict[str, str]) -> None:
        """The process lives.

        Args:
            serving: it is connected and takes tasks.
            in_hand: tasks that it has read and not committed.
            ring: slices that wait for a thread, and how many there is room for.
            breakers: name → state.
        """
        self._cells.set(self._process["beat_ms"], int(time.monotonic() * 1000))
        self._cells.set(self._process["serving"], int(serving))
        self._cells.set(self._process["in_hand"], in_hand)
        self._cells.set(self._process["ring_used"], ring[0])
        self._cells.set(self._process["ring"], ring[1])
        for n, name in enumerate(self._layout.breakers):
            self._cells.set(self._breakers + n, STATES.index(breakers.get(name, "closed")))

    # whoever reads

    def process(self, name: str) -> int:
        """A number of the process: serving, in_hand, ring_used, ring, or one of `EVENTS`."""
        return self._cells.get(self._process[name])

    def silence(self) -> float | None:
        """Seconds since the last beat; None before the first."""
        beat_ms = self.process("beat_ms")
        return max(0.0, time.monotonic() - beat_ms / 1000) if beat_ms else None

    def breakers(self) -> dict[str, str]:
        """Name → state."""
        return {name: STATES[self._cells.get(self._breakers + n)] for n, name in enumerate(self._layout.breakers)}

    def total(self, outcome: Outcome) -> int:
        """Tasks of all series that came to this."""
        return sum(self.series()[_OUTCOME_AT[outcome] :: _SERIES])

    def series(self) -> list[int]:
        """The cells of all series, for `series_of`."""
        return self._cells.values(self._series, self._other + _SERIES - 1)


def series_of(cells: Sequence[int], number: int) -> Sequence[int]:
    """The cells of one series."""
    return cells[number * _SERIES : (number + 1) * _SERIES]


def outcomes_of(series: Sequence[int]) -> dict[Outcome, int]:
    """Tasks of a series by outcome."""
    return dict(zip(OUTCOMES, series, strict=False))


def stage_of(series: Sequence[int], stage: Stage) -> tuple[float, Sequence[int]]:
    """Sum in seconds, and tasks in each bucket (not cumulated), of one stage of a series."""
    first = _STAGE_AT[stage]
    return series[first] / 1e6, series[first + 1 : first + _STAGE]
