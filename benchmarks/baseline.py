"""What one writes without a library: JSON in a list, LPUSH and BRPOP by redis-py, threads.

`baseline.py push N`, `paced RATE SECONDS`, `pop N THREADS`, `latency N`.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable

import harness
import load
import redis
from workload import latencies, noop, summary

QUEUE = "bench:baseline"


def connect() -> redis.Redis:
    """The server of the run."""
    return redis.Redis.from_url(os.environ["TTP_URL"])


def push(count: int) -> dict[str, float]:
    """Push one task after the other."""
    client = connect()
    begun = time.monotonic()
    for n in range(count):
        client.lpush(QUEUE, json.dumps({"task": "noop", "args": ["pump-1", n, 21.5]}))
    return {"begun": begun, "ended": time.monotonic()}


def pop(count: int, threads: int) -> dict[str, float]:
    """Pop and run them."""
    functions = {"noop": noop.__wrapped__}

    def work(share: int) -> None:
        client = connect()
        for _ in range(share):
            popped = client.brpop([QUEUE], timeout=30)
            assert popped is not None
            task = json.loads(popped[1])
            functions[task["task"]](*task["args"])

    workers = [threading.Thread(target=work, args=(count // threads,)) for _ in range(threads)]
    begun = time.monotonic()
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    return {"begun": begun, "ended": time.monotonic()}


def paced(rate: int, seconds: float) -> dict[str, float]:
    """The open loop of `load.pace`."""
    client = connect()
    client.ping()
    return load.pace(rate, seconds, lambda due: client.lpush(QUEUE, json.dumps({"task": "stamped", "args": [due]})))


def latency(count: int) -> dict[str, float]:
    """Pop so many stamped tasks, and record."""
    client = connect()
    for _ in range(count):
        popped = client.brpop([QUEUE], timeout=30)
        assert popped is not None
        (due,) = json.loads(popped[1])["args"]
        if due:
            latencies.record(time.monotonic_ns() - due)
    return summary(latencies)


if __name__ == "__main__":
    roles: dict[str, Callable[..., object]] = {"push": push, "pop": pop, "paced": paced, "latency": latency}
    role = roles[sys.argv[1]]
    harness.play(lambda: role(*map(int, sys.argv[2:])))
