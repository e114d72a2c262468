"""Handlers that return a coroutine instead of awaiting it, in the dispatch loop of both twins."""

import inspect
import types
from collections.abc import Coroutine, Generator
from typing import Any

import pytest
from test_slices import never, numbers

MESSAGE = (
    "the handler returned a coroutine that nobody awaits: await it in an `async def` handler of @app.task,"
    " or run it by asyncio.run"
)


async def work(n: int) -> int:
    """Would be done."""
    return n


@types.coroutine
def pause() -> Generator[None]:
    """Waits once."""
    yield


async def stubborn() -> None:
    """Cannot be closed."""
    try:
        await pause()
    finally:
        raise LookupError("in the end")


@pytest.mark.parametrize("flags", [0, 1])  # without results, and with
def test_a_coroutine_that_nobody_awaits_is_a_failure(backend: Any, flags: int) -> None:
    part = numbers(backend, 3, flags=flags)
    made: list[Coroutine[Any, Any, int]] = []
    judged: list[Any] = []

    def handler(n: int) -> Coroutine[Any, Any, int] | int:
        if n != 1:
            return n
        made.append(work(n))
        return made[-1]

    def on_error(row: int, error: BaseException) -> int:
        judged.append((row, type(error), str(error), part.running))
        return int(backend.DEAD)

    part.run(handler, on_error)
    assert judged == [(1, TypeError, MESSAGE, -1)]
    assert inspect.getcoroutinestate(made[0]) == inspect.CORO_CLOSED
    assert list(part.settle()[1]) == [backend.DONE, backend.DEAD, backend.DONE]


def test_what_closing_raises_is_the_failure(backend: Any) -> None:
    part = numbers(backend, 1)
    judged: list[str] = []

    def handler(n: int) -> Coroutine[Any, Any, None]:
        begun = stubborn()
        begun.send(None)
        return begun

    def on_error(row: int, error: BaseException) -> int:
        judged.append(repr(error))
        return int(backend.DEAD)

    part.run(handler, on_error)
    assert judged == ["LookupError('in the end')"]


def test_other_values_are_none_of_its_business(backend: Any) -> None:
    part = numbers(backend, 2)
    part.run(lambda n: (x for x in range(n)) if n else work, never)
    assert list(part.settle()[1]) == [backend.DONE, backend.DONE]
