"""What a worker and a producer hold, and what a queued task costs the server."""

from typing import Any

import memory_parts
import plain
import psutil
from harness import Bench, Role

from ttp.native import encode_row

MB = 1e6


def worker(bench: Bench, count: int, rounds: int = 5) -> dict[str, Any]:
    """Resident megabytes of a worker in a plain environment, at the start and after each round of tasks."""
    bench.fresh()
    with bench.worker(python=plain.python(), PYTHONPATH=plain.PATH) as process:
        started = _resident(process)
        after = []
        for turn in range(rounds):
            Role("load.py", "emit", count // rounds, environment=bench.environment()).run()
            bench.wait_for("done", count // rounds * (turn + 1))
            after.append(_resident(process))
    return {"tasks": count, "start": started, "after": after}


def producer(bench: Bench, count: int) -> dict[str, float]:
    """Resident megabytes of a producer before its first emit, and at most while it emits to a worker that drains."""
    bench.fresh()
    with bench.worker():
        role = Role("load.py", "emit", count, environment=bench.environment())
        sent = role.run()
        bench.wait_for("done", count)
    return {"tasks": count, "start": sent["resident_before"], "most": sent["resident_most"]}


def queued(bench: Bench, count: int = 1_000_000) -> dict[str, float]:
    """Server bytes of a queued task, and of its arguments."""
    bench.fresh()
    Role("load.py", "emit", count, environment=bench.environment()).run()
    stream = bench.app.keys("default").stream(1)
    stored = int(bench.redis.memory_usage(stream, samples=0) or 0)
    payload = sum(len(encode_row(("pump-1", n, 21.5))) for n in range(count))
    bench.clean()
    return {"tasks": count, "payload": payload / count, "stored": stored / count}


def measure(bench: Bench, count: int = 100_000_000) -> dict[str, Any]:
    """All of it."""
    return {
        "worker": worker(bench, count),
        "producer": producer(bench, count // 10),
        "queued": queued(bench),
        "parts": memory_parts.measure(bench),
    }


def _resident(process: psutil.Process) -> float:
    return float(process.memory_info().rss / MB)


if __name__ == "__main__":
    import json

    with Bench() as bench:
        print(json.dumps(measure(bench), indent=2))
