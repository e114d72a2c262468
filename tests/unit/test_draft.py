"""What a commit says: every row ends in exactly one place."""

import threading
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttp.coordination.commands import Entry
from ttp.coordination.connection import Connection
from ttp.coordination.keys import Keys
from ttp.errors import Reject, RetryAfter, SerializationError, ServerUnavailable
from ttp.native import FrameView, encode_frame, encode_row, unpack
from ttp.policy import Clock, RetryPolicy
from ttp.worker.commits import Committer
from ttp.worker.draft import Draft, command, draft
from ttp.worker.handler import Handler
from ttp.worker.inbox import Inbox
from ttp.worker.job import Job
from ttp.worker.line import Line
from ttp.worker.scoreboard import Layout, Scoreboard
from ttp.worker.stats import Stats
from ttp.worker.vital import Vital

NOW = 1_700_000_000_000
POLICY = RetryPolicy(max_attempts=3, base_delay=10.0)


def frame_of(count: int, flags: int = 1, **options: int) -> bytes:
    """A frame of numbered tasks."""
    rows = [encode_row([n]) for n in range(count)]
    return encode_frame(rows, name="t", queue="q", fid=7, producer=bytes(12), flags=flags, **options)  # type: ignore[arg-type]


def job_of(count: int, retry: RetryPolicy = POLICY, deliveries: int = 1, **options: int) -> Job:
    """A job in hand."""
    view = FrameView(frame_of(count, **options))
    handler = Handler("t", "q", lambda n: None, "sync", retry, None, 60.0)
    entry = Entry("s", "1-7", count, view.data, deliveries)
    return Job(entry, view, handler, Keys("a", "q"), clock=Clock(), rng=Random(1), state=None)


def run(job: Job, fails: dict[int, BaseException], upto: int | None = None) -> None:
    """Run the job's slices; stop before a row."""
    for part in job.slices or job.cut_into(len(job.view)):

        def handler(n: int, part: object = part) -> int:
            if n + 1 == upto:
                part.halt()  # type: ignore[attr-defined]
            if n in fails:
                raise fails[n]
            return n

        part.run(handler, lambda row, error, part=part: job.failed(part, row, error))  # type: ignore[misc]


def placed(drafted: Draft) -> dict[str, list[int]]:
    """Kind of placement → task numbers."""
    out: dict[str, list[int]] = {}
    for placement in drafted.placements:
        view = FrameView(bytes(placement.frame))
        assert (placement.fid, placement.tasks, view.origin) == (view.fid, len(view), 7)
        numbers = [view.arguments(i)[0][0] for i in range(len(view))]
        assert [view.index(i) for i in range(len(view))] == numbers
        out.setdefault(placement.kind, []).extend(numbers)
    return out


