"""No-op tasks end to end: producer, server and worker are processes of their own.

*Concurrent*: the worker runs while the producer emits; from the first emit to the last commit.
*Drain*: the queue is filled while the worker is stopped (SIGSTOP), then it goes on.
"""

import time
from typing import Any

import psutil
from harness import Bench, Role, cpu
from workload import noop

BASELINE_TASKS = 20_000
BASELINE_THREADS = 4


def concurrent(
    bench: Bench,
    count: int,
    backend: str = "native",
    *,
    used: dict[str, float] | None = None,
    server: psutil.Process | None = None,
) -> dict[str, float]:
    """Tasks a second while both sides run.

    Args:
        used: takes the CPU seconds of producer, server and worker.
        server: the server's process, where `used` is wanted.
    """
    bench.fresh()
    with bench.worker(backend=backend) as worker:
        role = Role("load.py", "emit", count, environment=bench.environment(backend))
        before = {"server": cpu(server), "worker": cpu(worker)} if used is not None and server is not None else {}
        role.go()
        ended = bench.wait_for("done", count)
        emitted = role.result()
        if used is not None and server is not None:
            used["producer"] = emitted["cpu"]
            used["server"] = cpu(server) - before["server"]
            used["worker"] = cpu(worker) - before["worker"]
    return {
        "tasks": count,
        "rate": count / (ended - emitted["begun"]),
        "emit_rate": count / (emitted["ended"] - emitted["begun"]),
    }


def drain(bench: Bench, count: int, backend: str = "native") -> dict[str, float]:
    """Tasks a second that a worker takes out of a full queue."""
    bench.fresh()
    with bench.worker(backend=backend) as worker:
        Role("load.py", "emit", 100, environment=bench.environment(backend)).run()
        bench.wait_for("done", 100)
        worker.suspend()
        Role("load.py", "emit", count, environment=bench.environment(backend)).run()
        begun = time.monotonic()
        worker.resume()
        ended = bench.wait_for("done", 100 + count)
    return {"tasks": count, "rate": count / (ended - begun)}


def baseline(bench: Bench) -> dict[str, float]:
    """The same by hand: LPUSH and BRPOP of JSON."""
    count, threads = BASELINE_TASKS, BASELINE_THREADS
    environment = bench.environment()
    pushed = Role("baseline.py", "push", count, environment=environment).run()
    popped = Role("baseline.py", "pop", count, threads, environment=environment).run()
    taker = Role("baseline.py", "pop", count, threads, environment=environment)
    giver = Role("baseline.py", "push", count, environment=environment)
    taker.go()
    giver.go()
    begun, ended = giver.result()["begun"], taker.result()["ended"]
    return {
        "tasks": count,
        "rate": count / (ended - begun),
        "emit_rate": count / (pushed["ended"] - pushed["begun"]),
        "drain_rate": count / (popped["ended"] - popped["begun"]),
    }


def bare_loop(count: int = 2_000_000) -> float:
    """Calls a second of the handler in a plain Python loop."""
    function = noop.__wrapped__
    begun = time.perf_counter()
    for n in range(count):
        function("pump-1", n, 21.5)
    return count / (time.perf_counter() - begun)


def measure(bench: Bench, tasks: int = 10_000_000) -> dict[str, Any]:
    """Everything, native, pure and by hand."""
    return {
        "native": concurrent(bench, tasks),
        "pure": concurrent(bench, tasks // 50, "python"),
        "baseline": baseline(bench),
        "bare_loop": bare_loop(),
        "drain": {"few": _median_drain(bench, tasks // 100), "many": drain(bench, tasks)},
    }


def _median_drain(bench: Bench, count: int) -> dict[str, float]:
    """A short drain lasts milliseconds: the median of five."""
    return sorted((drain(bench, count) for _ in range(5)), key=lambda run: run["rate"])[2]


if __name__ == "__main__":
    import json
    import sys

    with Bench() as bench:
        tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
        print(json.dumps(measure(bench, tasks), indent=2))
