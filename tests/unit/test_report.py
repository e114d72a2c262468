"""What a worker tells of itself once a second."""

import json
from random import Random

from ttp.coordination.commands import Entry
from ttp.coordination.keys import Keys
from ttp.native import FrameView, encode_frame, encode_row
from ttp.policy import Clock, RetryPolicy
from ttp.worker.draft import draft
from ttp.worker.handler import Handler
from ttp.worker.job import Job
from ttp.worker.report import Reporter
from ttp.worker.scoreboard import Layout, Scoreboard
from ttp.worker.stats import Stats


def ran(stats: Stats, tasks: int, seconds: float) -> None:
    """A frame of so many tasks ran so long, and its commit was accepted."""
    frame = encode_frame([encode_row([n]) for n in range(tasks)], name="t", queue="q", fid=7, producer=bytes(12))
    handler = Handler("t", "q", lambda n: None, "sync", RetryPolicy(), None, 60.0)
    job = Job(
        Entry("s", "1-7", tasks, frame, 1), FrameView(frame), handler, Keys("a", "q"),
        clock=Clock(), rng=Random(1), state=None,
    )  # fmt: skip
    for part in job.cut_into(tasks):
        part.run(lambda n: None, lambda row, error: 0)
    drafted = draft(job, now_ms=1_700_000_000_000)
    job.started, job.drafted_at = 100.0, 100.0 + seconds
    stats.committed(job, drafted, now=job.drafted_at, now_ms=1_700_000_000_000)


def test_run_percentiles_are_of_what_came_since_the_last_report() -> None:
    stats = Stats(Scoreboard(Layout.of([], 1)).slot(0))
    reporter = Reporter(stats, list, [])

    def told() -> tuple[int | None, int | None]:
        report = json.loads(reporter.report())
        assert (report["p50_us"], report["p99_us"]) == (None, None)  # nothing waited
        return report["run_p50_us"], report["run_p99_us"]

    def near(us: int | None, seconds: float) -> bool:
        return us is not None and abs(us / 1e6 - seconds) <= seconds / 8  # a histogram's bucket

    assert told() == (None, None)
    ran(stats, 90, 0.002)
    ran(stats, 10, 0.5)
    p50, p99 = told()
    assert near(p50, 0.002)
    assert near(p99, 0.5)
    assert told() == (None, None)
    ran(stats, 1, 0.03)
    p50, p99 = told()
    assert near(p50, 0.03)
    assert p50 == p99
