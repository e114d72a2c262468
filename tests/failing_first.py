"""Calls that fail when they are first tried, and work from then on: as where memory was short for a moment."""

import threading
from collections.abc import Callable
from typing import Any


def failing_first(
    call: Callable[..., Any], error: type[BaseException] = MemoryError, *, thread: str | None = None
) -> Callable[..., Any]:
    """The call, which raises an error "the first time": in any thread, or in those of a name."""
    failures = [error("the first time")]

    def fails_first(*arguments: Any, **named: Any) -> Any:
        if failures and thread in (None, threading.current_thread().name):
            raise failures.pop()
        return call(*arguments, **named)

    return fails_first
