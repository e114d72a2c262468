"""Frames joined into one batch, through a real server and real workers."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import ttp
from http_worker import until
from real_server import Server
from ttp import testing
from ttp.coordination import commands, inspection

HOUR = 3600.0


@dataclass
class Reading:
    n: int


Store = Callable[[ttp.Batch[Reading]], None]


@pytest.fixture
def app(any_server: Server) -> Iterator[ttp.App]:
    """Joining does not depend on the server's kind."""
    with ttp.App("plant", any_server.url) as app:
        yield app


def numbers(batch: ttp.Batch[Reading]) -> list[int]:
    """The events."""
    return [event.n for event in batch.rows()]


def held(worker: testing.TestWorker) -> int:
    """Frames that it has in hand."""
    assert worker.pool.worker is not None
    return worker.pool.worker._hand.held


def totals(app: ttp.App) -> inspection.Stats:
    """The queue's numbers."""
    connection = app.open_connection(5.0)
    try:
        return inspection.stats_reply(connection.call_many(inspection.stats(app.keys("default"))))
    finally:
        connection.close()


@pytest.mark.parametrize("threads", [1, 2])
def test_frames_are_joined_when_an_event_has_waited_long_enough(app: ttp.App, threads: int) -> None:
    calls: list[list[int]] = []

    @app.batch(Reading, max_events=100, max_wait=HOUR)
    def store(batch: ttp.Batch[Reading]) -> None:
        calls.append(numbers(batch))

    @app.task(priority="high")
    def other() -> str:
        return "not held up"

    with testing.worker(app, threads=threads) as worker:
        handles = [store.submit(n) for n in range(5)]  # each a frame of its own
        until(lambda: held(worker) == 5)
        assert other.submit().result(60) == "not held up"
        assert calls == []
        worker.advance(HOUR)
        assert [handle.result(60) for handle in handles] == [None] * 5
    assert calls == [[0, 1, 2, 3, 4]]
    assert totals(app).done == 6


def test_frames_are_joined_up_to_max_events(app: ttp.App) -> None:
    np = pytest.importorskip("numpy", reason="columns need NumPy")
    calls: list[list[int]] = []

    @app.batch(Reading, max_events=10, max_wait=HOUR)
    def store(batch: ttp.Batch[Reading]) -> None:
        assert batch["n"].tolist() == numbers(batch)
        calls.append(numbers(batch))

    with testing.worker(app):
        store.submit_columns(n=np.arange(25))  # more than a call takes: by itself, in three calls
        until(lambda: sum(map(len, calls)) == 25)
        for n in range(100, 108):
            store.submit(n)
        store.submit_columns(n=np.arange(200, 202))
        until(lambda: sum(map(len, calls)) == 35)
    assert [len(call) for call in calls] == [10, 10, 5, 10]
    assert calls[3] == [*range(100, 108), 200, 201]


def test_a_burst_does_not_wait(app: ttp.App) -> None:
    calls: list[list[int]] = []

    @app.batch(Reading, max_wait=HOUR)
    def store(batch: ttp.Batch[Reading]) -> None:
        calls.append(numbers(batch))

    for n in range(40):
        store.submit(n)
    testing.drain(app)
    assert sorted(n for call in calls for n in call) == list(range(40))
    assert len(calls) < 40


def test_a_stop_hands_back_what_waits(app: ttp.App) -> None:
    calls: list[list[int]] = []

    @app.batch(Reading, max_wait=HOUR)
    def store(batch: ttp.Batch[Reading]) -> None:
        assert ttp.current_task().attempt == 1
        calls.append(numbers(batch))

    with testing.worker(app) as worker:
        for n in range(5):
            store.submit(n)
        until(lambda: held(worker) == 5)
    assert calls == []
    assert (totals(app).tasks, totals(app).done) == (5, 0)
    testing.drain(app)
    assert sorted(n for call in calls for n in call) == list(range(5))


