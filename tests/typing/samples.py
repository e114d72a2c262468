"""The public surface, as type checkers see it. Not run: checked by mypy --strict and pyright."""

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, assert_type

import ttp
from ttp import testing


@contextmanager
def resources() -> Generator[str, None, None]:
    """What workers open and close."""
    yield "state"


app = ttp.App(
    "plant",
    "redis://localhost:6379/0",
    lifespan=resources,
    imports=["plant.handlers"],
    retry=ttp.RetryPolicy(max_attempts=5, base_delay=0.1, max_delay=30.0, retry_on=(OSError,), give_up_on=(KeyError,)),
    result_ttl=300.0,
    on_full="block",
    submit_timeout=5.0,
    durability="fsync",
    queue_limit=1 << 30,
    queue_tasks=1_000_000,
)


@app.task
def plain(device: str, value: float = 1.0) -> float:
    """Without arguments to the decorator."""
    return value


breaker = ttp.CircuitBreaker("database", failure_rate=0.5, slow_after=1.0, wait=5.0)


@breaker
def query(key: str) -> int:
    """A guarded function keeps its signature."""
    with breaker:
        return len(key)


@app.task(name="full", queue="q", priority="high", timeout=5.0, retry=ttp.RetryPolicy(3), result_ttl=0, breaker=breaker)
def full(*, key: str) -> None:
    """With all of them."""


@app.task
async def waits(n: int) -> list[int]:
    """A coroutine's result is what it returns."""
    return [n]


@app.task(timeout=1.0)
async def waits_long(n: int) -> str:
    """So it is with arguments to the decorator."""
    return str(n)


@dataclass
class Reading:
    """A row of a batch."""

    device: str
    at: datetime
    value: float


@app.batch(Reading, queue="store", max_events=50_000, max_wait=0.2)
def store(batch: ttp.Batch[Reading]) -> None:
    """A batch handler."""
    assert_type(batch, ttp.Batch[Reading])
    assert_type(len(batch), int)
    assert_type(batch.rows(), list[Reading])
    with closing(sqlite3.connect("mine.db")) as connection:
        assert_type(ttp.claim(connection, batch), Sequence[int])
        assert_type(ttp.claim(connection, ttp.current_task()), Sequence[int])
    assert_type(batch.tuples(), list[tuple[Any, ...]])
    assert_type(batch["value"], Any)
    assert_type(batch.mask("value"), Any)
    assert_type(batch.columns, list[str])
    assert_type(batch.dictionary("device"), ttp.Dictionary)
    batch.fail([0], "too high", retry=False)
    assert_type(batch.task_id(0), str)
    assert_type(batch.ranges(), list[tuple[str, int, int]])


def elsewhere(device: str) -> int:
    """A signature for `remote`."""
    raise NotImplementedError


async def elsewhere_waits(device: str) -> int:
    """Another, of a coroutine function."""
    raise NotImplementedError


def decorated() -> None:
    """What the decorators make, and what is left of the functions."""
    assert_type(plain("pump", 1.0), float)
    assert_type(plain.name, str)
    assert_type(plain.queue, str)
    local: ttp.LocalTask[..., float] = plain
    batch: ttp.BatchTask[..., Reading] = store
    batch.options(priority="low").submit_columns(device=["pump-1"], value=[1.0])
    names = ttp.Dictionary(codes=[0, 0], categories=["pump-1"])
    made = ttp.Batch[Reading].from_columns(Reading, device=names, value=[1.0, 2.0])
    assert_type(made, ttp.Batch[Reading])
    tasks: list[ttp.Task[..., Any]] = [local, batch, full, waits]
    assert_type(tasks[0].submit(), ttp.TaskHandle[Any])


