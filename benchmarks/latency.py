"""Open-loop latency at held rates: from the time a task was due to the entry of its handler.

A task that the producer sends late, because something held it up, counts from when it was due
(no coordinated omission). Above 10,000/s tasks are due in groups, every 100 µs.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from harness import Bench, Role, cpu, waited

RATES = (1_000, 10_000, 100_000, 1_000_000)
PURE_RATES = (1_000, 10_000)
BASELINE_RATES = (1_000, 10_000)


def at_rate(bench: Bench, rate: int, seconds: int, backend: str = "native") -> dict[str, Any]:
    """Percentiles in ms at a rate; frames a second, and what one costs each process, in microseconds.

    That is CPU time, and time for which it could run and had no core.
    """
    bench.fresh()
    handle, path = tempfile.mkstemp(suffix=".json")
    os.close(handle)
    try:
        with bench.worker(backend=backend, BENCH_LATENCIES=path) as worker:
            processes = {"server": bench.server, "worker": worker}
            before = {name: (cpu(process), waited(process.pid)) for name, process in processes.items()}
            sent = Role("load.py", "paced", rate, seconds, environment=bench.environment(backend)).run()
            bench.wait_for("done", int(sent["tasks"]) + 1)
            used = {name: cpu(process) - before[name][0] for name, process in processes.items()}
            waiting = {name: waited(process.pid) - before[name][1] for name, process in processes.items()}
            frames = bench.counted("id")
        seen = json.loads(Path(path).read_text())
    finally:
        Path(path).unlink()
    assert seen["count"] == sent["recorded"], (seen, sent)
    costs = {"us_per_frame": {"producer": sent["cpu"], **used}, "us_waiting": {"producer": sent["waited"], **waiting}}
    each = {what: {name: spent / frames * 1e6 for name, spent in of.items()} for what, of in costs.items()}
    return {"rate": rate, "held": sent["held"], "frames": frames / sent["seconds"], **each, **seen}


def baseline_at_rate(bench: Bench, rate: int, seconds: int) -> dict[str, float]:
    """The same for LPUSH and BRPOP."""
    environment = bench.environment()
    tasks = int(rate * 1.0) + rate * seconds
    taker = Role("baseline.py", "latency", tasks, environment=environment)
    giver = Role("baseline.py", "paced", rate, seconds, environment=environment)
    taker.go()
    giver.go()
    sent, seen = giver.result(), taker.result()
    return {"rate": rate, "held": sent["held"], **seen}


def measure(bench: Bench, seconds: int = 5) -> dict[str, Any]:
    """All rates."""
    return {
        "native": [at_rate(bench, rate, seconds) for rate in RATES],
        "pure": [at_rate(bench, rate, seconds, "python") for rate in PURE_RATES],
        "baseline": [baseline_at_rate(bench, rate, seconds) for rate in BASELINE_RATES],
    }


if __name__ == "__main__":
    with Bench() as bench:
        runs = measure(bench)
        for kind, rows in runs.items():
            for row in rows:
                print(kind, row)
