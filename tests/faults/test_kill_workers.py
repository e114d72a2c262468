"""kill -9 of workers in mid-drain: every task is executed, each is committed once, and work resumes in seconds."""

import os
import signal
import struct
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import ttp
from real_server import BINARIES, running
from ttp.coordination import commands, inspection
from ttp.coordination.keys import Keys
from ttp.native import BACKEND, FrameView

TASKS = int(os.environ.get("TTP_KILL_TASKS", "1000000"))
KILLS = 10
RESUMED_WITHIN = 7.0  # seconds

WORKER = """
    import mmap, os, struct, time, ttp

    app = ttp.App("kill")
    executed = open(f"executed.{os.getpid()}", "ab", buffering=0)
    pace = mmap.mmap(os.open("pace", os.O_RDONLY), 1, prot=mmap.PROT_READ)

    @app.task
    def work(n: int) -> None:
        executed.write(struct.pack("<I", n))  # straight to the kernel: it outlives the process
        committed.emit(n)
        if pace[0]:
            time.sleep(0.0005)  # a kill is due: however fast the machine, the drain outlasts it

    committed = app.remote("committed", queue="ledger")  # a child commits with its parent, or not at all
    ttp.WorkerPool(app, queues=["default"]).run()
"""


@pytest.fixture
def app() -> Iterator[ttp.App]:
    """An app on a server of its own."""
    with running(BINARIES[0]) as server, ttp.App("kill", server.url) as app:
        yield app


class Fleet:
    """Two workers, one of which is killed now and then."""

    def __init__(self, app: ttp.App, directory: Path) -> None:
        self._environment = os.environ | {"TTP_URL": str(app.url), "PYTHONPATH": os.pathsep.join(sys.path)}
        self._directory = directory
        self.pace(slow=False)
        self.workers = [self._spawn(), self._spawn()]

    def _spawn(self) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-c", textwrap.dedent(WORKER)]
        return subprocess.Popen(program, cwd=self._directory, env=self._environment)

    def pace(self, *, slow: bool) -> None:
        """How fast handlers run from now on."""
        file = self._directory / "pace"
        with file.open("r+b" if file.exists() else "wb") as shared:
            shared.write(bytes([slow]))

    def kill(self, which: int) -> int:
        """SIGKILL one and start another in its place. Returns the victim's pid."""
        victim = self.workers[which]
        victim.kill()
        victim.wait()
        self.workers[which] = self._spawn()
        return victim.pid

    def kill_all(self) -> None:
        """End what is left of them."""
        for worker in self.workers:
            worker.kill()
            worker.wait()

    def stop(self) -> None:
        """End them in good order."""
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            assert worker.wait(60) == 0


def stand_still(process: subprocess.Popen[bytes]) -> None:
    """SIGSTOP; returns when none of its threads runs any more."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)


class Looker:
    """Looks at the queue from outside."""

    def __init__(self, app: ttp.App) -> None:
        self._keys = app.keys("default")
        self._connection = app.open_connection(5.0)
        self._connection.ensure_queue(self._keys)

    def done(self) -> int:
        """Tasks committed."""
        return inspection.stats_reply(self._connection.call_many(inspection.stats(self._keys))).done

    def pending(self, pid: int) -> list[str]:
        """Ids of the frames that are pending for a process."""
        stream = self._keys.stream(1)
        return [
            entry_id
            for consumer in self._connection.call("XINFO", "CONSUMERS", stream, "g")
            if f"-{pid}-" in (name := consumer[b"name"].decode())
            for entry_id in commands.pending_ids(self._connection.call(*commands.pending(stream, name)))
        ]

    def exist(self, entries: list[str]) -> bool:
        """Whether any of these entries is not committed yet."""
        return any(self._connection.call(*commands.entry(self._keys.stream(1), entry)) for entry in entries)

    def ledger(self, keys: Keys) -> Counter[int]:
        """Every task number in the ledger's stream, read as plain stream entries."""
        counted: Counter[int] = Counter()
        after = "-"
        while page := self._connection.call("XRANGE", keys.stream(1), after, "+", "COUNT", 100):
            for entry_id, fields in page:
                frame = FrameView(dict(zip(fields[::2], fields[1::2], strict=True))[b"f"])
                counted.update(frame.arguments(row)[0][0] for row in range(len(frame)))
                after = "(" + entry_id.decode()
        return counted

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(BACKEND != "native", reason="the pure twin drains too little between two kills")
def test_all_executed_each_committed_once(app: ttp.App, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    task = app.remote("work")
    for n in range(TASKS):
        task.emit(n)
    app.flush(60)
    look = Looker(app)
    fleet = Fleet(app, tmp_path)
    request.addfinalizer(fleet.kill_all)
    recoveries = []
    for kill in range(KILLS):
        victim = fleet.workers[kill % 2]
        goal = TASKS * (kill + 1) // (KILLS + 2)
        fleet.pace(slow=False)
        while look.done() < goal:
            time.sleep(0.001)
        fleet.pace(slow=True)
        stand_still(victim)
        # What it had sent before it stood still has been done by the second look.
        while not (look.pending(victim.pid) and look.pending(victim.pid)):
            victim.send_signal(signal.SIGCONT)
            assert look.done() < TASKS, "drained before it could be killed"
            time.sleep(0.001)
            stand_still(victim)
        pid = fleet.kill(kill % 2)
        killed_at = time.monotonic()
        pending = look.pending(pid)
        assert pending, "nothing was pending when it died"
        while look.exist(pending):
            time.sleep(0.01)
        recoveries.append(time.monotonic() - killed_at)
    fleet.pace(slow=False)
    assert len(recoveries) == KILLS
    while look.done() < TASKS:
        time.sleep(0.02)
    fleet.stop()
    executions: Counter[int] = Counter()
    for file in tmp_path.glob("executed.*"):
        executions.update(number for (number,) in struct.iter_unpack("<I", file.read_bytes()))
    assert set(executions) == set(range(TASKS))
    ledger = look.ledger(app.keys("ledger"))
    look.close()
    assert len(ledger) == TASKS
    assert set(ledger.values()) == {1}
    twice = executions.total() - TASKS
    print(f"{KILLS} kills, resumed within {max(recoveries):.1f} s, {twice} tasks executed twice")  # noqa: T201
    assert max(recoveries) <= RESUMED_WITHIN
