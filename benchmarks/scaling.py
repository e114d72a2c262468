"""Worker processes side by side, with handlers that wait 1 ms: tasks a second of the middle 80 %."""

from typing import Any

from harness import Bench, Role

PROCESSES = (1, 2, 4)
TASKS = 4_000  # for each process


def at(bench: Bench, processes: int) -> float:
    """Tasks a second of so many worker processes."""
    bench.fresh()
    count = TASKS * processes
    with bench.worker("--processes", str(processes)):
        Role("load.py", "waits", count, environment=bench.environment()).run()
        first, last = count // 10, count - count // 10
        begun = bench.wait_for("done", first)
        begun_at = bench.counted("done")
        ended = bench.wait_for("done", last)
        ended_at = bench.counted("done")
    return (ended_at - begun_at) / (ended - begun)


def measure(bench: Bench) -> dict[str, Any]:
    """Rates by the number of processes, and the ratios to one."""
    rates = {str(processes): at(bench, processes) for processes in PROCESSES}
    return {"rates": rates, "ratios": {n: rate / rates["1"] for n, rate in rates.items()}}


if __name__ == "__main__":
    with Bench() as bench:
        print(measure(bench))
