"""Other task queues beside ttp: `make bench-peers`, or `run_peers.py --only rq,huey --seconds 1 --patience 10`.

Each peer has an environment of its own in build/peers, made here, and a fresh database of the same server. One that
cannot be installed or run is listed with its error.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import durability
import environment
import footprint
import numpy as np
import psutil
import redis

ROOT = Path(__file__).parents[1]
HERE = ROOT / "benchmarks" / "peers"
ENVIRONMENTS = ROOT / "build" / "peers"
VERSIONS = ("3.14", "3.13", "3.12", "3.11")
PEERS: dict[str, list[str]] = {  # name → what is installed
    "ttp": ["ttp"],
    "ttp_emit": ["ttp"],
    "celery": ["celery[redis]"],
    "rq": ["rq"],
    "dramatiq": ["dramatiq[redis]"],
    "taskiq": ["taskiq", "taskiq-redis"],
    "taskiq_stream": ["taskiq", "taskiq-redis"],
    "huey": ["huey", "redis"],
    "ardiq": ["ardiq"],
    "mayu": ["mayu"],
}
MOST = 2_000_000  # tasks of a run
RATE = 1_000
KILLED = 2_000  # tasks of the kill test
GROWS = 50.0  # ms by which the last tenth may wait longer than the first, where a rate is held
START = 60.0  # seconds a worker may take to execute its first task


@dataclass(frozen=True)
class Options:
    """How long things may take, in seconds.

    Attributes:
        seconds: of sending, draining, and holding a rate.
        patience: after a kill, without any further execution.
    """

    seconds: float
    patience: float


class Marks:
    """What the tasks have marked: one byte and one latency each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = [folder / "marks", folder / "latencies"]
        for path, size in zip(self.files, (MOST, MOST * 8), strict=True):
            with path.open("wb") as file:
                file.truncate(size)
        self.executions = np.memmap(self.files[0], np.uint8, "r+")
        self.latencies = np.memmap(self.files[1], np.uint64, "r+")

    def clear(self) -> None:
        """Forget all."""
        self.executions[:] = 0
        self.latencies[:] = 0

    def executed(self, count: int = MOST) -> int:
        """Of the first tasks, how many were executed."""
        return int(np.count_nonzero(self.executions[:count]))

    def wait(self, count: int, patience: float) -> bool:
        """Whether so many are executed before nothing more has come for so long."""
        seen, since = -1, time.monotonic()
        while (now := self.executed()) < count:
            if now != seen:
                seen, since = now, time.monotonic()
            if time.monotonic() - since > patience:
                return False
            time.sleep(0.01)
        return True


