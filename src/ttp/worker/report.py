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

MOST_BREAKERS = 16  # in a report, each with at most MOST_NAME characters: a report is small, whatever an app does
MOST_NAME = 64


class Reporter:
    """Makes the reports of one worker.

    Args:
        wait: nanoseconds that tasks waited, weighted by tasks, from the worker's start.
        jobs: the jobs in hand, now.
    """

    def __init__(self, wait: Histogram, jobs: Callable[[], list[Job]], handlers: Iterable[Handler]) -> None:
        self._wait = wait
        self._jobs = jobs
        self._breakers = list({h.breaker.name: h.breaker for h in handlers if h.breaker is not None}.values())
        self._before: dict[int, int] = {}
        self._started_at = time.time()

    def report(self) -> bytes:
        """JSON; p50_us and p99_us are of the tasks started since the last report, null where there were none."""
        p50, p99 = self._percentiles()
        report = {
            "version": __version__,
            "wire": WIRE,
            "core": BACKEND,
            "started_at": round(self._started_at),
            "tasks": self._wait.count,
            "in_hand": sum(job.tasks for job in self._jobs()),
            "p50_us": p50,
            "p99_us": p99,
            "breakers": {b.name[:MOST_NAME]: b.state for b in self._breakers[:MOST_BREAKERS]},
        }
        return json.dumps(report, separators=(",", ":")).encode()

    def _percentiles(self) -> tuple[int | None, int | None]:
        before, self._before = self._before, dict(self._wait.counts())
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
