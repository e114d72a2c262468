"""Tasks from call to result, through a real server and a real worker."""

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import pytest

import ttp
from queue_stats import queue_stats
from real_server import Server
from ttp import testing


class Unit(Enum):
    CELSIUS = "C"


@dataclass
class Reading:
    device: str
    value: float
    unit: Unit = Unit.CELSIUS


def test_a_result_comes_back(app: ttp.App) -> None:
    @app.task
    def add(a: int, b: int = 10) -> int:
        return a + b

    with testing.worker(app):
        assert add.submit(1, 2).result(10) == 3
        assert add.submit(1).result(10) == 11
        assert add.submit(b=1, a=5).result(10) == 6
        handle = add.submit(4, 4)
        assert handle.result(10) == 8
        assert handle.status() == "done"
        assert app.handle(handle.id).result(10) == 8
    assert add(2, 2) == 4
    assert queue_stats(app).tasks == 0


def test_arguments_arrive_as_annotated(app: ttp.App) -> None:
    @app.task
    def describe(reading: Reading, at: datetime, pair: tuple[int, int]) -> Reading:
        assert isinstance(reading.unit, Unit)
        assert isinstance(pair, tuple)
        return Reading(reading.device, reading.value + at.year)

    with testing.worker(app):
        result = describe.submit(Reading("pump", 1.5), datetime(2026, 1, 1, tzinfo=UTC), (1, 2)).result(10)
    assert result == Reading("pump", 2027.5)


def test_many_results_in_order(app: ttp.App) -> None:
    @app.task
    def double(n: int) -> int:
        return 2 * n

    with testing.worker(app):
        handles = double.submit_many((n,) for n in range(10_000))
        assert len(handles) == 10_000
        assert [h.result(20) for h in handles] == [2 * n for n in range(10_000)]
        assert handles[-1].result(1) == 19_998
        assert [h.result(1) for h in handles[2:4]] == [4, 6]
        with pytest.raises(IndexError):
            handles[10_000]


def test_a_bad_row_of_many_is_named_and_the_rest_is_sent(app: ttp.App) -> None:
    @app.task
    def double(n: object) -> int:
        return 2

    with testing.worker(app):
        with pytest.raises(ttp.SerializationError, match=r"rows\[2\]: args\[0\]") as caught:
            double.submit_many([(1,), (2,), (object(),), (4,)])
        accepted = caught.value.accepted  # type: ignore[attr-defined]
        assert [h.result(10) for h in accepted] == [2, 2]


def test_wrong_calls_fail_at_the_call(app: ttp.App) -> None:
    @app.task
    def add(a: int, b: int) -> int:
        return a + b

    for wrong in (lambda: add.emit(1), lambda: add.submit(1, 2, 3), lambda: add.emit(1, c=2)):  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="add"):
            wrong()
    with pytest.raises(ttp.SerializationError, match=r"args\[1\]\['x'\]"):
        add.emit(1, {"x": object()})  # type: ignore[arg-type]
    with pytest.raises(ttp.SerializationError, match="131072"):
        add.emit(1, "x" * 140_000)  # type: ignore[arg-type]
    app.flush()
    assert queue_stats(app).accepted == 0


def test_delay_at_and_priority(app: ttp.App) -> None:
    @app.task
    def now() -> str:
        return "ran"

    with testing.worker(app) as worker:
        delayed = now.options(delay=1000.0).submit()
        at = now.options(at=datetime.now(UTC) + timedelta(seconds=1000), priority="high").submit()
        assert delayed.status() == "delayed"
        worker.advance(900)
        assert at.status() == "delayed"
        worker.advance(101)
        assert (delayed.result(10), at.result(10)) == ("ran", "ran")
    for wrong in ({"delay": 1.0, "at": datetime.now(UTC)}, {"delay": -1.0}, {"priority": "urgent"}):
        with pytest.raises(ValueError, match=r"delay|priority"):
            now.options(**wrong)


