"""What the flight recorder keeps, and how long."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from ttp.coordination.commands import Command, Entry
from ttp.coordination.keys import Keys
from ttp.errors import Reject, ServerUnavailable
from ttp.native import FrameView, Slice, encode_frame, encode_row
from ttp.policy import Clock, RetryPolicy
from ttp.worker.draft import draft
from ttp.worker.flight import SAMPLED, WAITING, FlightRecorder, Leg
from ttp.worker.handler import Handler
from ttp.worker.job import Job

NOW_MS = 1_700_000_000_000


def job_of(fid: int, fails: frozenset[int] = frozenset(), index: Sequence[int] | None = None) -> Job:
    """A job of ten tasks that has run; some were refused for good."""
    frame = encode_frame(
        [encode_row([n]) for n in range(10)],
        name="t", queue="q", fid=fid, producer=bytes(12), created_at=NOW_MS * 1000,
        origin=0 if index is None else 7, index=index,
    )  # fmt: skip

    def function(n: int) -> None:
        if n in fails:
            raise Reject("no")

    handler = Handler("t", "q", function, "sync", RetryPolicy(), None, 0.0)
    job = Job(
        Entry("s", "1-7", 10, frame),
        FrameView(frame),
        handler,
        Keys("a", "q"),
        clock=Clock(),
        rng=Random(1),
        state=None,
    )
    job.started = job.read_at + 0.25
    (part,) = job.cut_into(10)

    def failed(row: int, error: BaseException, part: Slice = part) -> int:
        return job.failed(part, row, error)

    part.run(function, failed)
    job.drafted_at = job.started + 0.5
    return job


def recorded(recorder: FlightRecorder) -> list[Leg]:
    sent: list[Leg] = []

    def send(batch: Sequence[Command]) -> None:
        sent.extend(Leg.from_bytes(command[-1]) for command in batch)  # type: ignore[arg-type]

    recorder.flush(send)
    return sent


def commit(recorder: FlightRecorder, job: Job, after_ms: int) -> None:
    drafted = draft(job, now_ms=NOW_MS)
    recorder.committed(job, drafted, now=job.read_at + 0.8, now_ms=NOW_MS + after_ms)


@pytest.mark.parametrize(
    ("fid", "fails", "after_ms", "kept"),
    [
        (7, frozenset(), 900, False),
        (7, frozenset(), 1100, True),
        (7, frozenset({3}), 900, True),
        (7 * SAMPLED, frozenset(), 900, True),
    ],
)
def test_failed_slow_and_sampled_frames_are_kept(fid: int, fails: frozenset[int], after_ms: int, kept: bool) -> None:
    recorder = FlightRecorder("w")
    commit(recorder, job_of(fid, fails), after_ms)
    assert len(recorded(recorder)) == kept


def test_a_leg_has_the_times_and_outcomes() -> None:
    recorder = FlightRecorder("w")
    commit(recorder, job_of(7, frozenset({3, 4})), 900)
    (leg,) = recorded(recorder)
    assert (leg.origin, leg.task, leg.attempt, leg.worker) == (7, "t", 1, "w")
    times = (leg.submitted_ms, leg.read_ms, leg.started_ms, leg.finished_ms, leg.committed_ms)
    assert [at - NOW_MS for at in times] == [0, 100, 350, 850, 900]
    assert leg.outcomes == {"done": [[0, 3], [5, 10]], "dead": [[3, 5]]}
    assert [leg.outcome(n) for n in (2, 3, 4, 5, 9, 10)] == ["done", "dead", "dead", "done", "done", None]


def test_a_leg_of_a_derived_frame_has_the_indices_of_its_origin() -> None:
    recorder = FlightRecorder("w")
    commit(recorder, job_of(8, frozenset({3, 4}), index=[10, 11, 12, 20, 22, 23, 40, 41, 43, 44]), 2000)
    (leg,) = recorded(recorder)
    assert leg.origin == 7
    assert leg.outcomes == {"done": [[10, 13], [23, 24], [40, 42], [43, 45]], "dead": [[20, 21], [22, 23]]}


def test_what_cannot_be_sent_waits_and_is_bounded() -> None:
    recorder = FlightRecorder("w")
    for fid in range(1, WAITING + 11):
        commit(recorder, job_of(fid, frozenset({0})), 0)

    def fail(_: Any) -> None:
        raise ServerUnavailable("gone")

    with pytest.raises(ServerUnavailable):
        recorder.flush(fail)
    assert [leg.origin for leg in recorded(recorder)] == list(range(11, WAITING + 11)), "the oldest made room"
    assert recorded(recorder) == []
