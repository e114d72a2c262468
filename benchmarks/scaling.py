"""Processes side by side: workers whose handlers wait 1 ms or compute, and producers that emit.

All tasks of workers are queued before, and the middle 80 % are timed; of producers it is the time from the first emit
to the last acceptance.
"""

from typing import Any

from harness import Bench, Role, paused

PROCESSES = (1, 2, 4)
TASKS = {"wait_1_ms": 4_000, "compute": 40_000}  # for each worker process


def workers(bench: Bench, processes: int, task: str, count: int, *options: str) -> float:
    """Tasks a second of so many worker processes."""
    bench.fresh()
    with bench.worker("--processes", str(processes), *options) as worker:
        with paused(worker):
            Role("load.py", "task", task, count, environment=bench.environment()).run()
        begun = bench.wait_for("done", count // 10)
        begun_at = bench.counted("done")
        ended = bench.wait_for("done", count - count // 10)
        ended_at = bench.counted("done")
    return (ended_at - begun_at) / (ended - begun)


def producers(bench: Bench, processes: int, count: int) -> float:
    """Tasks a second that the server accepts from so many producers; no worker runs."""
    bench.fresh()
    roles = [Role("load.py", "emit", count, environment=bench.environment()) for _ in range(processes)]
    for role in roles:
        role.go()
    sent = [role.result() for role in roles]
    return processes * count / (max(s["ended"] for s in sent) - min(s["begun"] for s in sent))


def measure(bench: Bench, emitted: int = 3_000_000) -> dict[str, Any]:
    """Rates by the number of processes, and the ratios to one."""

    def row(rates: dict[str, float]) -> dict[str, Any]:
        return {"rates": rates, "ratios": {n: rate / rates["1"] for n, rate in rates.items()}}

    return {
        "waiting": row({str(n): workers(bench, n, "wait_1_ms", TASKS["wait_1_ms"] * n) for n in PROCESSES}),
        "computing": row({str(n): workers(bench, n, "compute", TASKS["compute"] * n) for n in PROCESSES}),
        "producing": row({str(n): producers(bench, n, emitted) for n in PROCESSES}),
    }


if __name__ == "__main__":
    import json

    with Bench() as bench:
        print(json.dumps(measure(bench), indent=2))
