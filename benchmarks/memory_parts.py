"""What a worker's memory is made of: megabytes after each step on the way to it, each in a fresh process of a
plain environment.

`memory_parts.py [TASKS]`
"""

import subprocess
import sys
from typing import Any

import plain
import psutil
from footprint import footprint
from harness import HERE, Bench, Role

STEPS = (  # what, and code that has all up to it
    ("the interpreter", ""),
    ("`import ttp`, with the core", "import ttp"),
    ("redis-py and hiredis", "import ttp, hiredis, redis"),
    ("the worker's modules", "import ttp, hiredis, redis, ttp.serve"),
    ("the app's module", "import ttp, hiredis, redis, ttp.serve, workload"),
)
_THEN_WAIT = "import sys; print('ready', flush=True); sys.stdin.readline()"


def measure(bench: Bench, count: int = 1_000_000) -> list[dict[str, Any]]:
    """Each part: the memory there is with it, and what it adds."""
    bench.fresh()
    seen = [(what, imported(code, bench)) for what, code in STEPS]
    with bench.worker(python=plain.python(), PYTHONPATH=plain.PATH) as process:
        seen.append(("connections, threads and buffers: started", footprint([process])))
        Role("load.py", "emit", count, environment=bench.environment()).run()
        bench.wait_for("done", count)
        seen.append((f"frames in hand: after {count:,} tasks", footprint([process])))
    parts, before = [], 0.0
    for what, held in seen:
        parts.append({"what": what, "adds": held["alone"] - before, **held})
        before = held["alone"]
    return parts


def imported(code: str, bench: Bench) -> dict[str, float]:
    """What a process holds that has run some code, and does nothing since."""
    environment = bench.environment() | {"PYTHONPATH": plain.PATH}
    process = subprocess.Popen(
        [plain.python(), "-c", f"{code}\n{_THEN_WAIT}"],
        env=environment, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise RuntimeError(f"this failed: {code}")
    held = footprint([psutil.Process(process.pid)])
    process.communicate("\n")
    return held


if __name__ == "__main__":
    with Bench() as bench:
        for part in measure(bench, *map(int, sys.argv[1:])):
            print(f"{part['alone']:6.1f} MB {part['adds']:+6.1f}  {part['what']}")
