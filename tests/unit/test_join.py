"""Which frames are handled in one call and when; and what becomes of each frame's rows."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ttp
from ttp.coordination.commands import Entry
from ttp.coordination.keys import Keys
from ttp.errors import TaskTimeout
from ttp.native import DEAD, DONE, FrameView, encode_frame, encode_row
from ttp.policy import Clock, RetryPolicy
from ttp.worker.draft import draft
from ttp.worker.handler import Handler, Joining
from ttp.worker.job import Job
from ttp.worker.join import Joiner
from ttp.worker.runners import run_slices

KEYS = Keys("a", "q")


@dataclass
class Reading:
    n: int


def nothing(batch: ttp.Batch[Reading]) -> None: ...


def handler_of(function: Callable[[ttp.Batch[Reading]], None] = nothing, name: str = "t", **options: Any) -> Handler:
    """A batch task that is not tried again."""
    options = {"max_events": 10, "joining": Joining(2.0), **options}
    return Handler(name, "q", function, "batch", RetryPolicy(max_attempts=1), None, 60.0, row=Reading, **options)


def job_of(handler: Handler, first: int, count: int, deliveries: int = 1) -> Job:
    """A frame of numbers, counted from first, which is its origin too."""
    rows = [encode_row([n]) for n in range(first, first + count)]
    frame = encode_frame(rows, name=handler.name, queue="q", fid=first + 1, producer=bytes(12), flags=0)
    entry = Entry("s", f"1-{first}", count, frame, deliveries)
    return Job(entry, FrameView(frame), handler, KEYS, clock=Clock(), rng=Random(1), state=None)


@pytest.fixture
def clock() -> Clock:
    """One that stands still, but for its offset."""
    clock = Clock()
    clock.monotonic = lambda: clock.offset  # type: ignore[method-assign]
    return clock


def test_a_join_is_made_when_it_is_full_or_due(clock: Clock) -> None:
    handler, joiner = handler_of(), Joiner(clock)
    jobs = [job_of(handler, n * 10, 4) for n in range(3)]
    assert joiner.add(jobs[0], 0.5)
    assert (joiner.wait(60.0), joiner.ready(idle=True)) == (1.5, False)
    assert joiner.add(jobs[1], 0.0)
    assert joiner.wait(60.0) == 1.5  # of the oldest event
    assert joiner.add(jobs[2], 0.0)  # does not fit any more
    assert joiner.take(idle=True) == jobs[:2]
    assert joiner.take(idle=True) == []
    clock.offset = 2.0
    assert joiner.ready(idle=False)
    assert not joiner.ready(idle=True)  # the next read may bring more
    joiner.read()
    assert (joiner.wait(60.0), len(joiner)) == (0.0, 1)
    assert joiner.take(idle=True) == jobs[2:]
    assert (joiner.wait(60.0), len(joiner)) == (60.0, 0)


def test_a_burst_waits_for_nothing(clock: Clock) -> None:
    joiner = Joiner(clock, patient=False)
    job = job_of(handler_of(), 0, 1)
    assert joiner.add(job, 0.0)
    joiner.read()
    assert joiner.take(idle=True) == [job]


def test_what_is_not_joined(clock: Clock) -> None:
    joiner = Joiner(clock)
    cancelled = job_of(handler_of(), 0, 3)
    cancelled.cancelled = {1}
    assert not joiner.add(cancelled, 0.0)
    assert not joiner.add(job_of(handler_of(), 0, 3, deliveries=2), 0.0)  # a worker died over it
    assert not joiner.add(job_of(handler_of(), 0, 10), 0.0)  # full by itself
    assert not joiner.add(job_of(handler_of(joining=None), 0, 3), 0.0)
    assert not joiner.add(job_of(handler_of(joining=Joining(2.0, submits=True)), 0, 3), 0.0)
    one, other = handler_of(name="one"), handler_of(name="other")
    assert joiner.add(job_of(one, 0, 3), 0.0)
    assert joiner.add(job_of(other, 0, 3), 0.0)
    clock.offset = 2.0
    assert [len(joiner.take(idle=False)) for _ in range(3)] == [1, 1, 0]
    assert joiner.add(job_of(one, 0, 3), 0.0)
    assert len(joiner.take_all()) == 1
    assert joiner.take(idle=False) == []


@given(st.lists(st.tuples(st.integers(1, 12), st.floats(0.0, 3.0)), max_size=40), st.booleans())
def test_every_frame_is_in_one_call(frames: list[tuple[int, float]], patient: bool) -> None:
    clock, handler = Clock(), handler_of()
    now = 0.0
    clock.monotonic = lambda: now  # type: ignore[method-assign]
    joiner = Joiner(clock, patient=patient)
    came, called = [], []
    for number, (count, pause) in enumerate(frames):
        job = job_of(handler, number * 100, count)
        joined = joiner.add(job, 0.0)
        assert joined == (count < handler.max_events)
        came += [job] if joined else []
        now += pause
        joiner.read()
        while jobs := joiner.take(idle=True):
            assert sum(len(job.view) for job in jobs) <= handler.max_events
            called += jobs
    assert called + joiner.take_all() == came


def run(handler: Handler, *counts: int) -> list[Job]:
    """Frames of so many numbers, handled in one call."""
    jobs, first = [], 0
    for count in counts:
        jobs.append(job_of(handler, first, count))
        first += count
    run_slices([part for job in jobs for part in job.cut_into(len(job.view))], lambda _: None)
    return jobs


def outcomes(jobs: list[Job]) -> list[bytes]:
    """Each frame's, in order of its rows."""
    return [outcomes for job in jobs for _, outcomes in draft(job, now_ms=1).ended]