class Runner:
    """One peer: its environment, its sender, its worker."""

    def __init__(self, name: str, url: str, marks: Marks) -> None:
        self.name = name
        self._marks = marks
        self._bin = make(PEERS[name])
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("TTP_URL")} | {
            "PEER_URL": url,
            "PEER_MARKS": str(marks.folder),
            "PYTHONPATH": str(HERE),
            "PATH": f"{self._bin}{os.pathsep}{os.environ['PATH']}",
        }
        self._redis = redis.Redis.from_url(url)

    def fresh(self) -> None:
        """An empty database, nothing marked."""
        self._redis.flushall()
        self._marks.clear()

    def used(self) -> int:
        """Bytes that the server uses."""
        return int(self._redis.info("memory")["used_memory"])

    def play(self, *role: object, results: bool = False) -> dict[str, Any]:
        """Run a role of peer.py."""
        done = subprocess.run(
            [self._bin / "python", HERE / f"{self.name}_peer.py", *map(str, role)],
            env=self._environment | {"PEER_RESULTS": str(int(results))},
            cwd=HERE,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(last_line(done.stderr) or f"{role} ended with {done.returncode}")
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    @contextmanager
    def worker(self, command: str = "COMMAND", *, results: bool = False) -> Iterator[psutil.Process]:
        """Its worker, in a process group of its own, killed at the end.

        Args:
            command: which of its commands: COMMAND, or BOTH for a process on each of two cores.
        """
        environment = self._environment | {"PEER_RESULTS": str(int(results))}
        ask = f"import json, {self.name}_peer as p; print(json.dumps(p.{command}))"
        said = subprocess.run(
            [self._bin / "python", "-c", ask], env=environment, cwd=HERE, capture_output=True, text=True, check=True
        )
        program, *arguments = json.loads(said.stdout.splitlines()[-1])
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                [self._bin / program, *arguments], env=environment, cwd=HERE, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
            try:
                yield psutil.Process(process.pid)
                if process.poll() is not None and process.returncode != -signal.SIGKILL:
                    raise RuntimeError("its worker ended")
            except RuntimeError as error:
                log.seek(0)
                raise RuntimeError(f"{error}: {last_line(log.read().decode(errors='replace'))}") from error
            finally:
                kill(psutil.Process(process.pid)) if process.poll() is None else None
                process.wait()


def kill(process: psutil.Process) -> None:
    """SIGKILL to a process and all below it."""
    for one in reversed(footprint.family(process)):
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue


def make(packages: list[str]) -> Path:
    """The folder of programs of an environment with these packages, which is made where there is none.

    That of ttp has this interpreter, for which the core is built, and nothing of its extras.
    """
    ours = packages == ["ttp"]
    folder = ENVIRONMENTS / packages[0].partition("[")[0]
    if not (folder / "made").exists():
        subprocess.run([sys.executable if ours else newest_python(), "-m", "venv", "--clear", folder], check=True)
        what = ["--config-settings=wheel.cmake=false", "--editable", ROOT] if ours else ["hiredis", *packages]
        install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", *what]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(last_line(done.stderr))
        (folder / "made").touch()
    return folder / "bin"


def newest_python() -> Path:
    """The newest CPython on PATH, in $TTP_PYTHONS or among those of pyenv, as some peers need one of late."""
    folders = [*os.environ.get("TTP_PYTHONS", "").split(os.pathsep), *os.environ["PATH"].split(os.pathsep)]
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob("*/bin"), reverse=True)
    for version in VERSIONS:
        for folder in (*map(Path, filter(None, folders)), *pyenv):
            candidate = folder / f"python{version}"
            if candidate.exists() and _runs(candidate):
                return candidate
    return Path(sys.executable)


def _runs(python: Path) -> bool:
    """Whether it is more than a name: a version manager's stand-in may point nowhere."""
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def last_line(text: str) -> str:
    """What went wrong, without paths of this machine."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return " ".join(word for word in (lines[-1] if lines else "").split() if not word.startswith(("/", "'/")))


def measure(runner: Runner, marks: Marks, options: Options) -> dict[str, Any]:
    """Everything of one peer."""
    about = runner.play("describe")
    each, none = _send(runner, "each", options), (None, None)
    how = "many" if about.pop("bulk") else "each"
    many = _send(runner, "many", options) if how == "many" else none
    (single, bytes_per_task), (bulk, bytes_in_bulk) = (none, each) if about.pop("buffered") else (each, many)
    drained, held = _drain(runner, marks, how, options)
    with_results, _ = _drain(runner, marks, how, options, results=True)
    drained_by_both, held_by_both = _drain(runner, marks, how, options, command="BOTH")
    return {
        "name": runner.name.replace("_", " "),
        **about,
        "single": single,
        "bulk": bulk,
        "bytes_per_task": bytes_per_task,
        "bytes_in_bulk": bytes_in_bulk,
        "drain": drained,
        "drain_results": with_results,
        "memory": held["alone"],
        "workers": [
            {"name": "one process", "drain": drained, **held},
            {"name": "two processes", "drain": drained_by_both, **held_by_both},
        ],
        "latency": _latency(runner, marks, options),
        "kill": _kill(runner, marks, options),
    }


def _send(runner: Runner, how: str, options: Options) -> tuple[float, float]:
    """Tasks sent a second, and the server's bytes for each."""
    runner.fresh()
    before = runner.used()
    sent = runner.play(how, "noop", options.seconds, MOST)
    return sent["tasks"] / sent["seconds"], (runner.used() - before) / sent["tasks"]


