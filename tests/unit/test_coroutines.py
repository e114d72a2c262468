"""Rows as coroutines: who waits for whom, and what each sees of the others."""

import asyncio
import contextvars
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from failing_first import failing_first
from ttp.coordination.commands import Entry
from ttp.coordination.keys import Keys
from ttp.native import FrameView, encode_frame, encode_row, scope, unpack
from ttp.policy import Clock, RetryPolicy
from ttp.worker.coroutines import AsyncRunner
from ttp.worker.draft import Draft, draft
from ttp.worker.handler import Handler
from ttp.worker.job import Job

PATIENCE = 60.0
SEVERAL_TURNS = 200  # rows: more than one asyncio task runs


class Runner:
    """A runner, and the jobs that have ended."""

    def __init__(self, concurrency: int) -> None:
        self.runner = AsyncRunner(concurrency)
        self.runner.ended = self._ended
        self._over: dict[int, threading.Event] = {}

    def start(
        self, count: int, function: Callable[..., Any], timeout: float | None = None, *, stopped: bool = False
    ) -> Job:
        """Begin a job of numbered tasks, or one that was stopped before it began."""
        rows = [encode_row([n]) for n in range(count)]
        view = FrameView(encode_frame(rows, name="t", queue="q", fid=7, producer=bytes(12), flags=1))
        handler = Handler("t", "q", function, "async", RetryPolicy(max_attempts=1), timeout, 60.0)
        entry = Entry("s", "1-7", count, view.data, 1)
        job = Job(entry, view, handler, Keys("a", "q"), clock=Clock(), rng=Random(1), state=None)
        if stopped:
            job.stop()
        self._over[id(job)] = threading.Event()
        self.runner.start(job)
        return job

    def end(self, job: Job) -> Draft:
        """What became of a job, when all its rows have ended."""
        assert self._over[id(job)].wait(PATIENCE)
        return draft(job, now_ms=0)

    def in_loop(self, function: Callable[[], object]) -> None:
        """Call something in the loop, after all that has been handed to it before."""

        async def call() -> None:
            function()

        self.runner.run(call())

    def _ended(self, job: Job) -> None:
        self._over[id(job)].set()


@pytest.fixture
def runner() -> Iterator[Runner]:
    """At most four tasks at a time."""
    runner = Runner(4)
    yield runner
    runner.runner.close()


def test_what_waits_for_its_turn_has_not_started(runner: Runner) -> None:
    go_on = asyncio.Event()
    begun = threading.Semaphore(0)

    async def wait(n: int) -> None:
        begun.release()
        await go_on.wait()

    first, second = runner.start(4, wait), runner.start(4, wait)
    for _ in range(4):
        assert begun.acquire(timeout=PATIENCE)
    runner.in_loop(lambda: None)
    assert first.started
    assert not second.started
    runner.in_loop(go_on.set)
    assert runner.end(first).done == runner.end(second).done == 4
    assert second.started


