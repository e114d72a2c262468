"""The load ladder: tasks held at rising rates, then an overload at twice what a worker can do, then recovery.

Latency counts from when a task was due to the entry of its handler, so that a producer that is held up hides
nothing (no coordinated omission). At every step: what went wrong, the breaker of the handler's dependency, and how
many tasks lay in the queue at most. `ladder.py --seconds 30`, or two steps alone:
`ladder.py --rates 500000,1000000 --policies ''`.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import Bench, Role

RATES = (1_000, 10_000, 50_000, 100_000, 500_000, 1_000_000)
POLICIES = ("block", "error", "drop_oldest")
QUEUE_TASKS = 20_000  # at most in the queue during the overload
CALIBRATION = 100_000  # tasks that show what a worker can do
LOOK = 0.2  # seconds between two looks at queue and breaker


class Watch:
    """What was seen while a step ran.

    Attributes:
        states: of the breaker.
        most: tasks in the queue.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._ended = threading.Event()
        self.states: set[str] = set()
        self.most = 0

    def look(self) -> None:
        """Once."""
        self.most = max(self.most, self._bench.counted("tasks"))
        self.states.update(state for report in self._bench.reports() for state in report["breakers"].values())

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look on until the block ends."""

        def work() -> None:
            while not self._ended.wait(LOOK):
                self.look()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()


def step(bench: Bench, rate: int, seconds: int) -> dict[str, Any]:
    """One rate, held."""
    bench.fresh()
    watch = Watch(bench)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "latencies")
        with bench.worker(BENCH_LATENCIES=str(path)):
            with watch.watching():
                sent = Role("load.py", "guarded", rate, seconds, environment=bench.environment()).run()
            bench.wait_for("done", int(sent["tasks"]) + 1)
            watch.look()
            errors = bench.counted("dead") + bench.counted("retried")
        seen = json.loads(path.read_text())
    return {
        "rate": rate,
        "held": sent["held"],
        "lost": sent["recorded"] - seen["count"],
        "errors": errors,
        "breaker": sorted(watch.states),
        "most_queued": watch.most,
        **seen,
    }


def maximum(bench: Bench) -> float:
    """Tasks of 20 µs a second that one worker does."""
    bench.fresh()
    with bench.worker():
        role = Role("load.py", "press", CALIBRATION, environment=bench.environment())
        role.go()
        begun = bench.wait_for("done", CALIBRATION // 10)
        begun_at = bench.counted("done")
        ended = bench.wait_for("done", CALIBRATION * 9 // 10)
        ended_at = bench.counted("done")
        role.result()
    return (ended_at - begun_at) / (ended - begun)


def overload(bench: Bench, policy: str, most: float, seconds: int) -> dict[str, Any]:
    """Half of what the worker can do, then twice as much as it can, then half again, under one `on_full` policy."""
    bench.fresh()
    environment = bench.environment() | {
        "BENCH_ON_FULL": policy,
        "BENCH_QUEUE_TASKS": str(QUEUE_TASKS),
        "BENCH_SUBMIT_TIMEOUT": "60",
    }
    offered_rates = {"before": most / 2, "during": most * 2, "after": most / 2}
    watch = Watch(bench)
    sent: dict[str, dict[str, float]] = {}
    accepted = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "latencies")
        with bench.worker(BENCH_LATENCIES=str(path)):
            with watch.watching():
                for phase, (name, rate) in enumerate(offered_rates.items(), 1):
                    sent[name] = Role("load.py", "pressed", int(rate), seconds, phase, environment=environment).run()
                    accepted += int(sent[name]["accepted"])
                    flushed = time.monotonic()
                    sent[name]["drained_after"] = bench.wait_for("done", accepted) - flushed
            watch.look()
            done, dead = bench.counted("done"), bench.counted("dead")
        seen = json.loads(path.read_text())["phases"]
    offered = sum(int(part["tasks"]) for part in sent.values())
    return {
        "policy": policy,
        "maximum": most,
        "offered": offered,
        "refused": int(sum(part["refused"] for part in sent.values())),
        "dropped": int(sum(part["dropped"] for part in sent.values())),
        "accepted": accepted,
        "done": done,
        "dead": dead,
        "queue_limit": QUEUE_TASKS,
        "most_queued": watch.most,
        "breaker": sorted(watch.states),
        "phases": {
            name: {
                "offered_rate": rate,
                "held": sent[name]["held"],
                "drained_after": sent[name]["drained_after"],
                **seen[str(phase)],
            }
            for phase, (name, rate) in enumerate(offered_rates.items(), 1)
        },
    }


def measure(
    bench: Bench, seconds: int = 5, rates: Sequence[int] = RATES, policies: Sequence[str] = POLICIES
) -> dict[str, Any]:
    """All rates, and every policy."""
    rows = [step(bench, rate, seconds) for rate in rates]
    most = maximum(bench) if policies else 0.0
    return {
        "seconds": seconds,
        "steps": rows,
        "overload": [overload(bench, policy, most, max(2, seconds // 2)) for policy in policies],
    }


def main() -> None:
    """Climb, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="how long each rate is held")
    parser.add_argument("--rates", default=",".join(map(str, RATES)), help="these, with commas between")
    parser.add_argument("--policies", default=",".join(POLICIES), help="of the overload, with commas between")
    arguments = parser.parse_args()
    rates = [int(rate) for rate in arguments.rates.split(",") if rate]
    policies = [policy for policy in arguments.policies.split(",") if policy]
    with Bench() as bench:
        print(json.dumps(measure(bench, arguments.seconds, rates, policies), indent=2))


if __name__ == "__main__":
    main()
