"""Workers, in each of which the nth allocation fails, and one that takes over what they leave. See the test.

Prints how many of them died of it.
"""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence

import without_memory

import ttp
from real_server import BINARIES, running
from ttp.coordination import inspection
from ttp.worker import coroutines  # noqa: F401 - else most of what fails is its import
from ttp.worker.pool import WorkerPool

TASKS = 3
PATIENCE = 30.0  # seconds until a worker hangs


def made(url: str) -> ttp.App:
    """An app whose tasks have a child each, which commits with them."""
    app = ttp.App("plant", url)

    @app.task(name="child", queue="children")
    def child(_number: int) -> None: ...

    @app.task(name="parent")
    def parent(number: int) -> int:
        child.emit(number)
        return number * number

    @app.task(name="coroutine")
    async def coroutine(number: int) -> int:
        child.emit(number)
        await asyncio.sleep(0)
        return number * number

    return app


def work(app: ttp.App, queue: str, nth: int, threads: int) -> None:
    """Drain a queue while an allocation fails; ends the process, with 1 for an error of the worker."""
    status = 1
    try:
        pool = WorkerPool(app, queues=[queue], threads=threads, lease=0.1)
        with without_memory.failing(nth):
            pool.run(burst=True)
        status = 0
    finally:
        os._exit(status)


def ended(pid: int) -> int:
    """Wait for a worker: its exit code. AssertionError if it does not end."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError("it neither works nor ends")


def main(allocations: Sequence[int]) -> None:
    """One worker after the other, on a queue of its own each."""
    logging.disable()
    died = 0
    with running(BINARIES[0]) as server, made(server.url) as app:
        queues, handles = [], []
        for place, nth in enumerate(allocations):
            queue = f"q{nth}"
            parent = app.remote(("parent", "parent", "coroutine")[place % 3], queue=queue)
            queues.append(queue)
            handles.append([parent.submit(number) for number in range(TASKS)])
            pid = os.fork()
            if not pid:
                work(app, queue, nth, threads=1 + (place % 3 == 1))
            try:
                died += ended(pid) != 0
            except AssertionError as error:
                raise AssertionError(f"allocation {nth}: {error}") from None
        WorkerPool(app, queues=[*queues, "children"], lease=0.1).run(burst=True)
        for queue, mine in zip(queues, handles, strict=True):
            assert [handle.result(10) for handle in mine] == [0, 1, 4], queue
        connection = server.connect()
        try:
            for queue, tasks in [*((queue, TASKS) for queue in queues), ("children", TASKS * len(queues))]:
                found = inspection.stats_reply(connection.call_many(inspection.stats(app.keys(queue))))
                # A handler that runs out of memory itself is tried again; its commit counts once.
                assert (found.accepted, found.done, found.dead) == (tasks, tasks, 0), (queue, found)
                assert (found.tasks, found.bytes, found.frames) == (0, 0, 0), (queue, found)
        finally:
            connection.close()
    sys.stdout.write(f"{died}\n")


if __name__ == "__main__":
    main(range(*map(int, sys.argv[1:])))