def test_priorities_are_served_in_order(app: ttp.App) -> None:
    order: list[str] = []

    @app.task
    def note(what: str) -> None:
        order.append(what)

    note.options(priority="low").emit("low")
    note.emit("normal")
    note.options(priority="high").emit("high")
    testing.drain(app)
    assert order == ["high", "normal", "low"]


def test_children_commit_with_their_parent(app: ttp.App) -> None:
    tried: list[int] = []
    seen: list[int] = []

    @app.task(retry=ttp.RetryPolicy(max_attempts=2, base_delay=0.0))
    def parent(n: int) -> str:
        handle = child.submit(n)
        child.emit(-n)
        tried.append(n)
        with pytest.raises(RuntimeError, match="inside a handler"):
            handle.result(1)
        if len(tried) == 1:
            raise ValueError("after the children")
        return handle.id

    @app.task
    def child(n: int) -> int:
        seen.append(n)
        return n * 100

    handle = parent.submit(3)
    testing.drain(app)
    assert tried == [3, 3]
    assert sorted(seen) == [-3, 3]
    assert app.handle(handle.result(5)).result(5) == 300
    assert queue_stats(app).accepted == 3


def test_options_keep_what_they_do_not_name(app: ttp.App) -> None:
    ran: list[str] = []

    @app.task
    def child(name: str) -> None:
        ran.append(name)

    @app.task(retry=ttp.RetryPolicy(max_attempts=1))
    def parent() -> None:
        alone = child.options(detached=True)
        alone.options(priority="high").emit("detached")
        alone.options(detached=False).emit("with the parent")
        raise ValueError

    parent.submit()
    testing.drain(app)
    assert ran == ["detached"]


def test_a_child_may_go_elsewhere(app: ttp.App) -> None:
    @app.task
    def parent() -> None:
        stored.emit(1)
        stored.options(delay=1000.0, priority="low").emit(2)
        stored.options(detached=True).submit(3)

    @app.task(queue="storage")
    def stored(n: int) -> int:
        return n

    parent.submit()
    testing.drain(app, queues=["default"])
    storage = queue_stats(app, "storage")
    assert (storage.tasks, storage.delayed_frames, storage.accepted) == (2, 1, 3)


def test_cancel(app: ttp.App) -> None:
    @app.task
    def never() -> None:
        raise AssertionError

    ready, delayed, kept = never.submit(), never.options(delay=10.0).submit(), never.submit()
    assert ready.cancel()
    assert delayed.cancel()
    app.clock.offset += 11
    testing.drain(app)
    for handle in (ready, delayed):
        with pytest.raises(ttp.TaskCancelled):
            handle.result(5)
        assert handle.status() == "cancelled"
    with pytest.raises(ttp.TaskFailed):
        kept.result(5)
    assert queue_stats(app).cancelled == 2


def test_remote_and_results_from_another_app(app: ttp.App, server: Server) -> None:
    @app.task(name="square")
    def square(n: int) -> int:
        return n * n

    def square_signature(n: int) -> int: ...  # type: ignore[empty-body]

    square_signature.__qualname__ = "square"
    with testing.worker(app), ttp.App("plant", server.url) as other:
        assert other.remote("square").submit(4).result(10) == 16
        typed = other.remote(square_signature)
        assert typed.submit(n=5).result(10) == 25
        with pytest.raises(TypeError):
            typed.submit(1, 2)  # type: ignore[call-arg]


def test_results_expire_and_may_be_off(app: ttp.App) -> None:
    @app.task(result_ttl=0)
    def silent() -> int:
        return 1

    handle = silent.submit()
    testing.drain(app)
    with pytest.raises(ttp.ResultExpired):
        handle.result(5)
    assert handle.status() == "unknown"
    with pytest.raises(ttp.ResultExpired):
        app.handle("default.0.00000000000000aa.0").result(5)
    with pytest.raises(ValueError, match="not a task id"):
        app.handle("nonsense")


