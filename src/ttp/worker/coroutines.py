"""Run jobs' rows as coroutines."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from ttp.native import Slice
from ttp.worker.deadlines import Deadlines
from ttp.worker.job import Job, end_slice
from ttp.worker.slice_task import SliceTask
from ttp.worker.vital import Vital


class AsyncRunner:
    """One event loop in a thread of its own; at most `concurrency` tasks run at a time.

    A job is one slice at first. Rows of a handler that waits are cut off it one by one, each for an asyncio task;
    rows of one that does not run one after the other in the same task.

    Attributes:
        ended: called in the loop's thread with each job whose last slice has ended.
        vital: notes what fails in the loop, where no handler is to blame.
    """

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self.ended: Callable[[Job], None] = lambda _: None
        self._waiting: deque[Slice] = deque()
        self._running: dict[SliceTask, asyncio.Task[None]] = {}
        self._waits: set[str] = set()  # tasks whose last row has waited
        self._trying = False  # some rows have just begun, and nobody knows yet whether they wait
        self.vital = Vital()
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(self._callback_failed)
        self._deadlines = Deadlines(self.loop)
        self._thread = self.vital.thread("ttp-async", self._work)
        self._thread.start()

    def start(self, job: Job) -> None:
        """Queue every row of a job."""
        self.loop.call_soon_threadsafe(self._add, job.cut_into(len(job.view)))

    @property
    def idle(self) -> bool:
        """Few enough rows wait that another frame is welcome."""
        return sum(part.stop - part.next for part in self._waiting.copy()) < self._concurrency

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the loop and wait for it here."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def give_back(self) -> None:
        """Cancel what runs; the tasks go back to the queue."""
        self.loop.call_soon_threadsafe(self._give_back)

    def close(self) -> None:
        """Stop the loop and close it."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _work(self) -> None:
        stopped = False
        while not stopped:
            with self.vital:  # after a failure there is still the app's lifespan to end
                self.loop.run_forever()
                stopped = True

    def _callback_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """When asyncio has no memory it forgets who waited for whom: some task may never go on."""
        if "handle" in context and isinstance(error := context.get("exception"), MemoryError):
            self.vital.failure = self.vital.failure or error
        loop.default_exception_handler(context)

    def _give_back(self) -> None:
        for running in self._running:
            running.give_back()

    def _add(self, parts: list[Slice]) -> None:
        with self.vital:
            self._waiting.extend(parts)
            self._fill()

    def _fill(self) -> None:
        while self._waiting:
            part = self._waiting[0]
            if part.next < part.stop and not part.halted:
                if self._trying or len(self._running) >= self._concurrency:
                    return
                self._waiting.popleft()
                self._begin(part)
            else:
                self._waiting.popleft()
                self._end(part.state)

    def _begin(self, part: Slice) -> None:
        job: Job = part.state
        if job.handler.name in self._waits:
            self._put_back(part, part.next + 1)
        else:
            self._trying = True
        running = SliceTask(part, self._deadlines, self._row_waits)
        self._running[running] = self.loop.create_task(self._run(running))

    def _put_back(self, part: Slice, row: int) -> None:
        """The rows from this one on run in another task."""
        rest = part.state.detach(part, row)
        if rest is not None:
            self._waiting.appendleft(rest)

    async def _run(self, running: SliceTask) -> None:
        part = running.part
        job: Job = part.state
        job.started = job.started or time.monotonic()
        with self.vital:
            await running.run()
            del self._running[running]
            if not running.waited:
                self._waits.discard(job.handler.name)
                self._trying = False
                self._put_back(part, part.next)
            self._end(job)
            self._fill()

    def _row_waits(self, running: SliceTask) -> None:
        with self.vital:  # the row is not to blame
            self._waits.add(running.part.state.handler.name)
            self._trying = False
            self._put_back(running.part, running.part.next)
            self._fill()

    def _end(self, job: Job) -> None:
        if end_slice(job):
            self.ended(job)
