"""What it costs that an accepted task survives more: each level on a server that gives it, and signatures.

Each runs on a server of its own with its data in the temporary directory; the disk is part of the number.
"""

import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from harness import Bench, Role

from ttp.coordination import server_binary

AOF = ("--appendonly", "yes", "--appendfsync")
LEVELS = {  # level → settings of the server
    "memory": ("--appendonly", "no"),
    "everysec": (*AOF, "everysec"),
    "fsync": (*AOF, "always"),
}


@contextmanager
def server(*settings: str, port: int = 0) -> Iterator[str]:
    """A server with its data in a directory of its own; gives its URL (a unix socket, unless there is a port)."""
    with tempfile.TemporaryDirectory(prefix="ttp-bench-") as folder:
        socket = Path(folder, "socket")
        url = f"redis://127.0.0.1:{port}/0" if port else f"unix://{socket}"
        own = ["--port", str(port), "--unixsocket", str(socket), "--dir", folder, "--save", ""]
        program = server_binary.available()[0].path
        process = subprocess.Popen([program, *own, *settings], stdout=subprocess.DEVNULL)
        try:
            client = redis.Redis.from_url(url)
            deadline = time.monotonic() + 20
            while True:
                try:
                    client.ping()
                    break
                except redis.RedisError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)
            client.close()
            yield url
        finally:
            process.terminate()
            process.wait()


def level(name: str, count: int, submits: int, **environment: str) -> dict[str, float]:
    """Tasks a second by emit, end to end, and by submit from one thread, with p50 and p99 in ms."""
    with server(*LEVELS[name]) as url, Bench(url) as bench:
        more = {"BENCH_DURABILITY": name, **environment}
        bench.fresh()
        with bench.worker(**more):
            role = Role("load.py", "emit", count, environment=bench.environment() | more)
            role.go()
            ended = bench.wait_for("done", count)
            rate = count / (ended - role.result()["begun"])
        bench.fresh()
        one = Role("load.py", "threads", 1, submits, environment=bench.environment() | more).run()
    return {"rate": rate, "submit_rate": one["rate"], "submit_p50": one["p50"], "submit_p99": one["p99"]}


def measure(count: int = 1_000_000, submits: int = 2_000) -> dict[str, Any]:
    """All levels, and memory with signatures."""
    levels = {name: level(name, count, submits) for name in LEVELS}
    levels["memory, signed"] = level("memory", count, submits, TTP_SIGNING_KEYS=f"1={secrets.token_hex(32)}")
    return levels


if __name__ == "__main__":
    import json

    print(json.dumps(measure(), indent=2))
