"""`@app.task` and `@app.batch`: what they refuse, and what they take for a coroutine function."""

import asyncio
import functools
import inspect
import math
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import ttp
from ttp.decorator import check_ttl


@dataclass
class Row:
    value: int


@pytest.fixture
def app() -> ttp.App:
    """An app that sends nothing."""
    return ttp.App("decorated")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"priority": "urgent"}, ValueError, "priority must be one of high, normal, low, not 'urgent'"),
        ({"retry": 3}, TypeError, "retry must be a RetryPolicy, such as RetryPolicy(max_attempts=3), not 3"),
        ({"retry": 0}, TypeError, "retry must be a RetryPolicy, such as RetryPolicy(max_attempts=3), not 0"),
        ({"result_ttl": float("nan")}, ValueError, "result_ttl must be 0 to 1e+11 seconds, not nan"),
        ({"result_ttl": float("inf")}, ValueError, "result_ttl must be 0 to 1e+11 seconds, not inf"),
        ({"result_ttl": 1e12}, ValueError, "result_ttl must be 0 to 1e+11 seconds, not 1000000000000.0"),
        ({"result_ttl": -1}, ValueError, "result_ttl must be 0 to 1e+11 seconds, not -1"),
        ({"timeout": 0}, ValueError, "timeout must be positive, not 0"),
        ({"timeout": float("nan")}, ValueError, "timeout must be positive, not nan"),
        ({"queue": "no queue"}, ValueError, "queue name 'no queue': use 1 to 64 of the characters A-Z a-z 0-9 _ . -"),
    ],
)
def test_a_wrong_option_is_said_and_nothing_is_registered(
    app: ttp.App, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    def handler() -> None: ...

    with pytest.raises(error) as raised:
        app.task(**options)(handler)
    assert str(raised.value) == message
    assert not app.handlers


def test_a_wrong_option_of_a_batch_registers_nothing(app: ttp.App) -> None:
    def store(batch: ttp.Batch[Row]) -> None: ...

    with pytest.raises(TypeError, match="retry must be a RetryPolicy"):
        app.batch(Row, retry=3)(store)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="queue name"):
        app.batch(Row, queue="no queue")(store)
    with pytest.raises(ValueError, match="no signature"):
        app.batch(type)(store)  # type: ignore[arg-type]
    assert not app.handlers


def test_results_may_be_kept_from_no_time_to_very_long() -> None:
    assert (check_ttl(0), check_ttl(1.5), check_ttl(1e11)) == (0, 1.5, 1e11)


async def coroutine(n: int) -> int:
    """A coroutine function."""
    return n + 1


class Callee:
    """An object that is called."""

    async def __call__(self, row: Row) -> int:
        return row.value + 1


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """A plain wrapper."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def wrapped_in_async(function: Callable[..., Any]) -> Callable[..., Any]:
    """A coroutine function around a plain one."""

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("function", "argument"),
    [
        (coroutine, 1),
        (functools.partial(coroutine), 1),
        (wrapped_in_async(lambda n: n + 1), 1),
        (Callee(), {"value": 1}),
        (functools.partial(Callee()), {"value": 1}),
        (Callee().__call__, {"value": 1}),
    ],
)
def test_what_is_a_coroutine_function_is_awaited(app: ttp.App, function: Callable[..., Any], argument: Any) -> None:
    app.task(name="t")(function)
    handler = app.handlers["t"]
    assert handler.kind == "async"
    returned = handler.function(argument)
    assert inspect.iscoroutine(returned)
    assert asyncio.run(returned) == 2


def test_a_coroutine_function_is_called_without_a_detour(app: ttp.App) -> None:
    app.task(coroutine)
    assert app.handlers["coroutine"].function is coroutine


@pytest.mark.parametrize("function", [wrapped(coroutine), functools.partial(len), Row, Callee, "".join])
def test_what_is_none_is_called(app: ttp.App, function: Callable[..., Any]) -> None:
    app.task(name="t")(function)
    assert app.handlers["t"].kind == "sync"


@pytest.mark.parametrize("function", [coroutine, Callee(), functools.partial(coroutine)])
def test_a_batch_handler_is_no_coroutine_function(app: ttp.App, function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=r"a batch handler cannot be a coroutine function: .* asyncio\.run"):
        app.batch(Row, name="b")(function)
    assert not app.handlers


def generates(n: int) -> Iterator[int]:
    yield n


async def generates_async(n: int) -> AsyncIterator[int]:
    yield n


@pytest.mark.parametrize("function", [generates, generates_async, functools.partial(generates)])
def test_a_generator_function_is_no_handler(app: ttp.App, function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="a generator function cannot be a handler"):
        app.task(name="t")(function)
    with pytest.raises(TypeError, match="a generator function cannot be a handler"):
        app.batch(Row, name="b")(function)
    assert not app.handlers


def test_what_has_no_name_needs_one(app: ttp.App) -> None:
    with pytest.raises(TypeError, match="give the task a name"):
        app.task(functools.partial(len))
    assert not app.handlers


@pytest.mark.parametrize(("settings", "error"), [({"retry": 3}, TypeError), ({"result_ttl": math.inf}, ValueError)])
def test_an_app_has_settings_that_make_sense(settings: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(settings))):
        ttp.App("plant", **settings)