@given(st.integers(1, 60), st.data())
def test_every_row_ends_in_one_place(count: int, data: st.DataObject) -> None:
    numbers = st.sets(st.integers(0, count - 1))
    cancelled, retried = data.draw(numbers), data.draw(numbers)
    rejected = data.draw(numbers) - retried
    upto = data.draw(st.integers(0, count))
    job = job_of(count)
    job.cancelled = cancelled
    fails: dict[int, BaseException] = dict.fromkeys(retried, ValueError("again"))
    fails |= dict.fromkeys(rejected, Reject("never"))
    job.cut_into(max(1, count // 3))
    if upto:
        run(job, fails, upto)
    begun = {n for part in job.slices for n in range(part.start, part.next)}
    unstarted = set(range(count)) - begun
    drafted = draft(job, now_ms=NOW, piece=4)
    where = placed(drafted)
    assert set(where.get("delayed", [])) == (retried & begun) - cancelled
    assert set(where.get("dead", [])) == (rejected & begun) - cancelled
    assert set(where.get("ready", [])) == unstarted
    assert (drafted.retried, drafted.dead, drafted.cancelled) == (
        len((retried & begun) - cancelled),
        len((rejected & begun) - cancelled),
        len(cancelled & begun),
    )
    assert drafted.done + drafted.retried + drafted.dead + drafted.cancelled + len(unstarted) == count
    assert sum(p.kind == "ready" for p in drafted.placements) <= 64
    assert drafted.cancels == [f"{7:016x}.{n}" for n in sorted(cancelled & begun)]
    assert draft(job, now_ms=NOW).placements == []


def test_attempts_crashes_and_dues() -> None:
    job = job_of(100, attempt=2, crashes=2)
    assert job.crashes == 2
    run(job, {n: RetryAfter(n / 10) for n in range(100)})
    drafted = draft(job, now_ms=NOW)
    assert 1 < len(drafted.placements) <= 33
    for placement in drafted.placements:
        view = FrameView(bytes(placement.frame))
        assert (view.attempt, view.crashes, placement.kind) == (3, 2, "delayed")
    dues = sorted(placement.due_ms for placement in drafted.placements)
    gaps = [later - earlier for earlier, later in pairwise(dues)]
    assert min(gaps) >= 10
    assert not [gap for gap in gaps if gap % min(gaps)]  # rounded to one step
    assert job.failures == {}


def test_close_dues_share_a_frame() -> None:
    job = job_of(50)
    run(job, dict.fromkeys(range(50), RetryAfter(1.0)))
    assert len(draft(job, now_ms=NOW).placements) <= 2


def test_the_last_attempt_is_dead_with_one_record_for_each_distinct_failure() -> None:
    job = job_of(10, attempt=3)
    run(job, {n: ValueError("odd" if n % 2 else "even") for n in range(10)})
    (placement,) = draft(job, now_ms=NOW).placements
    records = unpack(placement.errors)
    assert sorted((record[0], record[1], record[2]) for record in records) == [
        ([0, 2, 4, 6, 8], "ValueError", "even"),
        ([1, 3, 5, 7, 9], "ValueError", "odd"),
    ]
    assert all(record[4] == NOW and "ValueError" in record[3] for record in records)


def test_many_distinct_failures_fit() -> None:
    job = job_of(3000, attempt=3, flags=0)  # without results, which would make the run pause
    run(job, {n: ValueError("ü" * 600 + str(n)) for n in range(3000)})
    drafted = draft(job, now_ms=NOW)
    assert sorted(placed(drafted)["dead"]) == list(range(3000))
    assert all(len(p.errors) <= 131_072 for p in drafted.placements)
    assert sum(len(p.errors) + len(p.frame) for p in drafted.placements) < 4 << 20


def test_what_retries_cannot_mend_is_final() -> None:
    job = job_of(2)
    run(job, {0: SerializationError("result"), 1: Reject("no")})
    drafted = draft(job, now_ms=NOW)
    assert (drafted.dead, drafted.retried) == (2, 0)


def new_stats() -> Stats:
    return Stats(Scoreboard(Layout.of([], 1)).slot(0))


def inbox(stats: Stats) -> Inbox:
    """A worker's, that knows task t."""
    handler = Handler("t", "q", lambda n: None, "sync", POLICY, None, 60.0)
    return Inbox({"t": handler}, consumer="me", clock=Clock(), rng=Random(1), stats=stats, state=None)


KEYS = Keys("a", "q")


def opened(frame: bytes, deliveries: int = 1, tasks: int = 1, source: str = KEYS.stream(1)) -> Job | tuple[object, ...]:
    """What the inbox makes of an entry."""
    return inbox(new_stats()).open(Entry(source, "1-7", tasks, frame, deliveries), KEYS, NOW)


def test_frames_that_killed_workers() -> None:
    once = opened(frame_of(5), deliveries=2, tasks=5)
    assert isinstance(once, Job)
    assert once.crashes == 1
    twice = opened(frame_of(5, crashes=1), deliveries=2, tasks=5, source=KEYS.held)
    assert not isinstance(twice, Job)
    assert twice.count("ready") == 5
    for deliveries in (4, 9, 10):  # killed while it was taken apart: no reason to call them all poison
        again = opened(frame_of(5, crashes=1), deliveries=deliveries, tasks=5, source=KEYS.held)
        assert not isinstance(again, Job)
        assert again.count("ready") == 5
        assert again.count("dead") == 0
    alone = opened(frame_of(1, crashes=2))
    assert isinstance(alone, Job)
    poison = opened(frame_of(1, crashes=2), deliveries=2, source=KEYS.held)
    assert not isinstance(poison, Job)
    assert poison.count("dead") == 1


def test_a_frame_that_was_not_begun_is_not_charged_again() -> None:
    for deliveries in range(2, 10):
        waited = opened(frame_of(1, crashes=2), deliveries=deliveries)
        assert isinstance(waited, Job)
        assert waited.crashes == 2
    harm_before_it_runs = opened(frame_of(1), deliveries=10)
    assert not isinstance(harm_before_it_runs, Job)
    assert harm_before_it_runs.count("dead") == 1


def test_unknown_tasks_are_put_off_for_ten_minutes() -> None:
    stats, waited, deferrals = new_stats(), 0.0, 0
    rows = [encode_row([1])]
    while True:
        frame = encode_frame(rows, name="new", queue="q", fid=7, producer=bytes(12), deferrals=deferrals)
        say = inbox(stats).open(Entry("s", "1-7", 1, frame), Keys("a", "q"), NOW)
        assert not isinstance(say, Job)
        if "delayed" not in say:
            break
        due = next(a for a in say if isinstance(a, int) and a > NOW)
        waited += (due - NOW) / 1000
        (derived,) = [FrameView(bytes(a)) for a in say if isinstance(a, bytes) and a[:4] == b"TTPF"]
        assert (derived.deferrals, derived.attempt) == (deferrals + 1, 1)
        deferrals += 1
    assert "dead" in say
    assert 580 <= waited <= 620
    assert stats.slot.total("deferred") == deferrals


def test_corrupt_frames_are_buried_with_a_digest() -> None:
    say = opened(b"nonsense", tasks=3)
    assert not isinstance(say, Job)
    (errors,) = [a for a in say if isinstance(a, bytes) and b"CorruptFrame" in a]
    ((indices, error_type, reason, _, at),) = unpack(errors)
    assert (indices, error_type, at) == ([], "CorruptFrame", NOW)
    assert "8 bytes, sha256 " in reason


def test_a_frame_of_another_number_of_tasks_than_its_entry_says_is_corrupt() -> None:
    say = opened(frame_of(5), tasks=4)
    assert not isinstance(say, Job)
    assert say.count("dead") == 1


def test_a_draft_that_leaves_out_a_task_is_no_commit() -> None:
    job = job_of(5)
    run(job, {1: Reject("no"), 2: ValueError("again")})
    full, empty = draft(job, now_ms=NOW), draft(job, now_ms=NOW)
    assert command(job, full, consumer="me", offset_ms=0)
    with pytest.raises(RuntimeError, match="of 0 tasks, not of 5"):
        command(job, empty, consumer="me", offset_ms=0)


def test_a_job_whose_last_commit_is_drafted_is_not_split() -> None:
    class Silent:
        offset_us = 0

    committer = Committer(Silent(), "me", Clock(), new_stats(), lambda _: None)  # type: ignore[arg-type]
    job = job_of(3)
    run(job, {})
    _, say = committer.draft_end(job)
    assert say
    committer.replace(job)  # would ask the silent line, had it anything to say
    assert not job.over


def failing_line(error: Exception) -> Line:
    """Of a worker that ends: it tries once."""

    def open_connection(_: float) -> Connection:
        raise error

    closed = threading.Event()
    closed.set()
    return Line(open_connection, closed)


def test_a_job_that_is_given_back_in_vain_is_left_to_others() -> None:
    left: list[Job] = []
    line = failing_line(ServerUnavailable("gone"))
    committer, vital = Committer(line, "me", Clock(), new_stats(), left.append), Vital()
    jobs = [job_of(3), job_of(3)]
    for job in jobs:
        job.cut_into(1)
    committer.give_back(jobs, patience=0.1)
    assert left == jobs
    assert all(job.over and all(part.halted for part in job.slices) for job in jobs)
    committer.start(vital)
    committer.put(jobs[0])  # its handler has ended
    committer.close()
    vital.check()


@pytest.mark.parametrize("error", [MemoryError(), ServerUnavailable("gone")])
def test_a_commit_that_fails_lets_go_of_its_jobs(error: Exception) -> None:
    committer = Committer(failing_line(error), "me", Clock(), new_stats(), lambda _: None)
    jobs = [job_of(3), job_of(3)]
    for job in jobs:
        run(job, {})
        committer.put(job)
    committer.start(Vital())
    committer.close()
    assert not any(job.lock.locked() for job in jobs)
