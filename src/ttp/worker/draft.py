"""What a commit says: a frame is replaced by what its tasks became. No I/O."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ttp.coordination import commands
from ttp.coordination.commands import Placement, Results
from ttp.native import BACK, CANCELLED, DEAD, DONE, RETRY, FrameWriter, pack
from ttp.worker.job import Failure, Job

MARKER_TTL_MS = 24 * 3600 * 1000
RETRY_GROUPS = 32  # frames that one commit's retries are spread over, at most
PIECES = 64  # ready frames that a split makes, at most
RECORDS = 48  # error records of a dead entry: what a value's 128 KiB can surely hold
BREAKER_DEFERRALS = 12  # counted at most, so that a task no worker knows is still looked for (`Inbox`)
TRACED = 16  # distinct failures of a commit that keep their traceback


def new_fid() -> int:
    """A random frame id; never 0."""
    return secrets.randbits(64) or 1


@dataclass(slots=True)
class Draft:
    """A commit in the making.

    Attributes:
        failed: rows that are tried again or dead.
        ended: (first row, outcomes of it and of those behind it) of each slice.
        held: rows that stay in hand, under a new entry whose fid is held_fid.
        held_size: bytes of that entry's frame.
    """

    placements: list[Placement] = field(default_factory=list)
    blocks: bytes = b""
    done: int = 0
    retried: int = 0
    dead: int = 0
    cancelled: int = 0
    deferred: int = 0
    cancels: list[str] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    ended: list[tuple[int, bytes]] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    held_fid: int = 0
    held_size: int = 0
    children: list[FrameWriter] = field(default_factory=list)


def draft(
    job: Job,
    *,
    now_ms: int,
    running: Literal["held", "ready"] = "held",
    unstarted: Literal["held", "ready"] = "ready",
    piece: int | None = None,
    fid: Callable[[], int] = new_fid,
) -> Draft:
    """Settle a job's slices and place what they came to.

    Args:
        now_ms: server time.
        running: running rows stay in hand, or go back to the queue (their end will then be refused).
        unstarted: unstarted rows stay in hand, or go back.
        piece: most rows of a frame that goes back; None: all in one.
    """
    out = Draft()
    retries: list[int] = []
    dead: list[int] = []
    back: list[int] = []
    blocks = []
    with job.cutting:
        for part in job.slices:
            stop = part.stop
            first, outcomes, block, children, is_running = part.settle(cut=unstarted == "ready")
            blocks.append(block)
            if outcomes:
                out.ended.append((first, outcomes))
            out.children += children
            if (done := outcomes.count(DONE)) != len(outcomes):
                retries += _where(outcomes, RETRY, first)
                dead += _where(outcomes, DEAD, first)
                back += _where(outcomes, BACK, first)
                gone = _where(outcomes, CANCELLED, first)
                out.cancelled += len(gone)
                out.cancels += [f"{job.view.origin:016x}.{job.view.index(row)}" for row in gone]
            out.done += done
            row = first + len(outcomes)
            if is_running:
                (out.held if running == "held" else back).append(row)
            (out.held if unstarted == "held" else back).extend(range(row + is_running, stop))
        job.slices = [part for part in job.slices if part.start < part.stop]
    out.blocks = b"".join(blocks)
    out.retried = len(retries)
    out.dead = len(dead)
    out.failed = [*dead, *retries]
    _place_retries(job, out, retries, fid)
    _place_dead(job, out, dead, now_ms, fid)
    if job.deferral is not None and back:
        out.deferred = len(back)
        out.placements.append(_deferred(job, sorted(back), now_ms, fid()))
    else:
        _place_back(job, out, sorted(back), piece, fid)
    if out.held:
        out.held_fid = fid()
        out.held.sort()
        out.placements.append(_derived(job, "held", out.held, out.held_fid))
        out.held_size = len(out.placements[-1].frame) + job.keys.overhead
    for frame in out.children:
        out.placements.append(_child(frame, now_ms))
    for row in (*retries, *dead):
        job.failures.pop(row, None)
    return out


def command(job: Job, drafted: Draft, *, consumer: str, offset_ms: int) -> commands.Command:
    """The commit that replaces the job's entry.

    Raises:
        RuntimeError: the draft does not say of every task of the entry what became of it. Better run them
            once more, elsewhere, than lose one.
    """
    said = drafted.done + drafted.dead + drafted.cancelled
    said += sum(placement.tasks for placement in drafted.placements if placement.kind != "dead" and not placement.new)
    if said != job.tasks:
        raise RuntimeError(f"draft of frame {job.id} says what became of {said} tasks, not of {job.tasks}")
    results = None
    if drafted.blocks:
        ttl_ms = round(job.handler.result_ttl * 1000)
        results = Results(job.view.origin, job.view.producer, ttl_ms, drafted.blocks) if ttl_ms else None
    return commands.commit(
        job.keys,
        source=job.source,
        entry_id=job.id,
        consumer=consumer,
        tasks=job.tasks,
        size=job.size,
        placements=drafted.placements,
        results=results,
        done=drafted.done,
        retried=drafted.retried,
        dead=drafted.dead,
        cancelled=drafted.cancelled,
        served_cancels=drafted.cancels,
        offset_ms=offset_ms,
    )


def bury(error_type: str, reason: str, indices: Sequence[int], now_ms: int, traceback: str = "") -> list[object]:
    """One error record of a dead entry."""
    return [list(indices), error_type, reason, traceback, now_ms]


def _where(outcomes: bytes, outcome: int, first: int) -> list[int]:
    """The rows that have this outcome."""
    rows = []
    at = outcomes.find(outcome)
    while at >= 0:
        rows.append(first + at)
        at = outcomes.find(outcome, at + 1)
    return rows


def _derived(
    job: Job,
    kind: Literal["ready", "held", "delayed", "dead"],
    rows: Sequence[int],
    fid: int,
    *,
    attempt: int | None = None,
    deferrals: int | None = None,
    due_ms: int = 0,
    errors: bytes = b"",
) -> Placement:
    frame = job.view.derive(rows, fid=fid, attempt=attempt, deferrals=deferrals, crashes=min(job.crashes, 255))
    return Placement(
        kind=kind,
        frame=frame,
        fid=fid,
        tasks=len(rows),
        priority=job.view.priority,
        due_ms=due_ms,
        errors=errors,
    )


def _place_retries(job: Job, out: Draft, rows: Sequence[int], fid: Callable[[], int]) -> None:
    """Delayed frames; dues are rounded up to 10 ms, or coarser where that makes too many groups."""
    if not rows:
        return
    due_of = {row: job.failures[row].due_ms or 0 for row in sorted(rows)}
    spread = max(due_of.values()) - min(due_of.values())
    step = max(10, -(-spread // RETRY_GROUPS))
    groups: dict[int, list[int]] = {}
    for row, due in due_of.items():
        groups.setdefault(-(-due // step) * step, []).append(row)
    attempt = min(job.view.attempt + 1, 65_535)
    for due, members in groups.items():
        out.placements.append(_derived(job, "delayed", members, fid(), attempt=attempt, due_ms=due))


def _place_dead(job: Job, out: Draft, rows: Sequence[int], now_ms: int, fid: Callable[[], int]) -> None:
    """One dead frame, with a record for each distinct failure."""
    if not rows:
        return
    alike: dict[Failure, list[int]] = {}
    for row in rows:
        alike.setdefault(job.failures[row], []).append(job.view.index(row))
    records = [
        bury(why.error_type, why.reason, indices, now_ms, why.traceback if n < TRACED else "")
        for n, (why, indices) in enumerate(alike.items())
    ]
    for chunk, members in _chunks(records, job, rows):
        out.placements.append(_derived(job, "dead", members, fid(), errors=pack(chunk)))


def _chunks(records: list[list[object]], job: Job, rows: Sequence[int]) -> Iterable[tuple[list[object], list[int]]]:
    """Records in groups that one value can hold (128 KiB), each with its rows."""
    row_of = {job.view.index(row): row for row in rows}
    for start in range(0, len(records), RECORDS):
        chunk = records[start : start + RECORDS]
        yield list(chunk), sorted(row_of[index] for record in chunk for index in record[0])  # type: ignore[attr-defined]


def _place_back(job: Job, out: Draft, rows: Sequence[int], piece: int | None, fid: Callable[[], int]) -> None:
    """Ready frames of what was not run, attempt unchanged."""
    if not rows:
        return
    size = max(piece or len(rows), -(-len(rows) // PIECES))
    for start in range(0, len(rows), size):
        out.placements.append(_derived(job, "ready", rows[start : start + size], fid()))


def _deferred(job: Job, rows: Sequence[int], now_ms: int, fid: int) -> Placement:
    """A delayed frame of what a circuit breaker put off, attempt unchanged."""
    assert job.deferral is not None
    deferrals = max(job.view.deferrals, min(job.view.deferrals + 1, BREAKER_DEFERRALS))
    due_ms = now_ms + round(job.deferral * 1000)
    return _derived(job, "delayed", rows, fid, deferrals=deferrals, due_ms=due_ms)


def _child(frame: FrameWriter, now_ms: int) -> Placement:
    route = frame.route
    due_ms = round(route.at * 1000) if route.at else now_ms + round(route.delay * 1000) if route.delay else 0
    return Placement(
        kind="delayed" if due_ms else "ready",
        frame=frame.data(),
        fid=frame.fid,
        tasks=len(frame),
        priority=route.priority,
        due_ms=due_ms,
        retry=False,
        results_ttl_ms=MARKER_TTL_MS if route.results else 0,
        queue=route.queue,
        new=True,
    )