def test_async_handlers_and_callers(app: ttp.App) -> None:
    running: list[int] = []
    together = asyncio.Event()

    @app.task
    async def meet(n: int) -> int:
        running.append(n)
        if len(running) == 10:
            together.set()
        await together.wait()
        assert ttp.current_task().attempt == 1
        return n

    async def main() -> None:
        handles = await asyncio.gather(*(meet.asubmit(n) for n in range(10)))
        assert sorted(await asyncio.gather(*handles)) == list(range(10))
        assert await handles[0].astatus() == "done"
        await app.aflush()

    with testing.worker(app):
        asyncio.run(main())


def test_partials_and_objects_may_be_coroutine_functions(app: ttp.App) -> None:
    class Callee:
        async def __call__(self, reading: Reading) -> Unit:
            await asyncio.sleep(0)
            return reading.unit

    async def add(a: int, b: int) -> int:
        await asyncio.sleep(0)
        return a + b

    ask = app.task(name="ask")(Callee())
    add_two = app.task(name="add-two")(functools.partial(add, 2))
    with testing.worker(app):
        assert ask.submit(Reading("pump", 1.0)).result(10) is Unit.CELSIUS
        assert add_two.submit(1).result(10) == 3


def test_a_coroutine_that_nobody_awaits_is_a_failure(app: ttp.App) -> None:
    async def later(n: int) -> None:
        raise AssertionError

    def traced(function: Callable[[int], Any]) -> Callable[[int], Any]:
        @functools.wraps(function)
        def wrapper(n: int) -> Any:
            return function(n)

        return wrapper

    @app.task(retry=ttp.RetryPolicy(max_attempts=1))
    def plain(n: int) -> Any:
        return later(n)

    @app.task(retry=ttp.RetryPolicy(max_attempts=1))
    async def twice(n: int) -> Any:
        return later(n)

    @app.task(retry=ttp.RetryPolicy(max_attempts=1))
    @traced
    async def wrapped(n: int) -> None:
        raise AssertionError

    for task in (plain, twice, wrapped):
        task.emit(1)
    testing.drain(app)
    reasons = [letter.reason for letter in app.dead_letters()]
    assert len(reasons) == 3
    assert all("TypeError: the handler returned a coroutine that nobody awaits: " in reason for reason in reasons)


def test_threads_run_side_by_side(app: ttp.App) -> None:
    barrier = threading.Barrier(4, timeout=10)

    @app.task
    def meet() -> bool:
        barrier.wait()
        return True

    with testing.worker(app, threads=4):
        # Each call waits for three others, so the first frame must be spread over all threads.
        handles = [meet.submit() for _ in range(4)]
        assert all(h.result(20) for h in handles)


def test_batches(app: ttp.App) -> None:
    got: list[Reading] = []
    ids: list[str] = []

    @app.batch(Reading, max_events=100)
    def store(batch: ttp.Batch[Reading]) -> None:
        assert len(batch) <= 100
        got.extend(batch.rows())
        ids.extend(batch.task_id(i) for i in range(len(batch)))
        assert sum(last - first + 1 for _, first, last in batch.ranges()) == len(batch)

    for n in range(250):
        store.emit("pump", float(n))
    app.flush()
    testing.drain(app)
    assert [r.value for r in got] == [float(n) for n in range(250)]
    assert got[0].unit is Unit.CELSIUS
    assert len(set(ids)) == 250


def test_lifespan(server: Server) -> None:
    events: list[str] = []

    @contextmanager
    def resources() -> Iterator[str]:
        events.append("open")
        yield "state"
        events.append("close")

    with ttp.App("plant", server.url, lifespan=resources) as app:

        @app.task
        def use() -> str:
            return str(ttp.current_task().state)

        handle = use.submit()
        testing.drain(app)
        assert handle.result(5) == "state"
    assert events == ["open", "close"]
    with pytest.raises(RuntimeError, match="no task runs here"):
        ttp.current_task()
