"""The public surface, as type checkers see it. Not run: checked by mypy --strict and pyright."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
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
)


@app.task
def plain(device: str, value: float = 1.0) -> float:
    """Without arguments to the decorator."""
    return value


@app.task(name="full", queue="q", priority="high", timeout=5.0, retry=ttp.RetryPolicy(3), result_ttl=0)
def full(*, key: str) -> None:
    """With all of them."""


@app.task
async def waits(n: int) -> list[int]:
    """A coroutine's result is what it returns."""
    return [n]


@dataclass
class Reading:
    """A row of a batch."""

    device: str
    at: datetime
    value: float


@app.batch(Reading, queue="store", max_events=50_000)
def store(batch: ttp.Batch[Reading]) -> None:
    """A batch handler."""
    assert_type(len(batch), int)
    assert_type(batch.rows(), list[Reading])
    assert_type(batch.tuples(), list[tuple[Any, ...]])
    assert_type(batch.task_id(0), str)
    assert_type(batch.ranges(), list[tuple[str, int, int]])


def sending() -> None:
    """From a program."""
    handle = plain.submit("pump-1", 2.0)
    assert_type(handle, ttp.TaskHandle[float])
    assert_type(handle.result(timeout=5), float)
    assert_type(handle.id, str)
    assert_type(handle.cancel(), bool)
    assert_type(waits.submit(1).result(), list[int])
    full.emit(key="a")
    assert_type(plain("pump", 1.0), float)
    assert_type(plain.submit_many([("a",), ("b",)]), Sequence[ttp.TaskHandle[float]])
    assert_type(plain.options(priority="low", delay=1.0, detached=True).submit("x"), ttp.TaskHandle[float])
    plain.options(at=datetime.now(UTC)).emit("x")
    store.emit("pump", datetime.now(UTC), 1.0)
    store.submit(device="pump", at=datetime.now(UTC), value=1.0)
    remote = app.remote("elsewhere", queue="q")
    remote.emit(1, anything=2)
    assert_type(app.remote(plain.__wrapped__).submit("x"), ttp.TaskHandle[float])
    assert_type(app.handle("default.0.00000000000000aa.0"), ttp.TaskHandle[Any])
    for letter in app.dead_letters("default"):
        assert_type(letter, ttp.DeadLetter)
        assert_type(letter.id, str | None)
        letter.retry()
        letter.drop()
    app.flush(timeout=5.0)
    app.close(timeout=5.0)


async def in_a_loop() -> None:
    """From an event loop."""
    handle = await plain.asubmit("pump")
    assert_type(handle, ttp.TaskHandle[float])
    assert_type(await handle, float)
    await app.aflush()


def working() -> None:
    """Workers, and what handlers ask and raise."""
    pool = ttp.WorkerPool(app, queues=["q"], threads=2, processes=2, concurrency=10, grace=25.0, lease=5.0, stall=60.0)
    pool.run(burst=True)
    pool.stop()
    context = ttp.current_task()
    assert_type(context, ttp.TaskContext)
    assert_type(context.attempt, int)
    with testing.worker(app, threads=2) as worker:
        worker.advance(10.0)
    testing.drain(app)
    for steer in (ttp.Reject("no"), ttp.RetryAfter(2.0)):
        raise steer


def failing() -> None:
    """What users catch."""
    try:
        plain.submit("x").result()
    except ttp.TaskFailed as error:
        assert_type(error.error_type, str)
        assert_type(error.traceback, str)
    except (ttp.QueueFull, ttp.SerializationError, ttp.ServerUnavailable, ttp.ServerRefused) as refused:
        assert_type(refused, ttp.QueueFull | ttp.SerializationError | ttp.ServerUnavailable | ttp.ServerRefused)
    except (ttp.ResultTimeout, ttp.ResultExpired, ttp.TaskCancelled, ttp.TtpError):
        raise
