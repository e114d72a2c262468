"""`@app.task`: what makes a function a task."""

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from ttp.coordination.keys import check_name
from ttp.native.types import argument_converter, result_converter
from ttp.policy import LONGEST, CircuitBreaker, RetryPolicy
from ttp.producer import LocalTask
from ttp.producer.task import Target
from ttp.task import Priority, check_priority
from ttp.tracing import Tracing
from ttp.worker.handler import Handler

P = ParamSpec("P")
R = TypeVar("R")


class TaskDecorator(Protocol):
    """`@app.task` and `@app.task(...)`."""

    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> LocalTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> LocalTask[P, R]: ...
    @overload
    def __call__(
        self,
        *,
        name: str | None = None,
        queue: str = "default",
        priority: Priority = "normal",
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
        result_ttl: float | None = None,
        breaker: CircuitBreaker | None = None,
    ) -> "TaskDecorator": ...


class Decorator:
    """The decorator of one app.

    Args:
        retry, result_ttl: of tasks that have none of their own.
        add: takes the handlers.
        target: name, queue, signature, result_ttl, priority and what makes the result → where calls go.
    """

    def __init__(
        self,
        retry: RetryPolicy,
        result_ttl: float,
        tracing: Tracing | None,
        add: Callable[[Handler], None],
        target: Callable[..., Target],
    ) -> None:
        self._retry = retry
        self._result_ttl = result_ttl
        self._tracing = tracing
        self._add = add
        self._target = target

    def __call__(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """The task of a function; without one, what makes tasks with these options."""
        if function is None:
            return lambda f: self._register(f, **options)
        return self._register(function, **options)

    def _register(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        queue: str = "default",
        priority: Priority = "normal",
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
        result_ttl: float | None = None,
        breaker: CircuitBreaker | None = None,
    ) -> LocalTask[..., Any]:
        check_priority(priority)
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout must be positive, not {timeout}")
        ttl = self._result_ttl if result_ttl is None else check_ttl(result_ttl)
        handler = Handler(
            name=name or name_of(function),
            queue=check_name("queue", queue),
            function=argument_converter(function) or function,
            kind="async" if is_async(function) else "sync",
            retry=check_retry(retry) or self._retry,
            timeout=timeout,
            result_ttl=ttl,
            breaker=breaker,
            tracing=self._tracing,
        )
        signature = inspect.signature(function)
        target = self._target(handler.name, queue, signature, ttl, priority, result_converter(function))
        task = LocalTask(target, function)
        self._add(handler)  # last: what raises leaves nothing behind
        return task


def check_retry(retry: RetryPolicy | None) -> RetryPolicy | None:
    """Return it. TypeError if it is no policy."""
    if retry is not None and not isinstance(retry, RetryPolicy):
        raise TypeError(f"retry must be a RetryPolicy, such as RetryPolicy(max_attempts=3), not {retry!r}")
    return retry


def check_ttl(result_ttl: float) -> float:
    """Return it. ValueError if results cannot be kept for so many seconds."""
    if not 0 <= result_ttl <= LONGEST:
        raise ValueError(f"result_ttl must be 0 to {LONGEST:g} seconds, not {result_ttl!r}")
    return result_ttl


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a call gives a coroutine, as far as can be seen. TypeError if it gives a generator."""
    kinds = function, type(function).__call__
    if any(inspect.isgeneratorfunction(kind) or inspect.isasyncgenfunction(kind) for kind in kinds):
        raise TypeError("a generator function cannot be a handler: nothing of it would run; return what it yields")
    return any(map(inspect.iscoroutinefunction, kinds)) or (isinstance(function, partial) and is_async(function.func))


def name_of(function: Callable[..., Any]) -> str:
    """Its name. TypeError if it has none."""
    try:
        return function.__qualname__
    except AttributeError:
        raise TypeError(f"give the task a name: {function!r} has none") from None
