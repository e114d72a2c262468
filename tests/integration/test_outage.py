"""A dependency is down: tasks wait for it, unfailed, and all run once it is back."""

import threading
from collections import Counter
from typing import Any, Literal

import pytest

import ttp
from queue_stats import queue_stats
from real_server import Server
from ttp import testing
from ttp.policy import Clock


def app_and_breaker(server: Server, **options: Any) -> tuple[ttp.App, ttp.CircuitBreaker]:
    app = ttp.App("plant", server.url, retry=ttp.RetryPolicy(max_attempts=50, base_delay=0.01, max_delay=0.05))
    return app, ttp.CircuitBreaker("db", wait=0.2, max_wait=0.2, ramp=0.5, clock=app.clock, **options)


@pytest.mark.parametrize("kind", ["sync", "async", "threads", "batch"])
def test_an_outage_fails_no_task(server: Server, kind: Literal["sync", "async", "threads", "batch"]) -> None:
    """1,000 tasks, the dependency is down for its first 30 calls: each runs well once, none is dead."""
    app, breaker = app_and_breaker(server)
    calls: Counter[int] = Counter()
    attempts: list[int] = []
    well: Counter[int] = Counter()
    lock = threading.Lock()

    def call(n: int) -> None:
        with lock:
            calls[n] += 1
            attempts.append(ttp.current_task().attempt if kind != "batch" else 1)
            if calls.total() <= (3 if kind == "batch" else 30):
                raise ConnectionError("down")
            well[n] += 1

    with app:
        if kind == "async":

            @app.task(breaker=breaker, name="t")
            async def awaited(n: int) -> None:
                call(n)
        elif kind == "batch":

            class Row:
                def __init__(self, n: int) -> None:
                    self.n = n

            @app.batch(Row, breaker=breaker, name="t")
            def batched(batch: ttp.Batch[Row]) -> None:
                call(-1)
                for row in batch.rows():
                    call(row.n)
        else:
            app.task(breaker=breaker, name="t")(call)
        task = app.remote("t")
        for n in range(1000):
            task.emit(n)
        app.flush()
        testing.drain(app, threads=4 if kind == "threads" else 1)
        numbers = queue_stats(app)
    del well[-1]
    assert set(well) == set(range(1000))
    assert (numbers.done, numbers.dead, numbers.tasks) == (1000, 0, 0)
    if kind != "batch":
        assert max(well.values()) == 1
        assert numbers.retried <= 30  # only calls that were made and failed are charged
        assert sum(attempt > 1 for attempt in attempts) <= 30
        assert breaker.state == "closed"


def test_a_queue_of_one_dependency_is_not_read_while_it_is_open(server: Server) -> None:
    app, breaker = app_and_breaker(server)
    called: list[int] = []
    other_ran = threading.Event()

    class Stopped(Clock):
        def monotonic(self) -> float:
            return 0.0

    breaker._clock = Stopped()
    with app:

        @app.task(queue="db", breaker=breaker)
        def store(n: int) -> None:
            called.append(n)

        @app.task
        def other() -> None:
            other_ran.set()

        breaker.record(20, failures=20)
        with testing.worker(app) as worker:
            for n in range(100):
                store.submit(n)
            other.submit()
            assert other_ran.wait(10)
            assert worker.pool.worker is not None
            assert worker.pool.worker.stats.slot.total("deferred") == 0
        numbers = queue_stats(app, "db")
        assert (called, numbers.tasks, numbers.delayed_frames) == ([], 100, 0)
        breaker._clock = app.clock
        app.clock.offset += 1.0
        testing.drain(app)
        assert sorted(called) == list(range(100))


def test_an_open_circuit_in_a_handler_puts_the_task_off(server: Server) -> None:
    app, breaker = app_and_breaker(server, min_calls=1)
    attempts: list[int] = []
    with app:

        @app.task(retry=ttp.RetryPolicy(max_attempts=1))
        def call(n: int) -> int:
            with breaker:
                attempts.append(ttp.current_task().attempt)
            return n

        breaker.record(5, failures=5)
        handles = call.submit_many([(n,) for n in range(20)])
        testing.drain(app)
        assert [handle.result(5) for handle in handles] == list(range(20))
        assert attempts == [1] * 20
        assert queue_stats(app).dead == 0
