"""Tasks that fail: retries, dead letters, refusals and timeouts, through a real server and a real worker."""

import asyncio
import threading
from random import Random

import pytest

import ttp
from ttp import testing


def test_failures_are_retried_then_dead_then_replayed(app: ttp.App) -> None:
    calls: list[int] = []
    healed = threading.Event()

    @app.task(retry=ttp.RetryPolicy(max_attempts=3, base_delay=0.0))
    def fragile(n: int) -> str:
        calls.append(ttp.current_task().attempt)
        if not healed.is_set():
            raise ValueError(f"no {n}")
        return "well"

    handle = fragile.submit(7)
    testing.drain(app)
    assert calls == [1, 2, 3]
    with pytest.raises(ttp.TaskFailed, match="ValueError: no 7") as caught:
        handle.result(5)
    assert "fragile" in caught.value.traceback
    assert handle.status() == "failed"
    (letter,) = app.dead_letters()
    assert (letter.id, letter.task, letter.args, letter.reason) == (handle.id, fragile.name, (7,), "ValueError: no 7")
    assert "ValueError" in letter.traceback
    healed.set()
    letter.retry()
    assert list(app.dead_letters()) == []
    with pytest.raises(ttp.TtpError, match="no longer dead"):
        letter.retry()
    testing.drain(app)
    assert handle.result(5) == "well"
    assert calls[-1] == 1


def test_one_of_many_dead_is_dropped(app: ttp.App) -> None:
    @app.task(retry=ttp.RetryPolicy(max_attempts=1))
    def bad(n: int) -> None:
        raise KeyError(n)

    bad.submit_many([(n,) for n in range(5)])
    testing.drain(app)
    letters = list(app.dead_letters())
    assert [letter.args for letter in letters] == [(n,) for n in range(5)]
    letters[3].drop()
    letters[0].drop()
    assert [letter.args for letter in app.dead_letters()] == [(1,), (2,), (4,)]
    assert {letter.reason for letter in app.dead_letters()} == {"KeyError: 1", "KeyError: 2", "KeyError: 4"}


@pytest.mark.parametrize("act", ["drop", "retry"])
def test_each_dead_letter_is_seen_once_while_some_are_taken_out(app: ttp.App, act: str) -> None:
    @app.task(retry=ttp.RetryPolicy(max_attempts=1))
    def bad(n: int) -> None:
        raise KeyError(n)

    for first in (0, 3):
        bad.submit_many([(n,) for n in range(first, first + 3)])
        testing.drain(app)
    seen = []
    for letter in app.dead_letters():
        seen.append(letter.args[0])
        if letter.args[0] in (0, 4):
            getattr(letter, act)()
    assert seen == [0, 1, 2, 3, 4, 5]
    assert sorted(letter.args[0] for letter in app.dead_letters()) == [1, 2, 3, 5]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Fickle(ttp.RetryPolicy):
    def delay(self, attempt: int, error: BaseException, rng: Random) -> float | None:
        raise OSError("no policy today")


@pytest.mark.parametrize("threads", [1, 2])
def test_what_cannot_be_evaluated_costs_the_task_and_not_the_worker(app: ttp.App, threads: int) -> None:
    @app.task(retry=ttp.RetryPolicy(max_attempts=1))
    def mute() -> None:
        raise Unspeakable

    @app.task(retry=Fickle())
    def fickle() -> None:
        raise ValueError("no")

    @app.task(retry=ttp.RetryPolicy(max_attempts=1))
    async def mute_async() -> None:
        raise Unspeakable

    handles = [mute.submit(), fickle.submit(), mute_async.submit()]
    testing.drain(app, threads=threads)
    reasons = [r"Unspeakable: \(its text cannot be had: RuntimeError\)", "ValueError: no"]
    for handle, reason in zip(handles, [*reasons, reasons[0]], strict=True):
        with pytest.raises(ttp.TaskFailed, match=reason):
            handle.result(10)


def test_reject_and_retry_after(app: ttp.App) -> None:
    attempts: list[int] = []

    @app.task
    def strict() -> None:
        raise ttp.Reject("not this one")

    @app.task(retry=ttp.RetryPolicy(max_attempts=2, base_delay=100.0))
    def later() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise ttp.RetryAfter(0.0)
        return "then"

    rejected, postponed = strict.submit(), later.submit()
    testing.drain(app)
    with pytest.raises(ttp.TaskFailed, match="not this one"):
        rejected.result(5)
    assert postponed.result(5) == "then"
    (letter,) = app.dead_letters()
    assert letter.reason == "Rejected: not this one"


def test_a_retry_waits_for_its_time(app: ttp.App) -> None:
    ran: list[int] = []
    failed = threading.Event()

    @app.task
    def later() -> str:
        ran.append(1)
        if len(ran) == 1:
            failed.set()
            raise ttp.RetryAfter(3600.0)
        return "late"

    with testing.worker(app) as worker:
        handle = later.submit()
        assert failed.wait(10)
        with pytest.raises(ttp.ResultTimeout):
            handle.result(0.05)
        assert handle.status() == "delayed"
        worker.advance(3601)
        assert handle.result(10) == "late"


def test_unknown_tasks_are_put_off_then_dead(app: ttp.App) -> None:
    @app.task
    def known() -> None: ...

    app.remote("unknown").emit(1)
    app.flush()
    with testing.worker(app) as worker:
        handle = known.submit()
        assert handle.result(10) is None
        for _ in range(200):
            worker.advance(31)
            assert known.submit().result(10) is None
            if letters := list(app.dead_letters()):
                break
    (letter,) = letters
    assert letter.reason == "UnknownTask: no worker knows 'unknown'"


def test_timeouts(app: ttp.App) -> None:
    forever = threading.Event()

    @app.task(timeout=0.1, retry=ttp.RetryPolicy(max_attempts=1))
    def spin() -> None:
        while not forever.is_set():
            pass

    @app.task(timeout=0.1, retry=ttp.RetryPolicy(max_attempts=1))
    async def wait() -> None:
        await asyncio.Event().wait()

    with testing.worker(app):
        for handle in (spin.submit(), wait.submit()):
            with pytest.raises(ttp.TaskFailed, match="TaskTimeout"):
                handle.result(10)
