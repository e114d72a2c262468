"""Milliseconds of `import ttp`, over those of an interpreter that imports nothing."""

import subprocess
import sys
import time


def measure(runs: int = 15) -> dict[str, float]:
    """Medians."""
    bare = _median("pass", runs)
    return {"import_ttp": _median("import ttp", runs) - bare, "interpreter": bare}


def _median(code: str, runs: int) -> float:
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - begun)
    return sorted(times)[runs // 2] * 1000


if __name__ == "__main__":
    print(measure())
