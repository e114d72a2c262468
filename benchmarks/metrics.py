"""What metrics cost: no-op tasks with and without `--http` and a scrape a second, and the share that counting takes.

`metrics.py [TASKS] [ROUNDS]`; the rounds alternate, and medians are compared.
"""

import json
import statistics
import sys
import threading
import time
import urllib.request
from typing import Any

from harness import Bench, Role

from ttp.worker.scoreboard import Layout, Scoreboard

PORT = 19_464


def run(bench: Bench, count: int, *, serve: bool) -> tuple[float, float]:
    """(tasks, frames) a second, from the first emit to the last commit; frames are 0 where nobody serves them."""
    bench.fresh()
    stopping = threading.Event()
    with bench.worker(*(("--http", str(PORT)) if serve else ())):
        role = Role("load.py", "emit", count, environment=bench.environment())
        scraper = threading.Thread(target=scrape_until, args=(stopping,))
        if serve:
            scraper.start()
        role.go()
        ended = bench.wait_for("done", count)
        begun = role.result()["begun"]
        frames = 0.0
        if serve:
            stopping.set()
            scraper.join()
            frames = number(scrape(), "ttp_frames_committed_total")
    return count / (ended - begun), frames / (ended - begun)


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
    """Seconds a frame that its cells take."""
    slot = Scoreboard(Layout(1, (("noop", "default"), ("_other", "_other")), ())).slot(0)
    begun = time.perf_counter()
    for _ in range(frames):
        slot.observe("noop", "wait", 0.003, 1000)
        slot.event("frames")
        slot.count("noop", "done", 1000)
        for stage in ("run", "commit", "total"):
            slot.observe("noop", stage, 0.003, 1000)
    return (time.perf_counter() - begun) / frames


def measure(bench: Bench, tasks: int = 2_000_000, rounds: int = 5) -> dict[str, Any]:
    """Rates, their ratio, and the share of the worker's time that counting takes."""
    pairs = [(run(bench, tasks, serve=False), run(bench, tasks, serve=True)) for _ in range(rounds)]
    without = statistics.median(off[0] for off, _ in pairs)
    served = statistics.median(on[0] for _, on in pairs)
    frames = statistics.median(on[1] for _, on in pairs)
    each = counting()
    return {
        "without": without,
        "served": served,
        "ratio": served / without,
        "counting_us_per_frame": each * 1e6,
        "frames_per_second": frames,
        "counting_share": each * frames,
    }


if __name__ == "__main__":
    with Bench() as bench:
        print(json.dumps(measure(bench, *map(int, sys.argv[1:])), indent=2))
