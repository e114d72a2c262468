"""What the resend window costs: no-op tasks by emit, end to end, with it and without, in turn.

    python benchmarks/resend.py

prints tasks a second and the producer's CPU time per task of both, and the median of the pairs' ratios.
"""

import argparse
import json
import statistics

from durability import server
from harness import Bench, Role

from ttp.producer.window import RESEND_SECONDS


def run(seconds: float, count: int) -> tuple[float, float]:
    """Tasks a second, and ns of the producer's CPU a task, where accepted frames are kept for so many seconds."""
    with server("--appendonly", "no") as url, Bench(url) as bench:
        bench.fresh()
        with bench.worker():
            environment = bench.environment() | {"BENCH_RESEND_SECONDS": str(seconds)}
            role = Role("load.py", "emit", count, environment=environment)
            role.go()
            ended = bench.wait_for("done", count)
            told = role.result()
    return count / (ended - told["begun"]), told["cpu"] / count * 1e9


def measure(pairs: int, count: int) -> dict[str, object]:
    """Which of a pair comes first changes from pair to pair."""
    runs: dict[float, list[tuple[float, float]]] = {RESEND_SECONDS: [], 0.0: []}
    for pair in range(pairs):
        for seconds in sorted(runs, reverse=pair % 2 == 0):
            runs[seconds].append(run(seconds, count))
    told: dict[str, object] = {}
    for place, what in enumerate(("tasks a second", "ns of CPU a task")):
        kept, bare = ([one[place] for one in mine] for mine in runs.values())
        ratios = [a / b for a, b in zip(kept, bare, strict=True)]
        told[what] = {
            "with": round(statistics.median(kept)),
            "without": round(statistics.median(bare)),
            "median ratio": round(statistics.median(ratios), 3),
            "quartiles": [round(one, 3) for one in statistics.quantiles(ratios, n=4)[::2]],
        }
    return told


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--tasks", type=int, default=4_000_000)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.pairs, arguments.tasks), indent=2))
