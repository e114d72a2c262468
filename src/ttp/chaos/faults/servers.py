"""Faults of the server: killed, out of memory, without room on its disk, replaced by its replica, its clock wrong."""

import contextlib
import signal
import tempfile
import time
from functools import partial
from pathlib import Path

from ttp.chaos.report import Report
from ttp.chaos.run import Run
from ttp.chaos.server import NotInjected, Server
from ttp.chaos.wrong_clock import WrongClock
from ttp.coordination.connection import Connection
from ttp.coordination.server_binary import ServerBinary
from ttp.errors import QueueFull, ServerUnavailable

AOF = ("--appendonly", "yes", "--appendfsync", "everysec")
DAY = 86_400  # seconds
LAG = 1.0  # seconds that a replica is behind when it is promoted


def restart_server(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """SIGKILL of a server with AOF, started again on its data."""
    with Run("restart-server", binary, tasks=tasks, seed=seed, count=count, settings=AOF) as run:
        feeder = run.feed()
        for _ in range(count):
            run.wait_for_work()
            run.server.kill()
            begun = time.monotonic()
            run.server.start()
            run.report.injected += 1
            run.look_again()
            run.recovered_after(begun, run.ended())
        feeder.finish()
        return run.judge()


def oom(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """The server is out of memory (noeviction): nothing is accepted, and what was accepted is worked off."""
    with Run("oom", binary, tasks=tasks, seed=seed, count=count) as run:
        while run.report.injected < count:
            for worker in run.fleet.workers:
                worker.send_signal(signal.SIGSTOP)
            run.emit(max(1, tasks // count))
            run.look.call("CONFIG", "SET", "maxmemory", "1")
            ended, waiting = run.ended(), run.stats().tasks
            for worker in run.fleet.workers:
                worker.send_signal(signal.SIGCONT)
            begun = time.monotonic()
            refused = _refused(run)
            run.wait("the queue worked off without memory", lambda: run.ended() >= 0 and not run.stats().tasks)
            run.report.recoveries.append(time.monotonic() - begun)
            if refused and waiting and run.ended() - ended >= waiting:
                run.report.injected += 1
            run.look.call("CONFIG", "SET", "maxmemory", "0")
        return run.judge()


def _refused(run: Run) -> bool:
    """Whether a submit is refused now, and says why."""
    run.work.emit(run.next_number)
    run.ledger.write("tried", run.next_number, run.next_number + 1)
    run.next_number += 1  # kept and sent again: accepted with the next batch
    try:
        run.app.flush(0.2)
    except QueueFull:
        return True
    return False


def disk_full(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """No room for the server's AOF: nothing is accepted; it goes on when there is room again."""
    with Run("disk-full", binary, tasks=tasks, seed=seed, count=count, settings=AOF) as run:
        feeder = run.feed()
        for _ in range(count):
            run.wait_for_work()
            run.server.limit_files(_aof_bytes(run.server.directory))
            run.wait("writes refused", lambda: _refuses_writes(run))
            run.report.injected += 1
            ended = run.ended()
            begun = time.monotonic()
            run.server.limit_files(None)
            run.recovered_after(begun, ended)
        feeder.finish()
        return run.judge()


def _aof_bytes(directory: Path) -> int:
    return max(file.stat().st_size for file in directory.rglob("*") if file.name.endswith(".aof"))


def _refuses_writes(run: Run) -> bool:
    try:
        run.look.call("SET", "ttp:{chaos.0}:probe", "x")
    except ServerUnavailable:  # MISCONF
        run.look_again()
        return True
    return False


def failover(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """The replica is promoted, and the old primary is a black hole: connected, and silent.

    Replication is asynchronous: a task counts as accepted once the primary says so, and the primary goes on for a
    second after its replica has left it. The new primary never had what was accepted in that second.
    """
    with Run("failover", binary, tasks=tasks, seed=seed, count=count, proxied=True) as run:
        replication = Replication(run, binary)
        feeder = run.feed()
        for _ in range(count):
            replication.wait()
            replication.part()
            accepted = run.app.sending.accepted
            parted = time.monotonic()
            run.wait("a second of tasks that only it has", partial(_accepts, run, accepted, parted + LAG))
            begun, resent = time.monotonic(), run.app.sending.resent
            replication.fail_over()
            run.report.injected += 1
            run.recovered_after(begun, run.ended())
            with contextlib.suppress(NotInjected):  # then they are lost, as the ledgers show
                run.wait("what was lost sent again", partial(_resends, run, resent))
            run.flush()
        feeder.finish()
        report = run.judge()
        if not run.app.sending.resent:
            report.problems.append("no accepted task was sent again, though the new primary lacked some")
        return report


def _accepts(run: Run, before: int, until: float) -> bool:
    """Whether more tasks are accepted than before, and it is so late."""
    run.ended()
    return run.app.sending.accepted > before and time.monotonic() > until


def _resends(run: Run, before: int) -> bool:
    """Whether the producer has noticed, and sends accepted tasks again."""
    run.ended()
    return run.app.sending.resent > before


class Replication:
    """The primary of a run, and its replica."""

    def __init__(self, run: Run, binary: ServerBinary) -> None:
        self._run = run
        self._binary = binary
        self._epoch = 0
        self._orders: Connection
        self._replica = self._follow()

    def _follow(self) -> Server:
        """A new replica of the primary."""
        run = self._run
        replica = Server(self._binary, run.directory / f"replica-{self._epoch}")
        run.at_end(replica.kill)
        replica.start()
        self._orders = replica.connect()  # once it is a replica, ttp will not connect to it
        run.at_end(self._orders.close)
        self._orders.call("REPLICAOF", "127.0.0.1", run.server.port)
        return replica

    def wait(self) -> None:
        """Wait until the replica has all that the primary had just now."""
        mark = str(time.monotonic())
        self._run.look.call("SET", "ttp:{chaos.0}:mark", mark)
        self._run.wait("the replica up to date", lambda: self._has(mark))

    def _has(self, mark: str) -> bool:
        self._run.ended()
        return bool(self._orders.call("GET", "ttp:{chaos.0}:mark") == mark.encode())

    def part(self) -> None:
        """The replica leaves its primary, and gets nothing more of it."""
        self._orders.call("REPLICAOF", "NO", "ONE")

    def fail_over(self) -> None:
        """The primary falls silent; its replica takes its place and gets a replica of its own."""
        run = self._run
        self._epoch += 1
        run.server.signal(signal.SIGSTOP)
        run.server = self._replica
        for proxy in run.proxies:
            proxy.reroute(run.server.port, black_hole=True)
        run.look_again()
        self._replica = self._follow()


def clock(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """The server's clock jumps a day ahead, or back: nobody is taken for dead, and nothing is run twice."""
    with tempfile.TemporaryDirectory(prefix="ttp-chaos-") as directory:
        now = WrongClock(Path(directory))
        with Run("clock", binary, tasks=tasks, seed=seed, count=count, environment=now.environment) as run:
            feeder = run.feed()
            for number in range(count):
                jump = 0 if number % 2 else run.rng.choice([DAY, -DAY])
                now.set(jump)
                begun, ended = time.monotonic(), run.ended()
                run.wait("the server's clock a day off", partial(_is_ahead, run, jump))
                run.report.injected += 1
                run.recovered_after(begun, ended)
            feeder.finish()
            report = run.judge()
            if report.run_twice:
                report.problems.append(f"{report.run_twice} tasks run twice: somebody was taken for dead")
            return report


def _is_ahead(run: Run, seconds: float) -> bool:
    """Whether the server's clock is so far ahead of this machine's."""
    return abs(int(run.look.call("TIME")[0]) - time.time() - seconds) < DAY / 2
