"""More work than is done: ten times what the worker can do, under each policy of a full producer."""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from ttp.app import App
from ttp.chaos.fleet import spawn
from ttp.chaos.ledgers import ExecutionLedger
from ttp.chaos.memory import peak
from ttp.chaos.overload_process import QUEUE_LIMIT
from ttp.chaos.report import Report
from ttp.chaos.server import NotInjected, Server
from ttp.coordination import inspection
from ttp.coordination.server_binary import ServerBinary

POLICIES = ("block", "error", "drop_oldest", "store")
PATIENCE = 120.0  # seconds beyond the overload itself
MIB = 1 << 20
# Bytes that each may grow by: stated in docs/reliability.md.
PRODUCER, WORKER, SERVER = 24 * MIB, 32 * MIB, 3 * QUEUE_LIMIT + 4 * MIB


def overload(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """So many seconds of overload, shared by the policies: memory stays within its limits, and every task is counted.

    A producer that blocks offers what it can; the others offer ten times what is done.
    """
    report = Report("overload", str(binary), 0, seed, wanted=count)
    for policy in POLICIES:
        with tempfile.TemporaryDirectory(prefix="ttp-chaos-") as directory:
            _under(policy, binary, Path(directory), max(1.0, count / len(POLICIES)), report)
    if report.tasks < tasks:
        report.problems.append(f"{report.tasks} tasks were sent, not {tasks}")
    return report


def _under(policy: str, binary: ServerBinary, directory: Path, seconds: float, report: Report) -> None:
    server = Server(binary, directory / "server")
    server.start()
    processes = []
    try:
        url = f"redis://127.0.0.1:{server.port}/0"
        worker = spawn("ttp.chaos.overload_process", url, directory, "worker")
        processes.append(worker)
        _wait_for(directory / "worker", PATIENCE)
        producer = spawn("ttp.chaos.overload_process", url, directory, "producer", policy, seconds)
        processes.append(producer)
        sent = _wait_for(directory / "sent", seconds + PATIENCE)
        done = _drained(url)
        with_worker = peak(worker.pid) - json.loads((directory / "worker").read_text())["resident"]
        connection = server.connect()
        used = int(connection.call("INFO", "memory").split(b"used_memory_peak:")[1].split()[0])
        connection.close()
        worker.terminate()
        worker.wait(PATIENCE)
    finally:
        for process in processes:
            process.kill()
            process.wait()
        server.kill()
    report.tasks += sent["taken"]
    report.injected += int(sent["elapsed"])
    grown = {"producer": sent["peak"] - sent["resident"], "worker": with_worker, "server": used}
    numbers = {name: sent[name] for name in ("offered", "taken", "refused", "dropped", "stored")}
    report.measured[policy] = numbers | {f"{name} MiB": round(size / MIB, 1) for name, size in grown.items()}
    problems = _problems(policy, sent, done, grown, ExecutionLedger.read(directory), report)
    report.problems += [f"{policy}: {problem}" for problem in problems]


def _problems(
    policy: str, sent: dict[str, Any], done: int, grown: dict[str, int], executed: dict[int, int], report: Report
) -> list[str]:
    """What is not as stated; what is lost and run twice goes into the report."""
    ended = sent["accepted"]
    report.lost += max(0, sent["taken"] - sent["dropped"] - len(executed))
    report.doubled += max(0, done - ended)
    report.run_twice += sum(executed.values()) - len(executed)
    refused = sent["refused_pool"] + sent["refused_store"]
    limits = {"producer": PRODUCER, "worker": WORKER, "server": SERVER}
    checks = {
        f"{sent['taken']} taken, {ended} accepted, {sent['dropped']} dropped": sent["taken"] == ended + sent["dropped"],
        f"{ended} accepted, {done} done": ended == done,
        f"{sent['refused']} refused, {refused} counted": sent["refused"] == refused,
        "it refused, dropped or stored": (sent["refused"] > 0, sent["dropped"] > 0, sent["stored"] > 0)
        == (policy == "error" or sent["refused_store"] > 0, policy == "drop_oldest", policy == "store"),
        f"{sent['stored']} stored, {sent['forwarded']} forwarded": sent["stored"] == sent["forwarded"],
    }
    out = [claim for claim, holds in checks.items() if not holds]
    out += [
        f"the {name} grew by {size / MIB:.1f} MiB, above {limits[name] / MIB:.0f}"
        for name, size in grown.items()
        if size > limits[name]
    ]
    return out


def _wait_for(file: Path, seconds: float) -> dict[str, Any]:
    """What a process says in this file, once it is there."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            said: dict[str, Any] = json.loads(file.read_text())
        except (OSError, json.JSONDecodeError):
            if time.monotonic() > deadline:
                raise NotInjected(f"not within {seconds:.0f} s: {file.name}") from None
            time.sleep(0.05)
        else:
            return said


def _drained(url: str) -> int:
    """Tasks done, once none is left."""
    app = App("chaos", url)
    connection = app.open_connection(5.0)
    deadline = time.monotonic() + PATIENCE
    try:
        while True:
            numbers = inspection.stats_reply(connection.call_many(inspection.stats(app.keys("default"))))
            if not (numbers.tasks or numbers.delayed_frames) or time.monotonic() > deadline:
                return numbers.done
            time.sleep(0.05)
    finally:
        connection.close()
        app.close()
