"""How long `ttp worker --http` takes to answer while its handlers compute in Python, with a full set of series.

`health.py [REQUESTS] [TASKS]`: to each path, one after another, each on a connection of its own, as a probe does.
TASKS is how many names the handlers have: each has counters and four histograms.
"""

import http.client
import json
import sys
import time
from typing import Any

from harness import Bench, Role
from workload import summary

from ttp.native import Histogram

PORT = 19_465
PATHS = ("/livez", "/readyz", "/metrics")
BACKLOG = 2_000_000  # tasks of some 60 us: more than are done meanwhile


def ask(path: str) -> bytes:
    """What is answered; RuntimeError if it is not 200."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body.decode()}")
    return body


def wait_until_ready() -> None:
    """Return when all processes work."""
    for _ in range(600):
        try:
            ask("/readyz")
        except (OSError, RuntimeError):
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("the worker was not ready in 30 s")


def answers(bench: Bench, processes: int, requests: int, tasks: int) -> dict[str, Any]:
    """Milliseconds to an answer, by path, and what the handlers did meanwhile."""
    bench.fresh()
    with bench.worker("--http", str(PORT), "--processes", str(processes), BENCH_TASKS=str(tasks)):
        for number in range(tasks):
            bench.app.remote(f"compute-{number}").emit(number)
        bench.app.flush()
        bench.wait_for("done", tasks)
        Role("load.py", "task", "compute", BACKLOG, environment=bench.environment()).run()
        wait_until_ready()
        begun, done = time.monotonic(), bench.counted("done")
        out: dict[str, Any] = {"processes": processes, "bytes": len(ask("/metrics"))}
        for path in PATHS:
            taken = Histogram()
            for _ in range(requests):
                start = time.perf_counter_ns()
                ask(path)
                taken.record(time.perf_counter_ns() - start)
            out[path] = summary(taken)
        out["tasks_per_second"] = (bench.counted("done") - done) / (time.monotonic() - begun)
        if bench.counted("done") >= BACKLOG:
            raise RuntimeError("the handlers had nothing to do in the end: fewer REQUESTS, please")
    return out


def measure(bench: Bench, requests: int = 1_000, tasks: int = 200) -> list[dict[str, Any]]:
    """With one busy process, and with as many as this needs to have more of them than cores."""
    return [answers(bench, processes, requests, tasks) for processes in (1, 4)]


if __name__ == "__main__":
    with Bench() as bench:
        print(json.dumps(measure(bench, *map(int, sys.argv[1:])), indent=2))
