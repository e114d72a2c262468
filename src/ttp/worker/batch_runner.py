"""Calls of batch handlers, and what becomes of the rows when one fails."""

from ttp.errors import CircuitOpen, RetryAfter, TaskTimeout
from ttp.native import DONE, Slice, scope
from ttp.worker.batch import Batch
from ttp.worker.guard import Guard
from ttp.worker.job import Job

MAX_CALLS = 256  # to find the bad rows of one batch: where everything fails, halving would call once a row


def run_batch(job: Job, part: Slice, guard: Guard | None) -> None:
    """The next batch of a slice. Where the handler raises, its halves are tried, down to the rows at fault."""
    first, stop = part.next, min(part.stop, part.next + job.handler.max_events)
    if job.cancelled:
        gone = (row for row in range(first + 1, stop) if job.view.index(row) in job.cancelled)
        stop = next(gone, stop)
    token = scope.set(part)
    try:
        ranges, calls = [range(first, stop)], 0
        while ranges and not part.halted:
            rows = ranges.pop()
            if rows.start != part.next or rows.stop > part.stop:
                return  # the rest went back to the queue meanwhile
            part.begin(rows.start)
            batch = Batch(job.handler.row, job.view, rows, job.task_id)
            calls += 1
            try:
                job.handler.function(batch)
            except BaseException as error:
                if len(rows) > 1 and calls < MAX_CALLS and _may_be_one_rows(error):
                    part.withdraw()
                    middle = (rows.start + rows.stop) // 2
                    ranges += [range(middle, rows.stop), range(rows.start, middle)]
                    continue
                _fail_all(job, part, rows, error)
                if guard is not None:
                    guard.note(rows.stop, len(rows), error)
            else:
                _finish(job, part, rows, batch.failed)
            if guard is not None:
                guard.ended()
    finally:
        scope.reset(token)


def _may_be_one_rows(error: BaseException) -> bool:
    """Whether other rows may fare better without the one at fault."""
    return isinstance(error, Exception) and not isinstance(error, (CircuitOpen, RetryAfter, TaskTimeout))


def _fail_all(job: Job, part: Slice, rows: range, error: BaseException) -> None:
    for row in rows:
        if row > rows.start and row >= part.stop:
            return
        _begin(part, row, rows)
        part.finish(row, job.failed(part, row, error))


def _finish(job: Job, part: Slice, rows: range, failed: dict[int, Exception]) -> None:
    """End a batch whose handler returned: what it submitted stays, whichever rows it said have failed."""
    at = rows.start
    for position in [*sorted(failed), len(rows)]:
        row = rows.start + position
        if at < row:
            _begin(part, at, rows)
            part.finish_rows(row, DONE)
        if row >= min(part.stop, rows.stop):
            return
        _begin(part, row, rows)
        part.finish_rows(row + 1, job.failed(part, row, failed[position]), keep=True)
        at = row + 1


def _begin(part: Slice, row: int, rows: range) -> None:
    """Begin a row, unless it is the batch's first, which stands for all while the handler runs."""
    if row > rows.start:
        part.begin(row)
