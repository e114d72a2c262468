"""What a worker counts: per frame, never per task."""

from collections.abc import Iterable

from ttp.coordination.traffic import Traffic
from ttp.native import Histogram
from ttp.worker.draft import Draft
from ttp.worker.job import Job
from ttp.worker.scoreboard import OUTCOMES, Slot


class Stats:
    """Counts in the cells of one worker process.

    Attributes:
        wait: nanoseconds from the opening of the origin frame to the start of the run, weighted by tasks:
            finer than the cells.
        run: nanoseconds that the run of a frame took, weighted by the tasks that ran in it.
    """

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.wait = Histogram()
        self.run = Histogram()
        self._traffic = Traffic()  # as counted so far

    def started(self, job: Job, age_us: int) -> None:
        """A job is about to run, so long after its origin frame was opened."""
        tasks = len(job.view)
        self.wait.record(max(0, age_us) * 1000, tasks)
        self.slot.observe(job.view.name, "wait", age_us / 1e6, tasks)

    def committed(self, job: Job, drafted: Draft, *, now: float, now_ms: int) -> None:
        """A commit was accepted.

        Args:
            now: monotonic clock, seconds.
            now_ms: server time.
        """
        slot, name = self.slot, job.view.name
        slot.event("frames")
        for outcome in OUTCOMES:
            if tasks := getattr(drafted, outcome):
                slot.count(name, outcome, tasks)
        executed = drafted.done + drafted.retried + drafted.dead
        if executed:
            run = job.drafted_at - job.started
            self.run.record(max(0, int(run * 1e9)), executed)
            slot.observe(name, "run", run, executed)
            slot.observe(name, "commit", now - job.drafted_at, executed)
            slot.observe(name, "total", now_ms / 1000 - job.view.created_at / 1e6, executed)

    def fenced(self, drafted: Draft) -> None:
        """A commit was refused: another worker was first."""
        self.slot.event("fenced")
        self.slot.event("duplicated", drafted.done + drafted.retried + drafted.dead)

    def moved(self, traffic: Iterable[Traffic]) -> None:
        """So much has gone over the worker's connections by now."""
        now = list(traffic)
        total = Traffic(sum(t.requests for t in now), sum(t.round_trips for t in now), sum(t.seconds for t in now))
        before, self._traffic = self._traffic, total
        self.slot.event("requests", total.requests - before.requests)
        self.slot.event("round_trips", total.round_trips - before.round_trips)
        self.slot.event("round_trip_us", int(total.seconds * 1e6) - int(before.seconds * 1e6))

    def deferred(self, name: str, tasks: int) -> None:
        """No handler here knows these."""
        self.slot.count(name, "deferred", tasks)
