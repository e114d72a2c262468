"""A task's circuit breaker, per frame: what may run, what ran well, and what is put off."""

import time
from collections.abc import Iterable, Mapping

from ttp.coordination.keys import Keys
from ttp.errors import CircuitOpen
from ttp.native import Slice
from ttp.policy import CircuitBreaker
from ttp.worker.handler import Handler
from ttp.worker.job import Job


def gates(handlers: Mapping[str, Handler], queues: Iterable[Keys]) -> dict[Keys, CircuitBreaker]:
    """Queues all whose tasks call one dependency, with its breaker: while it is open they are not read."""
    out = {}
    for keys in queues:
        breakers = {handler.breaker for handler in handlers.values() if handler.queue == keys.queue}
        if len(breakers) == 1 and (breaker := breakers.pop()) is not None:
            out[keys] = breaker
    return out


def admit(job: Job) -> bool:
    """Let the job's breaker decide how many rows run now; the others are put off. False where none runs."""
    breaker = job.handler.breaker
    if breaker is None:
        return True
    job.admitted = breaker.admit(len(job.view))
    if job.admitted < len(job.view):
        job.put_off(breaker.retry_after())
    return job.admitted > 0


class Guard:
    """Counts the calls of one slice. Not for the hot path of tasks without a breaker.

    A call's time is the mean of its run: single calls are not timed. Slow ones are seen all the same, since frames of
    slow tasks are split until they hold few. A batch is one call, which counts for all its rows.
    """

    def __init__(self, breaker: CircuitBreaker, job: Job, part: Slice) -> None:
        self._breaker = breaker
        self._job = job
        self._part = part
        self._epoch = breaker.epoch
        self._counted = part.next
        self._since = time.monotonic()

    def failed(self, row: int, error: BaseException) -> int:
        """A row raised: as `Job.failed`, counted."""
        outcome = self._job.failed(self._part, row, error)
        self.note(row + 1, 1, error)
        return outcome

    def note(self, upto: int, rows: int, error: BaseException) -> None:
        """All rows before upto have ended, the last ones with this error."""
        if isinstance(error, CircuitOpen):
            self._counted = upto  # it made no call
        else:
            self._record(upto, rows if self._breaker.failure(error) else 0)
        if self._breaker.state == "open":
            self._job.put_off(self._breaker.retry_after())

    def ended(self) -> None:
        """The run, or one call of a batch handler, has ended."""
        self._record(self._part.next, 0)

    def _record(self, upto: int, failures: int) -> None:
        calls = upto - self._counted
        if calls <= 0:
            return
        now = time.monotonic()
        parts = 1 if self._job.handler.kind == "batch" else calls
        slow = calls if (now - self._since) / parts > self._breaker.slow_after else 0
        self._counted, self._since = upto, now
        self._breaker.record(calls, failures=failures, slow=slow, epoch=self._epoch)
