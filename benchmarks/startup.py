"""Milliseconds until something works: `import ttp`, a program's first submit, a worker's first task."""

import subprocess
import time
from collections.abc import Callable
from typing import Any

import plain
from harness import HERE, Bench, Role

FIRST = "from workload import app, noop; noop.submit('pump-1', 0, 0.0); app.close()"


def measure(bench: Bench, runs: int = 15) -> dict[str, Any]:
    """Medians.

    `interpreter` is one that imports nothing, `import_ttp` what the import adds to it, `first_submit` a whole program
    that submits one task, `first_task` from the start of `ttp worker` until a task that was waiting for it is done.
    All but the last in a plain environment.
    """
    bare = _median(lambda: _program("pass", bench), runs)
    return {
        "import_ttp": _median(lambda: _program("import ttp", bench), runs) - bare,
        "interpreter": bare,
        "first_submit": _median(lambda: _program(FIRST, bench), runs),
        "first_task": _median(lambda: _first_task(bench), 5),
    }


def _program(code: str, bench: Bench) -> float:
    where, python = bench.environment() | {"PYTHONPATH": plain.PATH}, plain.python()
    begun = time.perf_counter()
    subprocess.run([python, "-c", code], check=True, env=where, cwd=HERE)
    return time.perf_counter() - begun


def _first_task(bench: Bench) -> float:
    bench.fresh()
    Role("load.py", "emit", 1, environment=bench.environment()).run()
    begun = time.monotonic()
    with bench.worker():
        return bench.wait_for("done", 1) - begun


def _median(seconds: Callable[[], float], runs: int) -> float:
    return sorted(seconds() for _ in range(runs))[runs // 2] * 1000


if __name__ == "__main__":
    with Bench() as bench:
        print(measure(bench))
