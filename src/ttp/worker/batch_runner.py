"""Calls of batch handlers, and what becomes of the rows when one fails."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import CoroutineType

from ttp.errors import CircuitOpen, RetryAfter, TaskTimeout
from ttp.native import DONE, Slice, scope
from ttp.native.unawaited import refuse
from ttp.worker.batch import Batch, Span
from ttp.worker.guard import Guard
from ttp.worker.job import Job

MAX_CALLS = 256  # to find the bad rows of one batch: where everything fails, halving would call once a row


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one frame, with others' or by themselves the events of a call."""

    job: Job
    part: Slice
    guard: Guard | None
    rows: range

    @property
    def there(self) -> bool:
        """Whether the rows are still to be run here; else they went back to the queue."""
        return self.rows.start == self.part.next and self.rows.stop <= self.part.stop and not self.part.halted


def run_batch(job: Job, part: Slice, guard: Guard | None) -> None:
    """The next batch of a slice."""
    first, stop = part.next, min(part.stop, part.next + job.handler.max_events)
    if job.cancelled:
        gone = (row for row in range(first + 1, stop) if job.view.index(row) in job.cancelled)
        stop = next(gone, stop)
    _run([Piece(job, part, guard, range(first, stop))])


def run_joined(pieces: Sequence[Piece]) -> None:
    """One batch of whole frames of one task."""
    _run(pieces)


def _run(pieces: Sequence[Piece]) -> None:
    """Call the handler. Where it raises, the halves are tried, down to the rows at fault."""
    todo, calls = [pieces], 0
    while todo:
        call = [piece for piece in todo.pop() if piece.there]
        if not call:
            continue
        calls += 1
        for piece in call:
            piece.part.begin(piece.rows.start)
        job, lead = call[0].job, call[0].part
        batch = Batch(job.handler.row, [Span(each.job.view, each.rows, each.job.task_id) for each in call])
        before = lead.weight
        token = scope.set(lead)
        try:
            returned = job.handler.function(batch)
            if type(returned) is CoroutineType:
                refuse(returned)
        except BaseException as error:
            if len(batch) > 1 and calls < MAX_CALLS and _may_be_one_rows(error):
                _withdraw(call)
                first, second = _halves(call, len(batch) // 2)
                todo += [second, first]
            else:
                _fail_all(call, error)
        else:
            if len(call) > 1 and lead.weight != before:
                # What is submitted commits with one frame: it must come of that frame's events alone.
                _withdraw(call)
                assert job.handler.joining is not None
                job.handler.joining.submits = True
                todo += [[piece] for piece in reversed(call)]
            else:
                _finish_all(call, batch.failed)
        finally:
            scope.reset(token)


def _may_be_one_rows(error: BaseException) -> bool:
    """Whether other rows may fare better without the one at fault."""
    return isinstance(error, Exception) and not isinstance(error, (CircuitOpen, RetryAfter, TaskTimeout))


def _withdraw(call: Sequence[Piece]) -> None:
    for piece in call:
        piece.part.withdraw()


def _halves(call: Sequence[Piece], middle: int) -> tuple[list[Piece], list[Piece]]:
    """The pieces of the first so many events, and of the others."""
    first: list[Piece] = []
    second: list[Piece] = []
    at = 0
    for piece in call:
        cut = min(max(middle - at, 0), len(piece.rows))
        at += len(piece.rows)
        for half, rows in ((first, piece.rows[:cut]), (second, piece.rows[cut:])):
            if rows:
                half.append(Piece(piece.job, piece.part, piece.guard, rows))
    return first, second


def _fail_all(call: Sequence[Piece], error: BaseException) -> None:
    for piece in call:
        for row in piece.rows:
            if row > piece.rows.start and row >= piece.part.stop:
                break
            _begin(piece, row)
            piece.part.finish(row, piece.job.failed(piece.part, row, error))
        if piece.guard is not None:
            piece.guard.note(piece.rows.stop, len(piece.rows), error)
            piece.guard.ended()


def _finish_all(call: Sequence[Piece], failed: dict[int, Exception]) -> None:
    """End a call that returned: what it submitted stays, whichever rows it said have failed."""
    at = 0
    for piece in call:
        rows = range(at, at := at + len(piece.rows))
        _finish(piece, {position - rows.start: error for position, error in failed.items() if position in rows})
        if piece.guard is not None:
            piece.guard.ended()


def _finish(piece: Piece, failed: dict[int, Exception]) -> None:
    job, part, rows = piece.job, piece.part, piece.rows
    at = rows.start
    for position in [*sorted(failed), len(rows)]:
        row = rows.start + position
        if at < row:
            _begin(piece, at)
            part.finish_rows(row, DONE)
        if row >= min(part.stop, rows.stop):
            return
        _begin(piece, row)
        part.finish_rows(row + 1, job.failed(part, row, failed[position]), keep=True)
        at = row + 1


def _begin(piece: Piece, row: int) -> None:
    """Begin a row, unless it is the piece's first, which stands for all while the handler runs."""
    if row > piece.rows.start:
        piece.part.begin(row)
