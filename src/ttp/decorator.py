"""`@app.task`: what makes a function a task."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from ttp.coordination.keys import check_name
from ttp.native.types import argument_converter, converter
from ttp.policy import CircuitBreaker, RetryPolicy
from ttp.producer import LocalTask
from ttp.producer.task import Target
from ttp.task import Priority
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
        ttl = self._result_ttl if result_ttl is None else result_ttl
        if timeout is not None and timeout <= 0:
            raise ValueError(f"timeout must be positive, not {timeout}")
        handler = Handler(
            name=name or function.__qualname__,
            queue=check_name("queue", queue),
            function=argument_converter(function) or function,
            kind="async" if inspect.iscoroutinefunction(function) else "sync",
            retry=retry or self._retry,
            timeout=timeout,
            result_ttl=ttl,
            breaker=breaker,
            tracing=self._tracing,
        )
        self._add(handler)
        signature = inspect.signature(function)
        target = self._target(handler.name, queue, signature, ttl, priority, returned(function))
        return LocalTask(target, function)


def returned(function: Callable[..., Any]) -> Callable[[Any], Any] | None:
    """What makes the annotated return type out of a result that arrived."""
    annotation = inspect.signature(function, eval_str=False).return_annotation
    return None if annotation in (inspect.Signature.empty, None) else converter(annotation)