@pytest.mark.parametrize("waiting", [{0}, {3}, {0, 1, 150}, set(range(SEVERAL_TURNS))])
def test_no_row_waits_for_another_and_no_more_run_than_may(runner: Runner, waiting: set[int]) -> None:
    go_on = asyncio.Event()
    running, most, ran = 0, 0, []
    others = threading.Event()

    async def handler(n: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if n in waiting:
            await go_on.wait()
        running -= 1
        ran.append(n)
        if len(ran) == SEVERAL_TURNS - len(waiting):
            others.set()

    job = runner.start(SEVERAL_TURNS, handler)
    if len(waiting) < 4:
        assert others.wait(PATIENCE)  # while some wait
        assert not waiting & set(ran)
    runner.in_loop(go_on.set)
    assert runner.end(job).done == SEVERAL_TURNS
    assert Counter(ran) == Counter(range(SEVERAL_TURNS))
    assert most <= 4


def test_each_row_has_its_own_context(runner: Runner) -> None:
    name = contextvars.ContextVar("name", default="nobody")
    before: list[str] = []
    after: list[bool] = []

    async def handler(n: int) -> None:
        before.append(name.get())
        name.set(f"row {n}")
        if n % 3 == 0:
            await asyncio.sleep(0)
        part = scope.get()
        after.append(name.get() == f"row {n}" and part is not None and part.running == n)

    job = runner.start(SEVERAL_TURNS, handler)
    assert runner.end(job).done == SEVERAL_TURNS
    assert before == ["nobody"] * SEVERAL_TURNS
    assert after == [True] * SEVERAL_TURNS


def test_a_row_that_cancels_itself_harms_no_other(runner: Runner) -> None:
    async def handler(n: int) -> None:
        if n == 0:
            current = asyncio.current_task()
            assert current is not None
            current.cancel()
        else:
            async with asyncio.timeout(PATIENCE):
                await asyncio.sleep(0)

    assert runner.end(runner.start(3, handler)).done == 3


def test_time_is_up_for_those_that_wait(runner: Runner) -> None:
    async def handler(n: int) -> None:
        if n == 1:
            await asyncio.Event().wait()
        elif n == 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ValueError("in its own words") from None

    drafted = runner.end(runner.start(4, handler, timeout=0.01))
    assert drafted.done == 2
    records = [record for placement in drafted.placements for record in unpack(placement.errors)]
    assert sorted((indices, error_type) for indices, error_type, *_ in records) == [
        ([1], "TaskTimeout"),
        ([2], "ValueError"),
    ]


def test_what_runs_and_what_waits_goes_back_when_grace_is_over(runner: Runner) -> None:
    begun = threading.Semaphore(0)

    async def wait(n: int) -> None:
        begun.release()
        await asyncio.Event().wait()

    job = runner.start(10, wait)
    for _ in range(4):
        assert begun.acquire(timeout=PATIENCE)
    job.stop()
    runner.runner.give_back()
    drafted = runner.end(job)
    assert [(placement.kind, placement.tasks) for placement in drafted.placements] == [("ready", 10)]


@pytest.mark.parametrize("stopped", [False, True], ids=["after a row", "with no row to run"])
def test_what_fails_beside_the_handlers_is_noted_and_the_loop_goes_on(runner: Runner, stopped: bool) -> None:
    failure = RuntimeError("no handler's")

    def ended(_: Job) -> None:
        raise failure

    async def handler(n: int) -> None: ...

    runner.runner.ended = ended
    runner.start(1, handler, stopped=stopped)
    runner.in_loop(lambda: None)  # all that the job is has happened before
    assert runner.runner.vital.failure is failure


def test_a_row_that_waits_is_not_to_blame_for_what_fails_then(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = asyncio.Event()
    begins = runner.runner._begin

    async def wait(n: int) -> None:
        monkeypatch.setattr(runner.runner, "_begin", failing_first(begins))
        await go_on.wait()

    job = runner.start(2, wait)
    runner.in_loop(lambda: None)
    assert job.failures == {}
    with pytest.raises(MemoryError):
        runner.runner.vital.check()
    runner.in_loop(go_on.set)


@pytest.mark.timeout(20)
def test_a_callback_that_ends_the_loop_is_noted_and_the_loop_goes_on(runner: Runner) -> None:
    runner.runner.loop.call_soon_threadsafe(sys.exit, "from within")
    runner.in_loop(lambda: None)
    with pytest.raises(SystemExit, match="from within"):
        runner.runner.vital.check()


@pytest.mark.parametrize("error", [MemoryError, ValueError])
def test_only_what_asyncio_may_have_forgotten_ends_the_worker(runner: Runner, error: type[Exception]) -> None:
    def fails() -> None:
        raise error

    runner.runner.loop.call_soon_threadsafe(fails)
    runner.in_loop(lambda: None)
    assert type(runner.runner.vital.failure) is (error if error is MemoryError else type(None))


def test_what_fails_in_a_task_of_the_handlers_own_is_not_noted(
    runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails() -> None:
        raise MemoryError

    runner.in_loop(lambda: asyncio.ensure_future(fails()))
    runner.in_loop(lambda: None)
    assert "never retrieved" in caplog.text
    assert runner.runner.vital.failure is None