def _drain(
    runner: Runner, marks: Marks, how: str, options: Options, *, results: bool = False, command: str = "COMMAND"
) -> tuple[float, dict[str, float]]:
    """Tasks executed a second, of the middle of a full queue, and what the worker's processes then hold in memory."""
    runner.fresh()
    count = int(runner.play(how, "noop", options.seconds, MOST, results=results)["tasks"])
    with runner.worker(command, results=results) as worker:
        if not marks.wait(max(1, count // 20), START):
            raise RuntimeError(f"its worker executed {marks.executed()} of {count} tasks")
        first, begun = marks.executed(), time.monotonic()
        while marks.executed() < count * 19 // 20 and time.monotonic() - begun < 3 * options.seconds:
            time.sleep(0.005)
        rate = (marks.executed() - first) / (time.monotonic() - begun)
        return rate, footprint.footprint(footprint.family(worker), without=marks.files)


def _latency(runner: Runner, marks: Marks, options: Options) -> dict[str, Any]:
    """From when a task was due to its handler, at a held rate."""
    runner.fresh()
    count, skipped = int(RATE * (1 + options.seconds)), RATE
    with runner.worker():
        runner.play("each", "noop", 60, 1)
        if not marks.wait(1, START):
            raise RuntimeError("its worker executed nothing")
        marks.clear()
        begun = time.monotonic()
        held = runner.play("paced", RATE, count)["held"]
        marks.wait(count, 10.0)
        took = time.monotonic() - begun
    executed = marks.executed(count)
    waits = marks.latencies[skipped:count][marks.executions[skipped:count] > 0] / 1e6
    tenth = len(waits) // 10
    grows = float(np.median(waits[-tenth:]) - np.median(waits[:tenth]))
    return {
        "held": held,
        "executed_rate": min(RATE, executed / took),
        "grows": grows,
        "holds": bool(executed == count and held > 0.98 * RATE and grows < GROWS),
        **{f"p{q:g}": float(np.percentile(waits, q)) for q in (50, 95, 99, 99.9)},
        "max": float(waits.max()),
    }


def _kill(runner: Runner, marks: Marks, options: Options) -> dict[str, Any]:
    """One SIGKILL in the middle of 2,000 tasks of 2 ms, and a new worker."""
    runner.fresh()
    runner.play("each", "slow", 60, KILLED)
    with runner.worker() as worker:
        if not marks.wait(KILLED // 3, START):
            raise RuntimeError("its worker executed nothing")
        kill(worker)
    begun = last = time.monotonic()
    seen = marks.executed(KILLED)
    with runner.worker():
        while seen < KILLED and time.monotonic() - last < options.patience:
            time.sleep(0.02)
            if (now := marks.executed(KILLED)) != seen:
                seen, last = now, time.monotonic()
        time.sleep(min(5.0, options.patience))  # for what comes twice
    executions = marks.executions[:KILLED]
    return {
        "tasks": KILLED,
        "lost": int((executions == 0).sum()),
        "doubled": int((executions > 1).sum()),
        "seconds": last - begun,
        "patience": options.patience,
    }


def free_port() -> int:
    """A port of the loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(PEERS), help="these peers, with commas between")
    parser.add_argument("--seconds", type=float, default=3.0, help="of sending, draining, holding a rate")
    parser.add_argument("--patience", type=float, default=90.0, help="seconds without an execution after a kill")
    chosen = parser.parse_args()
    options = Options(chosen.seconds, chosen.patience)
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="ttp-peers-") as folder,
        durability.server("--appendonly", "no", port=free_port()) as url,
    ):
        marks = Marks(Path(folder))
        run: dict[str, Any] = {"environment": environment.describe(redis.Redis.from_url(url).info()), "peers": []}
        for name in chosen.only.split(","):
            print(f"measuring {name} …", flush=True)
            try:
                measured = measure(Runner(name, url, marks), marks, options)
            except (RuntimeError, OSError, subprocess.SubprocessError, psutil.Error) as error:
                measured = {
                    "name": name,
                    "error": last_line(str(error)).replace(f"{Path.cwd()}/", "") or type(error).__name__,
                }
            run["peers"].append(measured)
            print(json.dumps(measured), flush=True)
    run["seconds"] = round(time.monotonic() - begun)
    saved = environment.save("peers", run) if chosen.only == ",".join(PEERS) else "not saved: not all peers"
    print(f"all of it, in {run['seconds']} s: {saved}")


if __name__ == "__main__":
    main()
