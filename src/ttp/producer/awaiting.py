"""Coroutines that wait for the acceptance of frames."""

import asyncio
import contextlib
from collections.abc import Callable

from ttp.native import FrameWriter


class Awaiting:
    """The coroutines of one event loop that wait for one frame: one wake-up and one timer for all of them.

    Args:
        timeout: seconds from now.
        abandon: called in some thread when time is up: takes the frame back if that is safe, else raises.
    """

    def __init__(self, frame: FrameWriter, timeout: float, abandon: Callable[[], None]) -> None:
        self._frame = frame
        self._abandon = abandon
        self._loop = asyncio.get_running_loop()
        self._waiters: list[asyncio.Future[None]] = []
        self._error: BaseException | None = None
        self._timer = self._loop.call_later(timeout, self._late)

    async def wait(self) -> None:
        """Return once the frame is accepted; raises as `Producer.accept`."""
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter
        if self._error is not None:
            raise self._error
        if isinstance(self._frame.outcome, Exception):
            raise self._frame.outcome

    def settled(self) -> None:
        """The frame's outcome is set (any thread)."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._timer.cancel()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _late(self) -> None:
        self._loop.run_in_executor(None, self._abandon).add_done_callback(self._abandoned)

    def _abandoned(self, done: asyncio.Future[None]) -> None:
        if not done.cancelled():
            self._error = done.exception()
            self._wake()
