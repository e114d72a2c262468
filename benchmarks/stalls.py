"""How long the machine itself holds its cores up: what no latency on it can be better than.

A process on each core looks at the clock without a pause. Where it sees nothing for half a millisecond, something else
had its core: the kernel, or whoever shares the hardware.
"""

import multiprocessing
import os
import time

LONG = 500_000  # ns


def measure(seconds: float = 5.0) -> dict[str, float]:
    """Of each core on average: stalls a second, and their share of the time; the longest of all, in ms."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [-1] * (os.cpu_count() or 1)
    with multiprocessing.get_context("fork").Pool(len(cores)) as pool:
        seen = pool.starmap(_stalls, [(core, seconds) for core in cores], chunksize=1)
    every = [stall for stalls in seen for stall in stalls]
    total = len(cores) * seconds
    return {"a_second": len(every) / total, "share": sum(every) / 1e9 / total, "longest": max(every, default=0) / 1e6}


def _stalls(core: int, seconds: float) -> list[int]:
    if core >= 0:
        os.sched_setaffinity(0, {core})
    clock = time.monotonic_ns
    last = clock()
    end, out = last + int(seconds * 1e9), []
    while last < end:
        now = clock()
        if now - last > LONG:
            out.append(now - last)
        last = now
    return out


if __name__ == "__main__":
    print(measure())
