"""What metrics cost: no-op tasks with and without `--http` and a scrape a second, and counting's share of CPU time.

`metrics.py [TASKS] [PAIRS]`: pairs of runs, one without and one with, whose order alternates, so that neither what
the machine does over time nor the run before favours a side. Each pair gives ratios.
"""

import json
import statistics
import sys
import threading
import time
import urllib.request
from typing import Any, NamedTuple

from harness import Bench, Role, cpu

from ttp.worker.scoreboard import Layout, Scoreboard

PORT = 19_464


class Measured(NamedTuple):
    """One run: tasks a second from the first emit to the last commit, CPU seconds of worker and exporter, frames."""

    rate: float
    cpu: float
    frames: float


def run(bench: Bench, count: int, *, serve: bool) -> Measured:
    """With or without metrics that are served and scraped."""
    bench.fresh()
    stopping = threading.Event()
    with bench.worker(*(("--http", str(PORT)) if serve else ())) as worker:
        role = Role("load.py", "emit", count, environment=bench.environment())
        scraper = threading.Thread(target=scrape_until, args=(stopping,))
        if serve:
            scrape()  # its process has started
            scraper.start()
        processes = [worker, *worker.children()]
        before = sum(map(cpu, processes))
        role.go()
        ended = bench.wait_for("done", count)
        used = sum(map(cpu, processes)) - before
        begun = role.result()["begun"]
        frames = 0.0
        if serve:
            stopping.set()
            scraper.join()
            frames = number(scrape(), "ttp_frames_committed_total")
    return Measured(count / (ended - begun), used, frames)


def scrape() -> str:
    """What /metrics says; waits until it is served."""
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            time.sleep(0.05)


def scrape_until(stopping: threading.Event) -> None:
    """Scrape once a second."""
    while not stopping.wait(1.0):
        scrape()


def number(text: str, name: str) -> float:
    """The value of a metric without labels."""
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + " "))


def counting(frames: int = 100_000) -> float:
    """CPU seconds a frame that its cells take."""
    slot = Scoreboard(Layout(1, (("noop", "default"), ("_other", "_other")), ())).slot(0)
    begun = time.process_time()
    for _ in range(frames):
        slot.observe("noop", "wait", 0.003, 1000)
        slot.event("frames")
        slot.count("noop", "done", 1000)
        for stage in ("run", "commit", "total"):
            slot.observe("noop", stage, 0.003, 1000)
    return (time.process_time() - begun) / frames


def measure(bench: Bench, tasks: int = 3_000_000, pairs: int = 20) -> dict[str, Any]:
    """Rates, the pairs' ratios of rates and of CPU time, and the share of that time that counting takes."""
    runs: list[tuple[Measured, Measured]] = []
    for pair in range(pairs):
        order = (True, False) if pair % 2 else (False, True)
        measured = {serve: run(bench, tasks, serve=serve) for serve in order}
        runs.append((measured[False], measured[True]))
    frame = statistics.median(on.cpu / on.frames for _, on in runs)
    each = counting()
    return {
        "without": statistics.median(off.rate for off, _ in runs),
        "served": statistics.median(on.rate for _, on in runs),
        "rate_ratio": spread([on.rate / off.rate for off, on in runs]),
        "cpu_ratio": spread([on.cpu / off.cpu for off, on in runs]),
        "counting_us_per_frame": each * 1e6,
        "worker_us_per_frame": frame * 1e6,
        "counting_share": each / frame,
    }


def spread(ratios: list[float]) -> dict[str, float]:
    """Of the pairs' ratios."""
    low, middle, high = statistics.quantiles(ratios, n=4)
    error = statistics.stdev(ratios) / len(ratios) ** 0.5
    return {"median": middle, "quartile_1": low, "quartile_3": high, "mean": statistics.mean(ratios), "error": error}


if __name__ == "__main__":
    with Bench() as bench:
        print(json.dumps(measure(bench, *map(int, sys.argv[1:])), indent=2))
