"""Run a job's rows as coroutines."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from ttp.errors import TaskTimeout
from ttp.native import BACK, DONE, Slice, scope
from ttp.worker.guard import Guard
from ttp.worker.job import BackToQueue, Job
from ttp.worker.runners import end_slice
from ttp.worker.traced import span_of


class AsyncRunner:
    """One event loop in a thread of its own; at most `concurrency` tasks run at a time.

    Attributes:
        ended: called in the loop's thread with each job whose last slice has ended.
    """

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self.ended: Callable[[Job], None] = lambda _: None
        self._waiting: deque[Slice] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="ttp-async", daemon=True)
        self._thread.start()

    def start(self, job: Job) -> None:
        """Queue every row of a job."""
        parts = job.cut_into(1)
        job.started = time.monotonic()
        self.loop.call_soon_threadsafe(self._add, parts)

    @property
    def idle(self) -> bool:
        """Few enough rows wait that another frame is welcome."""
        return len(self._waiting) < self._concurrency

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the loop and wait for it here."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def give_back(self) -> None:
        """Cancel what runs; the tasks go back to the queue."""
        self.loop.call_soon_threadsafe(lambda: [task.cancel("grace is over") for task in self._running])

    def close(self) -> None:
        """Stop the loop and close it."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _add(self, parts: list[Slice]) -> None:
        self._waiting.extend(parts)
        self._fill()

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._concurrency:
            part = self._waiting.popleft()
            if part.next < part.stop and not part.halted:
                task = self.loop.create_task(self._run(part.state, part))
                self._running.add(task)
                task.add_done_callback(self._finished)
            elif end_slice(part.state):
                self.ended(part.state)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._fill()

    async def _run(self, job: Job, part: Slice) -> None:
        if job.handler.tracing is None:
            await self._run_row(job, part)
        else:
            with span_of(job.handler.tracing, job, part):
                await self._run_row(job, part)
        if end_slice(job):
            self.ended(job)

    async def _run_row(self, job: Job, part: Slice) -> None:
        scope.set(part)
        row = part.next
        breaker = job.handler.breaker
        guard = None if breaker is None else Guard(breaker, job, part)
        part.begin(row)
        limit = asyncio.timeout(job.handler.timeout)
        try:
            args, kwargs = job.view.arguments(row)
            async with limit:
                value = await job.handler.function(*args, **kwargs)
            part.finish(row, DONE, value)
        except BaseException as raised:
            error: BaseException = raised
            if limit.expired() and isinstance(error, TimeoutError):
                error = TaskTimeout(f"no end within {job.handler.timeout} s")
            elif job.stopping and isinstance(error, asyncio.CancelledError):
                error = BackToQueue()
            if isinstance(error, BackToQueue):
                outcome = BACK
            else:
                outcome = job.failed(part, row, error) if guard is None else guard.failed(row, error)
            part.finish(row, outcome)
        if guard is not None:
            guard.ended()
