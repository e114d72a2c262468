"""The tasks that are measured. Worker: `ttp worker workload:app`."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import ttp
from ttp.native import Histogram

latencies = Histogram()
"""Nanoseconds from a task's scheduled time to its handler's entry, of this worker process."""


@contextmanager
def lifespan() -> Iterator[None]:
    """Write the latencies where $BENCH_LATENCIES says when the worker ends."""
    yield
    if path := os.environ.get("BENCH_LATENCIES"):
        Path(path).write_text(json.dumps(summary(latencies)))


def summary(histogram: Histogram) -> dict[str, float]:
    """Count, and percentiles in milliseconds."""
    percentiles = {f"p{q:g}": histogram.percentile(q) / 1e6 for q in (50, 95, 99, 99.9)}
    return {"count": histogram.count, **percentiles, "max": histogram.max / 1e6}


app = ttp.App(os.environ.get("BENCH_APP", "bench"), lifespan=lifespan)
retry = ttp.RetryPolicy(max_attempts=5, base_delay=0.1, max_delay=30.0)


@app.task(retry=retry, timeout=5.0)
def noop(device: str, sequence: int, value: float) -> None:
    """Do nothing."""


@app.task(retry=retry, timeout=5.0)
def echo(device: str, sequence: int, value: float) -> int:  # noqa: ARG001
    """Give something back."""
    return sequence


@app.task(retry=retry, timeout=5.0)
def wait_1_ms(sequence: int) -> None:  # noqa: ARG001
    """Wait, as for a database."""
    time.sleep(0.001)


@app.task(retry=retry, timeout=5.0)
def stamped(scheduled_ns: int) -> None:
    """Record how long ago the task was due; 0 is warming up."""
    if scheduled_ns:
        latencies.record(time.monotonic_ns() - scheduled_ns)


@dataclass
class Reading:
    """An event of a device."""

    device: str
    at: datetime
    value: float


sums: list[float] = []


@app.batch(Reading, retry=retry, max_events=65_535)
def total(batch: ttp.Batch[Reading]) -> None:
    """Sum the values."""
    sums.append(float(batch["value"].sum()))
