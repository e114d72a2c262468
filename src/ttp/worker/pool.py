"""Worker processes: one in this process, or several that a supervisor forks and restarts."""

import contextlib
import importlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from ttp.coordination.connection import Connection
from ttp.coordination.keys import Keys, check_name
from ttp.errors import ServerRefused
from ttp.policy import Clock
from ttp.worker.handler import Handler, Lifespan
from ttp.worker.scoreboard import Scoreboard
from ttp.worker.settings import Settings
from ttp.worker.worker import Worker

log = logging.getLogger("ttp.pool")

EXIT_REFUSED = 3
STOPPING = (signal.SIGTERM, signal.SIGINT)
RESTART_PAUSE = 1.0  # seconds before a process that died young is started again


class Served(Protocol):
    """What a pool asks of an app."""

    @property
    def handlers(self) -> Mapping[str, Handler]: ...
    @property
    def imports(self) -> Sequence[str]: ...
    @property
    def lifespan(self) -> Lifespan | None: ...
    @property
    def clock(self) -> Clock: ...
    def keys(self, queue: str) -> Keys: ...
    def open_connection(self, timeout: float, name: str | None = None) -> Connection: ...
    def close(self, timeout: float = 5.0) -> None: ...


class WorkerPool:
    """Runs an app's handlers.

    Attributes:
        ready: set once the worker in this process is connected.
        exit_on_overdue: end the process when the grace of a stop is over and a handler still runs.

    Args:
        app: the app whose tasks are run.
        queues: names of the queues to serve; None: all that the app's tasks name.
        threads: threads for handlers that wait; 1 runs them in the worker's own thread, fastest.
        processes: independent workers, forked; a supervisor restarts them.
        concurrency: async handlers at a time, per process.
        grace: seconds that running handlers get when stopped; then their tasks go back to the queue.
        lease: seconds a worker must be connected before it calls another dead.
        stall: seconds without heartbeat after which a connected worker's frames are taken over; above the
            longest timeout.
        scoreboard: where the processes count, one slot each; None: each for itself.
    """

    def __init__(
        self,
        app: Served,
        *,
        queues: Sequence[str] | None = None,
        threads: int = 1,
        processes: int = 1,
        concurrency: int = 100,
        grace: float = 25.0,
        lease: float = 5.0,
        stall: float = 60.0,
        scoreboard: Scoreboard | None = None,
    ) -> None:
        for name, value in (("threads", threads), ("processes", processes), ("concurrency", concurrency)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if isinstance(queues, str):
            raise TypeError(f"queues is a list of names, [{queues!r}], not {queues!r}")
        for queue in queues or ():
            check_name("queue", queue)
        self._app = app
        self._queues = queues
        self._processes = processes
        self._settings = Settings(threads=threads, concurrency=concurrency, grace=grace, lease=lease, stall=stall)
        self._worker: Worker | None = None
        self._children: dict[int, float] = {}  # pid → when it was born
        self._supervisor = 0  # its pid, where there are several processes
        self._untold: dict[int, None] = {}  # pids that were not asked to stop: a second asking would end them at once
        self._slots: dict[int, int] = {}  # pid → its slot in the scoreboard
        self._scoreboard = scoreboard
        self._lifelines: list[int] = []
        self._stopping = False
        self.exit_on_overdue = True
        self.ready = threading.Event()

    @property
    def worker(self) -> Worker | None:
        """The worker in this process, once it runs."""
        return self._worker

    def run(self, *, burst: bool = False) -> None:
        """Work until `stop` or a signal; with burst, until no task is ready, running or waiting for a retry.

        SIGTERM and SIGINT stop it, a second one ends the process at once.

        Raises:
            ServerRefused: the server will not serve this worker.
            ValueError: a queue or handler is missing.
        """
        for module in self._app.imports:
            importlib.import_module(module)
        settings = replace(self._settings, burst=burst)
        with self._signals():
            if self._processes == 1:
                self._run_here(settings)
            else:
                self._supervise(settings)

    def stop(self) -> None:
        """Stop in good order: fetching ends, unstarted tasks go back, running ones get their grace."""
        self._stopping = True
        if self._worker is not None:
            self._worker.stop()
        if os.getpid() == self._supervisor:  # a child that is told before it knows that it is one has siblings here
            for pid in list(self._untold):
                self._tell(pid)

    def _tell(self, pid: int) -> None:
        """Ask a child to stop, once, whichever thread comes first."""
        if self._untold.pop(pid, self) is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    # one process

    def _run_here(self, settings: Settings, slot: int = 0) -> None:
        handlers = dict(self._app.handlers)
        queues = list(self._queues) if self._queues else sorted({h.queue for h in handlers.values()})
        if not queues:
            raise ValueError("this app has no tasks: nothing to serve")
        coroutines = None
        lifespan = self._app.lifespan() if self._app.lifespan is not None else None
        if hasattr(lifespan, "__aenter__") or any(h.kind == "async" for h in handlers.values()):
            from ttp.worker.coroutines import AsyncRunner  # noqa: PLC0415 - asyncio only where it is used

            coroutines = AsyncRunner(settings.concurrency)
        try:
            with _entered(lifespan, coroutines) as state:
                self._worker = Worker(
                    handlers=handlers,
                    queues=[self._app.keys(queue) for queue in queues],
                    open_connection=lambda name, timeout: self._app.open_connection(timeout, name),
                    settings=settings,
                    clock=self._app.clock,
                    state=state,
                    coroutines=coroutines,
                    ready=self.ready,
                    overdue=self._overdue,
                    slot=None if self._scoreboard is None else self._scoreboard.slot(slot),
                )
                if self._stopping:
                    self._worker.stop()
                log.info("worker %s serves %s", self._worker.consumer, ", ".join(queues))
                self._worker.run()
        finally:
            if coroutines is not None:
                coroutines.close()

    def _overdue(self) -> None:
        """Tasks are back in the queue while their handlers still run: only the end of the process ends these."""
        if self.exit_on_overdue:
            logging.shutdown()
            os._exit(0)

    # several

    def _supervise(self, settings: Settings) -> None:
        if not hasattr(os, "fork"):
            raise ValueError("processes > 1 needs os.fork: start several workers instead")
        self._supervisor = os.getpid()
        for slot in range(self._processes):
            self._spawn(settings, slot)
        refused = False
        while self._children:
            try:
                pid, status = os.wait()
            except ChildProcessError:
                break
            born = self._children.pop(pid, None)
            if born is None:
                continue
            self._untold.pop(pid, None)
            slot = self._slots.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            refused = refused or code == EXIT_REFUSED
            if refused:
                self.stop()
            elif not self._stopping and not (settings.burst and code == 0):
                log.warning("worker process %d ended with %d: starting another", pid, code)
                if time.monotonic() - born < RESTART_PAUSE:
                    time.sleep(RESTART_PAUSE)
                if not self._stopping:
                    self._spawn(settings, slot)
        if refused:
            raise ServerRefused("the server refused the workers; their own message says why")

    def _spawn(self, settings: Settings, slot: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        read_end, write_end = os.pipe()
        pid = _fork()
        if pid:
            os.close(read_end)
            self._lifelines.append(write_end)  # closes with this process, however it ends
            self._children[pid] = time.monotonic()
            self._slots[pid] = slot
            self._untold[pid] = None
            if self._stopping:  # asked to between the fork and now, when nobody knew of this child
                self._tell(pid)
            return
        code = 1
        try:
            os.setpgid(0, 0)  # a Ctrl-C is the supervisor's, who then stops us: it must not count twice
            for inherited in (*self._lifelines, write_end):
                os.close(inherited)
            self._children.clear()
            threading.Thread(target=self._follow, args=(read_end,), name="ttp-lifeline", daemon=True).start()
            self._run_here(settings, slot)
            self._app.close()
            code = 0
        except ServerRefused as error:
            log.error("%s", error)  # noqa: TRY400
            code = EXIT_REFUSED
        except BaseException:
            log.exception("worker process")
        finally:
            logging.shutdown()
            os._exit(code)

    def _follow(self, lifeline: int) -> None:
        """Stop when the supervisor is gone."""
        os.read(lifeline, 1)
        log.warning("the supervisor is gone: stopping")
        self.stop()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Handle SIGTERM and SIGINT while running, where this thread may."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handle(number: int, _frame: object) -> None:
            if self._stopping:
                for pid in self._children:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                os._exit(128 + number)
            self._stopping = True
            # By another thread: this one may be inside a lock that stopping takes.
            threading.Thread(target=self.stop, name="ttp-stop", daemon=True).start()

        before = {number: signal.signal(number, handle) for number in STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _fork() -> int:
    """os.fork, with signals held back: CPython drops those that reach a child before it is in order."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        return os.fork()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _entered(lifespan: Any, coroutines: Any) -> Iterator[Any]:
    """Enter a lifespan, sync or async, and yield its state."""
    if lifespan is None:
        yield None
    elif hasattr(lifespan, "__aenter__"):
        state = coroutines.run(lifespan.__aenter__())
        try:
            yield state
        finally:
            coroutines.run(lifespan.__aexit__(None, None, None))
    else:
        with lifespan as state:
            yield state
