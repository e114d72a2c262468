"""What a worker knows of a task: its function and its policy."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from ttp.policy import CircuitBreaker, RetryPolicy
from ttp.tracing import Tracing

Lifespan = Callable[[], AbstractContextManager[Any] | AbstractAsyncContextManager[Any]]
"""Makes what a worker process enters when it begins, and leaves when it ends."""


@dataclass(slots=True)
class Joining:
    """How frames of a batch task are joined.

    Attributes:
        max_wait: seconds that an event may wait for others.
        submits: a call for several frames has submitted tasks. These commit with one frame, so its frames are
            not joined any more.
    """

    max_wait: float
    submits: bool = False


@dataclass(frozen=True, slots=True)
class Handler:
    """A registered task.

    Attributes:
        function: the handler, wrapped so that arguments arrive as annotated.
        kind: "sync" is called for each task, "async" awaited for each, "batch" called for each slice.
        timeout: seconds, or None.
        result_ttl: seconds that an outcome is kept; 0 keeps none.
        row: makes the events of a batch handler.
        breaker: of the dependency it calls.
        max_events: most events in one call of a batch handler.
        joining: how its frames are joined; None: each is handled by itself.
        tracing: makes a span of each run; None: none are made.
    """

    name: str
    queue: str
    function: Callable[..., Any]
    kind: Literal["sync", "async", "batch"]
    retry: RetryPolicy
    timeout: float | None
    result_ttl: float
    row: Callable[..., Any] | None = None
    max_events: int = 4096
    joining: Joining | None = None
    breaker: CircuitBreaker | None = None
    tracing: Tracing | None = None
