"""A server, workers and producers, each in a process of its own, and what the server has counted."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psutil
import redis

import ttp

HERE = Path(__file__).parent


class Bench:
    """One server and an app's keys on it: url, $TTP_URL, else an embedded server with a directory of its own.

    Attributes:
        url: of the server.
        redis: a plain connection, for looking on.
    """

    def __init__(self, url: str | None = None) -> None:
        self._state = tempfile.mkdtemp(prefix="ttp-bench-")
        self._url = url or os.environ.get("TTP_URL")
        if not self._url:
            os.environ["TTP_STATE_DIR"] = self._state
        self._worker: subprocess.Popen[bytes] | None = None
        self._worker_log = Path(self._state, "worker.log")
        self._names = 0
        self.app = ttp.App("bench", self._url)
        self.app.open_connection(30.0).close()
        self.url = str(self.app.server) if not self._url else self._url
        self.redis = redis.Redis.from_url(self.url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clean()
        self.redis.close()
        self.app.close()
        shutil.rmtree(self._state, ignore_errors=True)

    def fresh(self) -> None:
        """Forget what was there, and go on under a new name."""
        self.clean()
        self._names += 1
        self.app = ttp.App(f"bench-{os.getpid()}-{self._names}", self._url)

    def clean(self) -> None:
        """Delete this app's keys."""
        for key in self.redis.scan_iter(f"ttp:{{{self.app.name}.*", count=1000):
            self.redis.unlink(key)

    def environment(self, backend: str = "native") -> dict[str, str]:
        """Of the processes that take part: they find bytecode ready, as after an installation."""
        theirs = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path[1:]]),
            "TTP_URL": self.url,
            "TTP_BACKEND": backend,
            "BENCH_APP": self.app.name,
        }
        theirs.pop("PYTHONDONTWRITEBYTECODE", None)
        return theirs

    def counted(self, field: str) -> int:
        """A counter of the default queue."""
        return int(self.redis.hget(self.app.keys("default").counters, field) or 0)

    @property
    def server(self) -> psutil.Process:
        """The server's process; it must be on this machine."""
        return psutil.Process(int(self.redis.info("server")["process_id"]))

    def reports(self) -> list[dict[str, Any]]:
        """What the workers told of themselves with their last beats."""
        told: dict[bytes, bytes] = self.redis.hgetall(self.app.keys("default").workers)
        return [json.loads(text) for name, text in told.items() if name.startswith(b"@")]

    def wait_for(self, field: str, count: int, patience: float = 300.0) -> float:
        """The monotonic time at which a counter reached count."""
        deadline = time.monotonic() + patience
        while self.counted(field) < count:
            if self._worker is not None and self._worker.poll() is not None:
                raise RuntimeError(f"the worker ended: {self._worker_log.read_text()}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{field} is {self.counted(field):,} of {count:,} after {patience} s")
            time.sleep(0.002)
        return time.monotonic()

    @contextmanager
    def worker(
        self, *options: str, backend: str = "native", python: str | Path = sys.executable, **environment: str
    ) -> Iterator[psutil.Process]:
        """A running, connected worker of the workload; it is stopped at the end."""
        with self._worker_log.open("wb") as log:
            process = subprocess.Popen(
                [python, "-m", "ttp", "worker", "workload:app", *options],
                env=self.environment(backend) | environment,
                cwd=HERE,
                stdout=log,
                stderr=log,
            )
        self._worker = process
        try:
            while not self.redis.hlen(self.app.keys("default").workers):
                if process.poll() is not None:
                    raise RuntimeError(f"the worker did not start: {self._worker_log.read_text()}")
                time.sleep(0.01)
            yield psutil.Process(process.pid)
        finally:
            self._worker = None
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def cpu(process: psutil.Process) -> float:
    """CPU seconds it has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def waited(pid: int) -> float:
    """Seconds for which its threads were ready to run, and waited for a core; 0 where the system does not tell."""
    times = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(waiting) for _, waiting, _ in times) / 1e9


@contextmanager
def paused(worker: psutil.Process) -> Iterator[None]:
    """A worker whose processes stand still until the block ends."""
    family = [worker, *worker.children(recursive=True)]
    for process in family:
        process.suspend()
    try:
        yield
    finally:
        for process in family:
            process.resume()


class Role:
    """A script of this directory in a process: it says "ready", waits for a line, works, and prints JSON."""

    def __init__(self, script: str, *arguments: object, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, HERE / script, *map(str, arguments)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._read() != "ready":
            raise RuntimeError(f"{script} did not start")

    def go(self) -> None:
        """Let it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """What it measured."""
        line = self._read()
        self._process.communicate()
        if not line:
            raise RuntimeError("a process of the benchmark failed")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def run(self) -> dict[str, Any]:
        """Begin, and wait for the result."""
        self.go()
        return self.result()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def play(work: Any) -> None:
    """The other side of `Role`: work is a callable that returns what is printed."""
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(work()), flush=True)