def sending() -> None:
    """From a program."""
    handle = plain.submit("pump-1", 2.0)
    assert_type(handle, ttp.TaskHandle[float])
    assert_type(handle.result(timeout=5), float)
    handles: list[ttp.TaskHandle[object]] = [handle, waits.submit(1)]
    assert_type(handles[0].result(), object)
    assert_type(handle.id, str)
    assert_type(handle.status(), ttp.Status)
    assert_type(handle.cancel(), bool)
    assert_type(waits.submit(1), ttp.TaskHandle[list[int]])
    assert_type(waits_long.submit(n=1).result(), str)
    assert_type(full.submit(key="a"), ttp.TaskHandle[None])
    full.emit(key="a")
    plain.emit("pump-1", value=2.0)
    assert_type(plain.submit_many([("a",), ("b",)]), Sequence[ttp.TaskHandle[float]])
    assert_type(plain.options(priority="low", delay=1.0, detached=True).submit("x"), ttp.TaskHandle[float])
    plain.options(at=datetime.now(UTC)).emit("x")
    priority: ttp.Priority = "high"
    assert_type(waits.options(priority=priority).submit(1), ttp.TaskHandle[list[int]])
    store.emit("pump", datetime.now(UTC), 1.0)
    assert_type(store.submit(device="pump", at=datetime.now(UTC), value=1.0), ttp.TaskHandle[None])
    assert_type(store.submit_many([("pump", datetime.now(UTC), 1.0)]), Sequence[ttp.TaskHandle[None]])
    remote = app.remote("elsewhere", queue="q")
    remote.emit(1, anything=2)
    assert_type(remote.submit("x"), ttp.TaskHandle[Any])
    assert_type(app.remote(elsewhere).submit("x"), ttp.TaskHandle[int])
    assert_type(app.remote(elsewhere_waits, queue="q").submit("x"), ttp.TaskHandle[int])
    assert_type(app.remote(plain.__wrapped__).submit("x"), ttp.TaskHandle[float])
    assert_type(app.handle("default.0.00000000000000aa.0"), ttp.TaskHandle[Any])
    for letter in app.dead_letters("default"):
        assert_type(letter, ttp.DeadLetter)
        assert_type(letter.id, str | None)
        assert_type(letter.task, str)
        assert_type(letter.args, tuple[Any, ...])
        assert_type(letter.reason, str)
        assert_type(letter.traceback, str)
        assert_type(letter.dead_at, float)
        letter.retry()
        letter.drop()
    app.flush(timeout=5.0)
    app.close(timeout=5.0)
    with app as entered:
        assert_type(entered, ttp.App)


async def in_a_loop() -> None:
    """From an event loop."""
    handle = await plain.asubmit("pump")
    assert_type(handle, ttp.TaskHandle[float])
    assert_type(await handle, float)
    assert_type(await handle.astatus(), ttp.Status)
    assert_type(await (await waits.asubmit(1)), list[int])
    await store.asubmit("pump", datetime.now(UTC), 1.0)
    await app.aflush()


def working() -> None:
    """Workers, and what handlers ask and raise."""
    pool = ttp.WorkerPool(app, queues=["q"], threads=2, processes=2, concurrency=10, grace=25.0, lease=5.0, stall=60.0)
    pool.run(burst=True)
    pool.stop()
    context = ttp.current_task()
    assert_type(context, ttp.TaskContext)
    assert_type(context.id, str)
    assert_type(context.name, str)
    assert_type(context.attempt, int)
    assert_type(context.state, Any)
    with testing.worker(app, queues=["q"], threads=2, concurrency=10, grace=1.0) as worker:
        worker.advance(10.0)
    testing.drain(app)
    try:
        plain("pump")
    except ttp.TaskTimeout:
        raise
    except OSError:
        raise ttp.RetryAfter(2.0, "busy") from None
    except ValueError as error:
        raise ttp.Reject("no") from error


def failing() -> None:
    """What users catch."""
    try:
        plain.submit("x").result()
    except ttp.TaskFailed as error:
        assert_type(error.error_type, str)
        assert_type(error.reason, str)
        assert_type(error.traceback, str)
    except (ttp.QueueFull, ttp.SerializationError, ttp.ServerUnavailable, ttp.ServerRefused) as refused:
        assert_type(refused, ttp.QueueFull | ttp.SerializationError | ttp.ServerUnavailable | ttp.ServerRefused)
    except (ttp.ResultTimeout, ttp.ResultExpired, ttp.TaskCancelled, ttp.CorruptFrame, ttp.TtpError):
        raise


def standard() -> list[type[Exception]]:
    """As what else they can be caught."""
    timeout: type[TimeoutError] = ttp.ResultTimeout
    connection: type[ConnectionError] = ttp.ServerUnavailable
    value: list[type[ValueError]] = [ttp.SerializationError, ttp.CorruptFrame]
    return [timeout, connection, *value]