def test_failed_rows_are_those_of_their_frames() -> None:
    def store(batch: ttp.Batch[Reading]) -> None:
        assert [event.n for event in batch.rows()] == [event[0] for event in batch.tuples()] == list(range(9))
        assert [batch.task_id(row) for row in (0, 3, 8, -1)] == [
            f"q.0.{origin:016x}.{index}" for origin, index in ((1, 0), (4, 0), (5, 4), (5, 4))
        ]
        assert batch.ranges() == [(f"q.0.{1:016x}", 0, 2), (f"q.0.{4:016x}", 0, 0), (f"q.0.{5:016x}", 0, 4)]
        with pytest.raises(IndexError):
            batch.task_id(9)
        batch.fail([2, 3, 8], "no", retry=False)

    jobs = run(handler_of(store), 3, 1, 5)
    assert outcomes(jobs) == [bytes([DONE, DONE, DEAD]), bytes([DEAD]), bytes([DONE] * 4 + [DEAD])]


@given(st.lists(st.integers(1, 5), min_size=2, max_size=5), st.data())
def test_halving_finds_the_rows_at_fault(counts: list[int], data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.integers(0, sum(counts) - 1)))
    done: list[int] = []

    def store(batch: ttp.Batch[Reading]) -> None:
        numbers = [event.n for event in batch.rows()]
        if bad & set(numbers):
            raise ValueError(numbers)
        done.extend(numbers)

    jobs = run(handler_of(store), *counts)
    assert b"".join(outcomes(jobs)) == bytes(DEAD if n in bad else DONE for n in range(sum(counts)))
    assert sorted(done) == [n for n in range(sum(counts)) if n not in bad]


def test_an_error_of_the_whole_call_fails_all() -> None:
    calls: list[int] = []

    def store(batch: ttp.Batch[Reading]) -> None:
        calls.append(len(batch))
        raise TaskTimeout

    assert outcomes(run(handler_of(store), 2, 2)) == [bytes([DEAD] * 2)] * 2
    assert calls == [4]


def test_a_frame_that_goes_back_meanwhile_is_not_called_again() -> None:
    calls: list[list[int]] = []

    def store(batch: ttp.Batch[Reading]) -> None:
        calls.append([event.n for event in batch.rows()])
        if len(calls) == 1:
            jobs[0].stop()
            raise ValueError("half of it")

    jobs = [job_of(handler := handler_of(store), 0, 2), job_of(handler, 2, 2)]
    run_slices([part for job in jobs for part in job.cut_into(2)], lambda _: None)
    assert calls == [[0, 1, 2, 3], [2, 3]]
    given_back = draft(jobs[0], now_ms=1)
    assert [(placement.kind, placement.tasks) for placement in given_back.placements] == [("ready", 2)]
    assert draft(jobs[1], now_ms=1).done == 2
