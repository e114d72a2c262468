"""Time limits in an event loop."""

import asyncio
import math
from typing import Protocol


class Limited(Protocol):
    """What has a time limit."""

    def expire(self) -> None:
        """Its time is up."""


class Deadlines:
    """One timer for all that waits: most of it ends long before its time, and needs none of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: dict[Limited, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._look_at = math.inf

    def add(self, limited: Limited, due: float) -> None:
        """Its time is up at this time of the loop."""
        self._due[limited] = due
        self._look_by(due)

    def discard(self, limited: Limited) -> None:
        """It has ended."""
        self._due.pop(limited, None)

    def _look_by(self, due: float) -> None:
        if due < self._look_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._look_at = self._loop.call_at(due, self._look), due

    def _look(self) -> None:
        now, self._look_at = self._loop.time(), math.inf
        for limited in [limited for limited, due in self._due.items() if due <= now]:
            del self._due[limited]
            limited.expire()
        if self._due:
            self._look_by(min(self._due.values()))
