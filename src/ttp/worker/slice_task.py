"""Run a slice's rows as coroutines in one asyncio task."""

import asyncio
import contextvars
import time
import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import nullcontext
from typing import Any

from ttp.errors import TaskTimeout
from ttp.native import BACK, DONE, Slice, scope
from ttp.native.unawaited import refuse
from ttp.worker.deadlines import Deadlines
from ttp.worker.guard import Guard
from ttp.worker.job import Job
from ttp.worker.runners import MAX_SLICE_ROWS
from ttp.worker.traced import span_of


class SliceTask:
    """Rows one after the other, until one of them waits; it keeps the asyncio task for itself.

    So rows that never wait need no asyncio task each. Every row has a context (contextvars) of its own.

    Args:
        waits: called when a row waits for the first time: the rows behind it are for another task.

    Attributes:
        waited: a row has waited.
    """

    __slots__ = ("_deadlines", "_due", "_expired", "_job", "_task", "_waits", "part", "waited")

    def __init__(self, part: Slice, deadlines: Deadlines, waits: "Callable[[SliceTask], None]") -> None:
        self.part = part
        self.waited = False
        self._job: Job = part.state
        self._deadlines = deadlines
        self._waits = waits
        self._task: asyncio.Task[Any] | None = None
        self._due = 0.0
        self._expired = False

    async def run(self) -> None:
        """Run some rows: until one has waited, or others are to have a turn."""
        self._task = asyncio.current_task()
        assert self._task is not None
        part, tracing = self.part, self._job.handler.tracing
        scope.set(part)  # each row's context is a copy of this task's
        with nullcontext() if tracing is None else span_of(tracing, self._job, part):
            for _ in range(MAX_SLICE_ROWS):
                if part.next >= part.stop or part.halted or self._task.cancelling():
                    return
                await self._run_row(part.next)

    def give_back(self) -> None:
        """Cancel the row that waits; it goes back to the queue."""
        if self._task is not None:
            self._task.cancel("grace is over")

    async def _run_row(self, row: int) -> None:
        job, part = self._job, self.part
        handler = job.handler
        guard = None if handler.breaker is None else Guard(handler.breaker, job, part)
        if handler.timeout is not None:
            self._due = time.monotonic() + handler.timeout  # which is the loop's clock
        part.begin(row)
        try:
            args, kwargs = job.view.arguments(row)
            value = await self._steps(handler.function(*args, **kwargs))
            if type(value) is types.CoroutineType:
                refuse(value)
            part.finish(row, DONE, value)
        except BaseException as error:
            part.finish(row, self._outcome(row, error, guard))
        if self.waited:
            self._deadlines.discard(self)
        if guard is not None:
            guard.ended()

    def _outcome(self, row: int, error: BaseException, guard: Guard | None) -> int:
        if isinstance(error, asyncio.CancelledError):
            if self._expired:
                error = TaskTimeout(f"no end within {self._job.handler.timeout} s")
            elif self._job.stopping:
                return BACK
        return self._job.failed(self.part, row, error) if guard is None else guard.failed(row, error)

    @types.coroutine
    def _steps(self, coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Drive a coroutine within a context of its own."""
        context = contextvars.copy_context()
        step, value = coroutine.send, None
        while True:
            try:
                awaited = context.run(step, value)
            except StopIteration as end:
                return end.value
            if not self.waited:
                self._wait()
            try:
                value, step = (yield awaited), coroutine.send
            except BaseException as error:
                value, step = error, coroutine.throw

    def _wait(self) -> None:
        self.waited = True
        if self._job.handler.timeout is not None:
            self._deadlines.add(self, self._due)
        self._waits(self)

    def expire(self) -> None:
        """The row's time is up."""
        self._expired = True
        assert self._task is not None
        self._task.cancel()
