"""What a worker tells of itself, once a second with its heartbeat: for the status page and `ttp doctor`."""

import json
import math
import time
from collections.abc import Callable, Iterable

from ttp.coordination.keys import WIRE
from ttp.native import BACKEND, Histogram
from ttp.version import __version__
from ttp.worker.handler import Handler
from ttp.worker.job import Job
from ttp.worker.stats import Stats

MOST_BREAKERS = 16  # in a report, each with at most MOST_NAME characters: a report is small, whatever an app does
MOST_NAME = 64


class Reporter:
    """Makes the reports of one worker.

    Args:
        stats: how long tasks waited and ran, from the worker's start.
        jobs: the jobs in hand, now.
    """

    def __init__(self, stats: Stats, jobs: Callable[[], list[Job]], handlers: Iterable[Handler]) -> None:
        self._wait, self._run = Fresh(stats.wait), Fresh(stats.run)
        self._jobs = jobs
        self._breakers = list({h.breaker.name: h.breaker for h in handlers if h.breaker is not None}.values())
        self._started_at = time.time()

    def report(self) -> bytes:
        """JSON; percentiles: of the tasks started or committed since the last report, null where there were none."""
        wait, run = self._wait.percentiles(), self._run.percentiles()
        report = {
            "version": __version__,
            "wire": WIRE,
            "core": BACKEND,
            "started_at": round(self._started_at),
            "tasks": self._wait.histogram.count,
            "in_hand": sum(job.tasks for job in self._jobs()),
            "p50_us": wait[0],
            "p99_us": wait[1],
            "run_p50_us": run[0],
            "run_p99_us": run[1],
            "breakers": {b.name[:MOST_NAME]: b.state for b in self._breakers[:MOST_BREAKERS]},
        }
        return json.dumps(report, separators=(",", ":")).encode()


class Fresh:
    """What a histogram of nanoseconds has got since one last looked."""

    def __init__(self, histogram: Histogram) -> None:
        self.histogram = histogram
        self._before: dict[int, int] = {}

    def percentiles(self) -> tuple[int | None, int | None]:
        """p50 and p99 in microseconds; None of nothing."""
        before, self._before = self._before, dict(self.histogram.counts())
        fresh = [(value, n - before.get(value, 0)) for value, n in self._before.items()]
        return percentile(fresh, 50), percentile(fresh, 99)


def percentile(counts: Iterable[tuple[int, int]], q: float) -> int | None:
    """Of (nanoseconds, how often) in ascending order, in microseconds; None of nothing."""
    counts = list(counts)
    total = sum(n for _, n in counts)
    rank = max(1, math.ceil(q / 100 * total))
    for value, n in counts:
        rank -= n
        if rank <= 0:
            return value // 1000
    return None
