"""Tasks whose results are kept: many at once, and one at a time."""

from typing import Any

from harness import Bench, Role


def many(bench: Bench, count: int, backend: str = "native") -> dict[str, float]:
    """Tasks a second by submit_many, until every result is stored; every 1000th is read back and checked."""
    bench.fresh()
    with bench.worker(backend=backend):
        role = Role("load.py", "many", count, environment=bench.environment(backend))
        role.go()
        ended = bench.wait_for("done", count)
        sent = role.result()
    assert not sent["wrong"], sent
    return {"tasks": count, "rate": count / (ended - sent["begun"])}


def idle(bench: Bench, count: int = 3000, backend: str = "native") -> dict[str, Any]:
    """Milliseconds from `submit` to acceptance and to the result, nothing else going on."""
    bench.fresh()
    with bench.worker(backend=backend):
        return Role("load.py", "idle", count, environment=bench.environment(backend)).run()


def threads(bench: Bench, number: int, count: int) -> dict[str, float]:
    """Submits a second from some threads; no worker runs."""
    bench.fresh()
    return Role("load.py", "threads", number, count, environment=bench.environment()).run()


def coroutines(bench: Bench, number: int, count: int) -> dict[str, float]:
    """Submits a second from some coroutines of one event loop; no worker runs."""
    bench.fresh()
    return Role("load.py", "gather", number, count, environment=bench.environment()).run()


def measure(bench: Bench, count: int = 2_000_000) -> dict[str, Any]:
    """All of it."""
    return {
        "many": many(bench, count),
        "many_pure": many(bench, count // 50, "python"),
        "idle": idle(bench),
        "idle_pure": idle(bench, 1000, "python"),
        "round_trip": Role("load.py", "pings", 10_000, environment=bench.environment()).run(),
        "submit_1": threads(bench, 1, 10_000),
        "submit_8": threads(bench, 8, 40_000),
        "submit_64": threads(bench, 64, 128_000),
        "asubmit_1": coroutines(bench, 1, 5_000),
        "asubmit_64": coroutines(bench, 64, 32_000),
        "handoffs_64": Role("load.py", "handoffs", 64, 128_000, environment=bench.environment()).run(),
    }


if __name__ == "__main__":
    import json

    with Bench() as bench:
        print(json.dumps(measure(bench), indent=2))
