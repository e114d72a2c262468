"""The parts of the core alone: what pytest-benchmark measures in micro/, reduced to medians."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

MICRO = Path(__file__).parent / "micro"


def measure() -> list[dict[str, Any]]:
    """Median nanoseconds of each benchmark, by group."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "micro.json")
        command = [sys.executable, "-m", "pytest", "-c", MICRO / "pytest.ini", f"--benchmark-json={out}", MICRO]
        subprocess.run(command, check=True)
        return reduce(json.loads(out.read_text()))


def reduce(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Of pytest-benchmark's report; what runs on a core is named for it."""
    rows = [
        {
            "group": entry["group"],
            "name": (entry["param"] or entry["name"].removeprefix("test_")).replace("_", " "),
            "ns": entry["stats"]["median"] * 1e9,
        }
        for entry in report["benchmarks"]
    ]
    return sorted(rows, key=lambda row: (row["group"], row["ns"]))


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
