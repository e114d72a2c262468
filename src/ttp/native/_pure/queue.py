"""A bounded queue: a deque under a condition."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, final


@final
class Queue:
    """See `_core.pyi`."""

    def __init__(self, capacity: int, /) -> None:
        if capacity < 1 or capacity & (capacity - 1):
            raise ValueError(f"capacity must be a power of two, not {capacity}")
        self.capacity = capacity
        self.closed = False
        self._items: deque[Any] = deque()
        self._filled = threading.Condition()

    def __len__(self) -> int:
        return len(self._items)

    def try_push(self, item: Any, /) -> bool:
        """See `_core.pyi`."""
        return self.push_many([item]) == 1

    def push_many(self, items: Sequence[Any], /) -> int:
        """See `_core.pyi`."""
        with self._filled:
            if self.closed:
                raise RuntimeError("queue is closed")
            fitting = list(items)[: self.capacity - len(self._items)]
            self._items.extend(fitting)
            self._filled.notify(len(fitting))
            return len(fitting)

    def try_pop(self, default: Any = None, /) -> Any:
        """See `_core.pyi`."""
        with self._filled:
            return self._items.popleft() if self._items else default

    def pop_many(self, limit: int, /) -> list[Any]:
        """See `_core.pyi`."""
        with self._filled:
            return [self._items.popleft() for _ in range(min(limit, len(self._items)))]

    def pop(self, timeout: float | None = None, /) -> Any:
        """See `_core.pyi`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._filled:
            while not self._items:
                if self.closed:
                    raise EOFError("queue is closed")
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError("queue stayed empty")
                self._filled.wait(left)
            return self._items.popleft()

    def close(self) -> None:
        """See `_core.pyi`."""
        with self._filled:
            self.closed = True
            self._filled.notify_all()
