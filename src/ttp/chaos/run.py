"""One run: servers, workers, a producer that emits while the fault happens, and the verdict."""

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Self

from ttp.app import App
from ttp.chaos.fleet import Fleet
from ttp.chaos.ledgers import ExecutionLedger, ProducerLedger, commit_ledger
from ttp.chaos.proxy import Proxy
from ttp.chaos.report import Report
from ttp.chaos.server import NotInjected, Server
from ttp.coordination import commands, inspection
from ttp.coordination.connection import Connection
from ttp.coordination.server_binary import ServerBinary
from ttp.errors import QueueFull, ServerUnavailable, TtpError

BATCH = 500  # tasks between two flushes of the producer
PATIENCE = 90.0  # seconds in which a step must come to its end
FLUSH = 5.0  # seconds
WORKERS = 2
AHEAD = 4000  # tasks that the producer may be ahead of the workers


class Run:
    """Everything of one run; closing it ends all processes.

    Args:
        count: how often the fault is to happen.
        proxied: the producer and the workers reach the server through a proxy each, `proxies`.
        settings, environment: of the server.
        workers, fleet: of `Fleet`.
    """

    def __init__(
        self,
        fault: str,
        binary: ServerBinary,
        *,
        tasks: int,
        seed: int,
        count: int,
        proxied: bool = False,
        settings: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        workers: int = WORKERS,
        **fleet: Any,
    ) -> None:
        self.rng = Random(seed)  # noqa: S311 - chance that can be repeated
        self.report = Report(fault, str(binary), tasks, seed, wanted=count)
        self.seen_ended = 0  # tasks that had come to their end when last looked at
        self.next_number = 0
        self.deferred = 0  # tasks that were put off, known once the workers have ended
        self.going_on = True  # the fault is not over: go on emitting
        self._stack = ExitStack()
        try:
            self.directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ttp-chaos-")))
            self.server = Server(binary, self.directory / "server", *settings, environment=environment)
            self._stack.callback(self.server.kill)
            self.server.start()
            self.proxies = [Proxy(self.server.port), Proxy(self.server.port)]
            for proxy in self.proxies:
                self._stack.callback(proxy.close)
            ports = [proxy.port if proxied else self.server.port for proxy in self.proxies]
            self.app = App("chaos", f"redis://127.0.0.1:{ports[0]}/0")
            self._stack.callback(self.app.close, 1.0)
            self.keys, self.ledger_keys = self.app.keys("default"), self.app.keys("ledger")
            self.work = self.app.remote("work")
            self.ledger = ProducerLedger(self.directory / "producer")
            self._stack.callback(self.ledger.close)
            self.look_again()
            self.look.ensure_queue(self.keys)
            self.fleet = Fleet(f"redis://127.0.0.1:{ports[1]}/0", self.directory, workers, **fleet)
            self._stack.callback(self.fleet.kill_all)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def at_end(self, call: Callable[[], object]) -> None:
        """Call when the run is over, whatever becomes of it."""
        self._stack.callback(call)

    # looking on, past the proxy

    def look_again(self) -> None:
        """Connect to the server that is the primary now."""
        self.look: Connection = self.server.connect()
        self._stack.callback(self.look.close)

    def stats(self) -> inspection.Stats:
        """The queue's numbers."""
        return inspection.stats_reply(self.look.call_many(inspection.stats(self.keys)))

    def ended(self) -> int:
        """Tasks that came to their end."""
        numbers = self.stats()
        self.seen_ended = numbers.done + numbers.dead
        return self.seen_ended

    def pending(self, pid: int) -> list[str]:
        """Entries that are delivered to a process and not committed."""
        stream = self.keys.stream(1)
        return [
            entry
            for consumer in self.look.call("XINFO", "CONSUMERS", stream, "g")
            if f"-{pid}-" in (name := consumer[b"name"].decode())
            for entry in commands.pending_ids(self.look.call(*commands.pending(stream, name)))
        ]

    def committed(self, entries: list[str]) -> bool:
        """Whether all of these entries are."""
        self.ended()
        return not any(self.look.call(*commands.entry(self.keys.stream(1), entry)) for entry in entries)

    def wait(self, what: str, condition: Callable[[], bool], *, alive: bool = True) -> float:
        """Look until it is so; seconds it took. NotInjected names what did not come about.

        Args:
            alive: replace workers that have died meanwhile.
        """
        begun = time.monotonic()
        while not condition():
            if time.monotonic() - begun > PATIENCE:
                raise NotInjected(f"not within {PATIENCE:.0f} s: {what}")
            if alive:
                self.fleet.replace_dead()
            time.sleep(0.002)
        return time.monotonic() - begun

    def wait_for_work(self) -> None:
        """Wait until more tasks have come to their end than now."""
        ended = self.ended()
        self.wait("some work", lambda: self.ended() > ended)

    def accepted_more(self, tasks: int) -> None:
        """Wait until the ledger of a producer that sends its numbers in their order has so many more accepted."""
        goal = self.ledger.end("accepted") + tasks
        self.wait("accepted tasks", lambda: self.ledger.end("accepted") >= goal)

    # producing

    def emit(self, count: int) -> None:
        """Send tasks until they are accepted, however often the server fails; the ledger knows before and after."""
        start = self.next_number
        self.next_number = stop = start + count
        self.ledger.write("tried", start, stop)
        for n in range(start, stop):
            self._patiently(self.work.emit, n)
        self.flush()
        self.ledger.write("accepted", start, stop)

    def flush(self) -> None:
        """Wait until all is accepted that was emitted, and all that is sent again, however often the server fails."""
        self._patiently(self.app.flush, FLUSH)

    def emit_in_step(self, count: int) -> None:
        """`emit`, once the workers are not far behind: else the queue would still drain when patience is over."""
        self.wait("workers that keep up", lambda: self.next_number - self.ended() <= AHEAD)
        self.emit(count)

    def _patiently(self, call: Callable[..., Any], *arguments: object) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                call(*arguments)
            except (ServerUnavailable, QueueFull):
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def feed(self) -> "Feeder":
        """Emit all tasks in a thread, while the fault happens here."""
        feeder = Feeder(self)
        self._stack.callback(feeder.stop)
        return feeder

    def recovered_after(self, begun: float, ended: int) -> None:
        """Wait for the first commit after a fault, and note how long it took."""
        self.wait("a commit after the fault", lambda: self.ended() > ended)
        self.report.recoveries.append(time.monotonic() - begun)

    # the verdict

    def judge(self, *, dead: int = 0, strange: bool = False) -> Report:
        """Drain the queue, end the workers, and compare the ledgers.

        Args:
            dead: tasks that the fault makes dead letters.
            strange: these were not among those the producer sent.
        """
        report = self.report
        report.tasks = self.next_number
        accepted, tried = self.ledger.read("accepted"), self.ledger.read("tried")
        try:
            self.wait("the queue drained", self._drained)
        except NotInjected as error:
            report.problems.append(f"{error}: {self.stats()}")
        report.fenced, self.deferred = self.fleet.stop()
        committed = commit_ledger(self.look, self.ledger_keys)
        executed = ExecutionLedger.read(self.directory)
        numbers = self.stats()
        missing = accepted - committed.keys()
        report.lost = max(0, len(missing) - (0 if strange else dead))
        report.doubled = committed.total() - len(committed) + len(committed.keys() - tried)
        report.run_twice = sum(count - 1 for count in executed.values())
        if numbers.dead != dead:
            report.problems.append(f"{numbers.dead} dead letters, not {dead}")
        if numbers.done != len(committed):
            report.problems.append(f"counted {numbers.done} done, committed {len(committed)}")
        if committed.keys() - executed.keys():
            report.problems.append(f"{len(committed.keys() - executed.keys())} committed and never executed")
        return report

    def _drained(self) -> bool:
        numbers = self.stats()
        return not (numbers.tasks or numbers.frames or numbers.delayed_frames)


class Feeder:
    """Emits in a thread: all tasks of the run, and on until the fault is over, never far ahead of the workers."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._stopping = False
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="chaos-feeder", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        run = self._run
        try:
            while (run.going_on or run.next_number < run.report.tasks) and not self._stopping:
                if run.next_number - run.seen_ended > AHEAD:
                    time.sleep(0.001)
                    continue
                run.emit(BATCH)
        except (TtpError, OSError) as error:
            self.error = error

    def stop(self) -> None:
        """Emit no further batch."""
        self._stopping = True
        self._thread.join(1.0)

    def finish(self) -> None:
        """The fault is over: wait until enough is accepted; the report says what went wrong."""
        run = self._run
        run.going_on = False
        with contextlib.suppress(NotInjected):
            while self._thread.is_alive():  # patient as long as work goes on
                ended = run.ended()
                run.wait("progress", partial(self._went_on, ended))
        if self.error is not None:
            run.report.problems.append(f"the producer gave up: {self.error}")
        elif self._thread.is_alive():
            run.report.problems.append(f"no work for {PATIENCE:.0f} s, and not all tasks are accepted")

    def _went_on(self, ended: int) -> bool:
        return self._run.ended() > ended or not self._thread.is_alive()
