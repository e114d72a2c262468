"""Frames of a batch task that wait to be handled in one call. Decisions only: nothing here does I/O or waits."""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ttp.columns.schema import TIMESTAMP, TIMESTAMP_UTC, fields_of
from ttp.policy import Clock

if TYPE_CHECKING:
    from ttp.worker.job import Job

FRAMES = 1024  # in one call, at most
SIZE = 67_108_864  # bytes of the frames in one call, at most


@dataclass(slots=True)
class Join:
    """Frames that will be handled in one call.

    Attributes:
        due: when it is called at the latest; monotonic seconds.
        growing: the last read brought more for it.
    """

    due: float
    jobs: "list[Job]" = field(default_factory=list)
    events: int = 0
    size: int = 0
    growing: bool = False


class Joiner:
    """The joins in the making.

    Args:
        patient: False in a burst, which waits for nothing that is not there yet.
    """

    def __init__(self, clock: Clock, *, patient: bool = True) -> None:
        self._clock = clock
        self._patient = patient
        self._joins: dict[Any, Join] = {}
        self._full: deque[list[Job]] = deque()

    def __len__(self) -> int:
        """Frames that wait."""
        return sum(len(join.jobs) for join in self._joins.values()) + sum(map(len, self._full))

    def add(self, job: "Job", age: float) -> bool:
        """Let a frame wait for others; False if it had better be run by itself.

        Args:
            age: seconds since its first event was sent, which count as waited.
        """
        handler, events, size = job.handler, len(job.view), len(job.view.data)
        joining = handler.joining
        # Who is asked not to run some rows, or died over the frame, is no concern of other frames.
        if joining is None or joining.submits or job.cancelled or job.crashes or events >= handler.max_events:
            return False
        key = (handler.name, job.keys, _columns(job))
        join = self._joins.get(key)
        if join is not None and (
            join.events + events > handler.max_events or join.size + size > SIZE or len(join.jobs) == FRAMES
        ):
            self._full.append(self._joins.pop(key).jobs)
            join = None
        due = self._clock.monotonic() + (joining.max_wait - max(age, 0.0) if self._patient else 0.0)
        if join is None:
            join = self._joins[key] = Join(due)
        join.due = min(join.due, due)
        join.jobs.append(job)
        join.events += events
        join.size += size
        join.growing = True
        if join.events == handler.max_events:
            self._full.append(self._joins.pop(key).jobs)
        return True

    def read(self) -> None:
        """A read goes out that may bring more."""
        for join in self._joins.values():
            join.growing = False

    def ready(self, *, idle: bool) -> bool:
        """Whether some frames are to be run now.

        Args:
            idle: nothing else is to be run: then a join that is due takes what each further read brings, until
                one brings nothing for it. So a backlog arrives in large batches.
        """
        return bool(self._full) or self._due(idle) is not None

    def take(self, *, idle: bool) -> "list[Job]":
        """The frames of the next call; none if none is to be made now."""
        if self._full:
            return self._full.popleft()
        key = self._due(idle)
        return [] if key is None else self._joins.pop(key).jobs

    def _due(self, idle: bool) -> Any:
        if not self._joins:  # as for most workers, each time
            return None
        now = self._clock.monotonic()
        due = (key for key, join in self._joins.items() if join.due <= now and not (join.growing and idle))
        return next(due, None)

    def take_all(self) -> "list[Job]":
        """All frames that wait."""
        jobs = [job for jobs in self._full for job in jobs]
        jobs += [job for join in self._joins.values() for job in join.jobs]
        self._full.clear()
        self._joins.clear()
        return jobs

    def wait(self, limit: float) -> float:
        """Seconds until the next join is due, at most `limit`; 0 where one is."""
        if not self._joins:
            return limit
        return max(0.0, min(limit, min(join.due for join in self._joins.values()) - self._clock.monotonic()))


def _columns(job: "Job") -> tuple[tuple[str, int], ...]:
    """Names and types of a frame's columns: a batch has one type for each."""
    if not job.view.columnar:
        return tuple((each.name, each.type) for each in fields_of(job.handler.row)) if job.handler.row else ()
    return tuple((name, TIMESTAMP if kind == TIMESTAMP_UTC else kind) for name, kind, *_ in job.view.columns())
