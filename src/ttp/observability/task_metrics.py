"""What a pool's processes have counted of each task, as text of the exposition format.

It is nearly all of what /metrics says: 17,000 lines for 200 tasks, which differ in their numbers alone, and few of
which change between two scrapes. prometheus-client makes each from its labels anew, 0.2 s of a core that handlers
want; here lines are made once, and filled with numbers where there are new ones.
"""

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import accumulate
from operator import add

from ttp.observability.labels import label
from ttp.worker.scoreboard import BOUNDS, OTHER, STAGES, Outcome, Scoreboard, outcomes_of, series_of, stage_of

_ABOUT = {
    "wait": "From the submit that opened a task's frame to the start of its run.",
    "run": "Run of the frame that carries a task.",
    "commit": "From the end of a run to the server's acceptance of its commit.",
    "total": "From the submit that opened a task's frame to the server's acceptance of its outcome.",
}
_EXECUTED: tuple[Outcome, ...] = ("done", "retried", "dead", "cancelled")

Parts = tuple[bytes, ...]  # of one task: its lines in each family


class TaskMetrics:
    """Sums up the processes of a pool. Its text may be asked for by several threads."""

    def __init__(self, scoreboard: Scoreboard) -> None:
        self._slots = scoreboard.slots()
        self._series = scoreboard.layout.series
        self._forms = [_forms(*map(_escaped, series)) for series in self._series]
        self._made: list[tuple[Sequence[int], Parts]] = [((), ()) for _ in self._series]  # from which numbers, what

    def text(self, *, openmetrics: bool) -> bytes:
        """All series as they are now, in OpenMetrics or in Prometheus' own format; histograms that count something."""
        cells = reduce(lambda sums, more: list(map(add, sums, more)), (slot.series() for slot in self._slots))
        parts = [self._parts(number, series_of(cells, number)) for number in range(len(self._series))]
        families = zip(_heads("" if openmetrics else "_total"), zip(*parts, strict=True), strict=True)
        return b"".join(piece for head, lines in families for piece in (head, *lines))

    def _parts(self, number: int, cells: Sequence[int]) -> Parts:
        known, parts = self._made[number]
        if cells != known:
            parts = tuple(text.encode() for text in self._lines(number, cells))
            self._made[number] = cells, parts
        return parts

    def _lines(self, number: int, cells: Sequence[int]) -> Iterator[str]:
        executed, deferred, *stages = self._forms[number]
        outcomes = outcomes_of(cells)
        shown = self._series[number][0] != OTHER or any(outcomes.values())
        yield executed % tuple(outcomes[outcome] for outcome in _EXECUTED) if shown else ""
        yield deferred % outcomes["deferred"] if shown else ""
        for stage, form in zip(STAGES, stages, strict=True):
            seconds, buckets = stage_of(cells, stage)
            counts = [*accumulate(buckets)]
            yield form % (*counts, counts[-1], seconds) if counts[-1] else ""


def _heads(total: str) -> Iterator[bytes]:
    """What stands before the lines of each family; counters have a suffix there in Prometheus' own format."""
    yield _head(f"ttp_tasks_executed{total}", "counter", "Tasks that came to an outcome here.")
    yield _head(f"ttp_tasks_deferred{total}", "counter", "Tasks put off unrun: open breaker, or no handler.")
    for stage in STAGES:
        yield _head(f"ttp_task_{stage}_seconds", "histogram", _ABOUT[stage])


def _head(name: str, kind: str, about: str) -> bytes:
    return f"# HELP {name} {about}\n# TYPE {name} {kind}\n".encode()


def _forms(task: str, queue: str) -> tuple[str, ...]:
    """The lines of a series in each family, without their numbers."""
    labels = f'queue="{queue}",task="{task}"'
    executed = (f'ttp_tasks_executed_total{{outcome="{outcome}",{labels}}} %d\n' for outcome in _EXECUTED)
    return (
        "".join(executed),
        f"ttp_tasks_deferred_total{{{labels}}} %d\n",
        *(_histogram(f"ttp_task_{stage}_seconds", labels) for stage in STAGES),
    )


def _histogram(name: str, labels: str) -> str:
    buckets = (f'{name}_bucket{{le="{bound}",{labels}}} %d\n' for bound in (*BOUNDS, "+Inf"))
    return "".join((*buckets, f"{name}_count{{{labels}}} %d\n{name}_sum{{{labels}}} %s\n"))


def _escaped(name: str) -> str:
    """As a label's value in the format, and as `%` lets it be."""
    return label(name).replace("\\", r"\\").replace('"', r"\"").replace("%", "%%")
