"""What metrics cost: no-op tasks with and without `--http` and a scrape a second, and counting's share of CPU time.

`metrics.py [TASKS] [PAIRS]`: pairs of runs, one without and one with, whose order alternates, so that neither what
the machine does over time nor the run before favours a side. Each pair gives a ratio of rates.
"""

import json
import statistics
import sys
import threading
import time
import urllib.request
from typing import Any

from harness import Bench, Role
from throughput import cpu

from ttp.worker.scoreboard import Layout, Scoreboard

PORT = 19_464


def run(bench: Bench, count: int, *, serve: bool) -> tuple[float, float]:
    """Tasks a second, from the first emit to the last commit, and the worker's CPU seconds a frame, where it serves."""
    bench.fresh()
    stopping = threading.Event()
    with bench.worker(*(("--http", str(PORT)) if serve else ())) as worker:
        role = Role("load.py", "emit", count, environment=bench.environment())
        scraper = threading.Thread(target=scrape_until, args=(stopping,))
        if serve:
            scraper.start()
        before = cpu(worker)
        role.go()
        ended = bench.wait_for("done", count)
        begun = role.result()["begun"]
        each = 0.0
        if serve:
            stopping.set()
            scraper.join()
            each = (cpu(worker) - before) / number(scrape(), "ttp_frames_committed_total")
    return count / (ended - begun), each


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


def measure(bench: Bench, tasks: int = 5_000_000, pairs: int = 20) -> dict[str, Any]:
    """Rates, the pairs' ratios, and the share of the worker's CPU time that counting takes."""
    without, served, frames = [], [], []
    for pair in range(pairs):
        for serve in (True, False) if pair % 2 else (False, True):
            rate, frame = run(bench, tasks, serve=serve)
            if serve:
                served.append(rate)
                frames.append(frame)
            else:
                without.append(rate)
    ratios = [on / off for on, off in zip(served, without, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    frame, each = statistics.median(frames), counting()
    return {
        "without": statistics.median(without),
        "served": statistics.median(served),
        "ratio": middle,
        "ratio_quartiles": [low, high],
        "ratio_mean": statistics.mean(ratios),
        "ratio_standard_error": statistics.stdev(ratios) / pairs**0.5,
        "counting_us_per_frame": each * 1e6,
        "worker_us_per_frame": frame * 1e6,
        "counting_share": each / frame,
    }


if __name__ == "__main__":
    with Bench() as bench:
        print(json.dumps(measure(bench, *map(int, sys.argv[1:])), indent=2))
