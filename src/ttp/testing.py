"""For tests of your own tasks: a worker inside the test, with a clock that the test moves."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ttp.app import App
from ttp.worker.pool import WorkerPool


class TestWorker:
    """A worker that runs in a thread of the test."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    def __init__(self, app: App, pool: WorkerPool) -> None:
        self._app = app
        self.pool = pool

    def advance(self, seconds: float) -> None:
        """Move the app's clock on: what is delayed for so long is due now."""
        self._app.clock.offset += seconds


@contextmanager
def worker(
    app: App, *, queues: Sequence[str] | None = None, threads: int = 1, concurrency: int = 100, grace: float = 5.0
) -> Iterator[TestWorker]:
    """Run a worker for the app while the block runs; it is connected when the block begins.

    An error of the worker itself (not of a handler) is raised when the block ends.
    """
    pool = WorkerPool(app, queues=queues, threads=threads, concurrency=concurrency, grace=grace)
    pool.exit_on_overdue = False
    failed: list[BaseException] = []

    def work() -> None:
        try:
            pool.run()
        except BaseException as error:
            failed.append(error)
        finally:
            pool.ready.set()

    thread = threading.Thread(target=work, name="ttp-test-worker", daemon=True)
    thread.start()
    pool.ready.wait()
    offset = app.clock.offset
    try:
        if not failed:
            yield TestWorker(app, pool)
    finally:
        pool.stop()
        thread.join(grace + 5.0)
        app.clock.offset = offset
    if failed:
        raise failed[0]


def drain(app: App, *, queues: Sequence[str] | None = None, threads: int = 1) -> None:
    """Run, in this thread, until no task is ready, running or waiting for a retry."""
    app.flush()
    pool = WorkerPool(app, queues=queues, threads=threads)
    pool.exit_on_overdue = False
    pool.run(burst=True)
