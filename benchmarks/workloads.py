"""What changes with the load: how much is queued, how large the payloads are, and what the handlers do."""

from typing import Any

from harness import Bench, Role
from scaling import workers
from throughput import drain

BACKLOGS = (10_000, 100_000, 1_000_000)
LARGE_BACKLOG = 10_000_000
SIZES = (16, 64, 256, 1024, 4096, 16_384, 65_536)
MOST_BYTES = 1 << 28  # that a run of one payload size sends
HANDLERS = (  # what, task, tasks, options of the worker
    ("does nothing", "nothing", 1_000_000, ()),
    ("does nothing, async", "noop_async", 200_000, ()),
    ("computes, 1,000 multiplications", "compute", 40_000, ()),
    ("waits 1 ms", "wait_1_ms", 3_000, ()),
    ("waits 1 ms, 64 threads", "wait_1_ms", 60_000, ("--threads", "64")),
    ("waits 1 ms, async, 100 at a time", "wait_1_ms_async", 60_000, ()),
    ("waits 1 ms, async, 1000 at a time", "wait_1_ms_async", 60_000, ("--concurrency", "1000")),
)


def payload(bench: Bench, size: int, most: int = MOST_BYTES) -> dict[str, float]:
    """Tasks a second of one payload size, end to end, while both sides run."""
    count = max(1000, min(1_000_000, most // size))
    bench.fresh()
    with bench.worker():
        role = Role("load.py", "blobs", size, count, environment=bench.environment())
        role.go()
        ended = bench.wait_for("done", count)
        seconds = ended - role.result()["begun"]
    return {"bytes": size, "tasks": count, "rate": count / seconds, "mb_per_second": count * size / seconds / 1e6}


def measure(bench: Bench, *, large: bool = False) -> dict[str, Any]:
    """All three; large: ten million queued as well."""
    backlogs = (*BACKLOGS, LARGE_BACKLOG) if large else BACKLOGS
    return {
        "backlog": [drain(bench, count) for count in backlogs],
        "payloads": [payload(bench, size) for size in SIZES],
        "handlers": [
            {"what": what, "rate": workers(bench, 1, task, count, *options)} for what, task, count, options in HANDLERS
        ],
    }


if __name__ == "__main__":
    import json

    with Bench() as bench:
        print(json.dumps(measure(bench), indent=2))
