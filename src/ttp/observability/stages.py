"""The histograms of a pool's stages, as text of the exposition format.

They are nearly all of what /metrics says: 16,000 lines for 200 tasks, which differ in their numbers alone.
prometheus-client makes each from its labels anew, 0.2 s of a core that handlers want; here they are made once.
"""

from collections.abc import Iterator
from functools import reduce
from itertools import accumulate
from operator import add

from ttp.observability.labels import label
from ttp.worker.scoreboard import BOUNDS, STAGES, Scoreboard, Stage, stage_of

_ABOUT: dict[Stage, str] = {
    "wait": "From the submit that opened a task's frame to the start of its run.",
    "run": "Run of the frame that carries a task.",
    "commit": "From the end of a run to the server's acceptance of its commit.",
    "total": "From the submit that opened a task's frame to the server's acceptance of its outcome.",
}


class StageHistograms:
    """Sums up the processes of a pool."""

    def __init__(self, scoreboard: Scoreboard) -> None:
        self._slots = scoreboard.slots()
        self._series = scoreboard.layout.series
        self._forms: dict[tuple[int, Stage], str] = {}

    def text(self) -> str:
        """All series in which something was counted, as they are now; alike in Prometheus' format and OpenMetrics."""
        return "".join(self._lines())

    def _lines(self) -> Iterator[str]:
        slots = (slot.series() for slot in self._slots)
        cells = reduce(lambda sums, more: list(map(add, sums, more)), slots)
        for stage in STAGES:
            name = f"ttp_task_{stage}_seconds"
            yield f"# HELP {name} {_ABOUT[stage]}\n# TYPE {name} histogram\n"
            for series in range(len(self._series)):
                seconds, buckets = stage_of(cells, series, stage)
                counts = [*accumulate(buckets)]
                if counts[-1]:
                    yield self._form(series, stage) % (*counts, counts[-1], seconds)

    def _form(self, series: int, stage: Stage) -> str:
        """The lines of a series, without their numbers."""
        if (form := self._forms.get((series, stage))) is None:
            task, queue = (_escaped(label(name)) for name in self._series[series])
            name, labels = f"ttp_task_{stage}_seconds", f'queue="{queue}",task="{task}"'
            buckets = (f'{name}_bucket{{le="{bound}",{labels}}} %d\n' for bound in (*BOUNDS, "+Inf"))
            ends = f"{name}_count{{{labels}}} %d\n{name}_sum{{{labels}}} %s\n"
            form = self._forms[series, stage] = "".join((*buckets, ends))
        return form


def _escaped(value: str) -> str:
    """A label's value as the format has it, and as `%` lets it be."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("%", "%%")
