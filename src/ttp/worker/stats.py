"""What a worker counts: per frame, never per task."""

import time

from ttp.native import Histogram
from ttp.worker.draft import Draft


class Stats:
    """Counters of one worker process; nanosecond histograms weighted by tasks.

    Attributes:
        wait: from the opening of the origin frame to the start of the run.
        run: of the frame's handlers.
    """

    def __init__(self) -> None:
        self.started_at = time.time()
        self.frames = 0
        self.done = 0
        self.retried = 0
        self.dead = 0
        self.cancelled = 0
        self.deferred = 0
        self.fenced = 0
        self.corrupt = 0
        self.splits = 0
        self.reclaimed = 0
        self.wait = Histogram()
        self.run = Histogram()

    def count(self, drafted: Draft) -> None:
        """A commit was accepted."""
        self.frames += 1
        self.done += drafted.done
        self.retried += drafted.retried
        self.dead += drafted.dead
        self.cancelled += drafted.cancelled
        self.deferred += drafted.deferred

    @property
    def executed(self) -> int:
        """Tasks that came to an end here, well or not."""
        return self.done + self.retried + self.dead