def test_what_waits_is_for_others_while_a_handler_is_slow(app: ttp.App) -> None:
    calls: list[list[int]] = []
    workers: list[testing.TestWorker] = []

    @app.batch(Reading, max_wait=HOUR)
    def store(batch: ttp.Batch[Reading]) -> None:
        calls.append(numbers(batch))

    @app.task
    def slow() -> None:
        until(lambda: held(workers[0]) == 1)  # itself

    with testing.worker(app) as worker:
        workers.append(worker)
        store.submit(1)
        until(lambda: held(worker) == 1)
        slow.submit().result(60)
    testing.drain(app)
    assert calls == [[1]]


def test_rows_fail_in_the_frames_they_came_in(app: ttp.App) -> None:
    done: list[int] = []

    @app.batch(Reading, max_wait=HOUR, retry=ttp.RetryPolicy(max_attempts=1))
    def store(batch: ttp.Batch[Reading]) -> None:
        if 13 in numbers(batch):
            raise ValueError("thirteen")
        batch.fail([row for row, n in enumerate(numbers(batch)) if n % 10 == 7], "seven", retry=False)
        done.extend(n for n in numbers(batch) if n % 10 != 7)

    for first in range(0, 40, 10):
        store.submit_many([(n,) for n in range(first, first + 10)])
    testing.drain(app)
    assert sorted(done) == [n for n in range(40) if n != 13 and n % 10 != 7]
    letters = {letter.args[0]: letter for letter in app.dead_letters()}
    assert {n: letter.reason for n, letter in letters.items()} == {
        13: "ValueError: thirteen",
        **dict.fromkeys([7, 17, 27, 37], "Rejected: seven"),
    }
    assert len({letter.id for letter in letters.values()}) == 5


def test_what_a_handler_submits_commits_with_the_frame_it_came_of(app: ttp.App) -> None:
    calls: list[list[int]] = []
    children: list[int] = []

    @app.task
    def child(n: int) -> None:
        children.append(n)

    @app.batch(Reading, max_wait=HOUR)
    def store(batch: ttp.Batch[Reading]) -> None:
        calls.append(numbers(batch))
        for n in numbers(batch):
            child.emit(n)

    for n in range(6):
        store.submit(n)
    testing.drain(app)
    assert sorted(children) == list(range(6))
    joined = [call for call in calls if len(call) > 1]
    assert len(joined) <= 1, "once it has submitted, a handler gets its frames one by one"
    assert [call for call in calls if len(call) == 1] == [[n] for n in range(6)]


WORKER = """
    import os, ttp
    from dataclasses import dataclass

    @dataclass
    class Reading:
        n: int

    app = ttp.App("plant")

    @app.batch(Reading, name="store", max_wait=3600.0)
    def store(batch): os._exit(7)  # never comes to this

    ttp.WorkerPool(app).run()
"""


@pytest.mark.slow
def test_frames_that_waited_in_a_killed_worker_are_handled_by_another(app: ttp.App) -> None:
    got: list[int] = []

    @app.batch(Reading, name="store", max_wait=HOUR)
    def store(batch: ttp.Batch[Reading]) -> None:
        got.extend(numbers(batch))

    keys = app.keys("default")
    connection = app.open_connection(5.0)
    connection.ensure_queue(keys)
    environment = os.environ | {"TTP_URL": str(app.url), "PYTHONPATH": os.pathsep.join(sys.path)}
    worker = subprocess.Popen([sys.executable, "-c", textwrap.dedent(WORKER)], env=environment)
    try:
        handles = [store.submit(n) for n in range(5)]

        def pending() -> bool:
            reply: Any = connection.call("XPENDING", keys.stream(1), "g")
            return bool(reply[0] == 5)

        until(pending)
        worker.send_signal(signal.SIGKILL)
        worker.wait(60)
        with testing.worker(app):
            assert [handle.result(60) for handle in handles] == [None] * 5
    finally:
        worker.kill()
        connection.close()
    assert sorted(got) == list(range(5))
    assert (totals(app).done, totals(app).tasks) == (5, 0)
    assert commands.backlog_reply(app_call(app)) == 0


def app_call(app: ttp.App) -> list[Any]:
    """What is left in the queue."""
    connection = app.open_connection(5.0)
    try:
        return connection.call_many(commands.backlog(app.keys("default")))
    finally:
        connection.close()
