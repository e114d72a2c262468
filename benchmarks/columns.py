"""Events in columns (device, timestamp, value) end to end: NumPy arrays in, a batch handler that sums the values.

Producer, server and worker are processes of their own; from the first call to the last commit.
"""

from harness import Bench, Role


def measure(bench: Bench, count: int = 50_000_000) -> dict[str, float]:
    """Events a second while both sides run."""
    bench.fresh()
    with bench.worker():
        role = Role("load.py", "columns", count, environment=bench.environment())
        role.go()
        ended = bench.wait_for("done", count)
        sent = role.result()
    return {
        "events": count,
        "rate": count / (ended - sent["begun"]),
        "submit_rate": count / (sent["ended"] - sent["begun"]),
    }


if __name__ == "__main__":
    import json
    import sys

    with Bench() as bench:
        print(json.dumps(measure(bench, int(sys.argv[1]) if len(sys.argv) > 1 else 50_000_000), indent=2))
