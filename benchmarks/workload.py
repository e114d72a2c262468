"""The tasks that are measured. Worker: `ttp worker workload:app`."""

import asyncio
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
from ttp.producer.window import RESEND_SECONDS
from ttp.telemetry.event import Record
from ttp.telemetry.handlers.store import STORE

latencies = Histogram()
"""Nanoseconds from a task's scheduled time to its handler's entry, of this worker process."""

phases = {phase: Histogram() for phase in (1, 2, 3)}
"""The same of `pressed`: before, during and after an overload."""

WORK = 20_000  # ns of CPU time that `pressed` takes: a worker does about 50,000 a second


@contextmanager
def lifespan() -> Iterator[None]:
    """Write the latencies where $BENCH_LATENCIES says when the worker ends."""
    yield
    if path := os.environ.get("BENCH_LATENCIES"):
        seen: dict[str, object] = {**summary(latencies)}
        if any(histogram.count for histogram in phases.values()):
            seen["phases"] = {phase: summary(histogram) for phase, histogram in phases.items()}
        Path(path).write_text(json.dumps(seen))


def summary(histogram: Histogram) -> dict[str, float]:
    """Count, and percentiles in milliseconds."""
    percentiles = {f"p{q:g}": histogram.percentile(q) / 1e6 for q in (50, 95, 99, 99.9)}
    return {"count": histogram.count, **percentiles, "max": histogram.max / 1e6}


app = ttp.App(
    os.environ.get("BENCH_APP", "bench"),
    lifespan=lifespan,
    on_full=os.environ.get("BENCH_ON_FULL", "block"),  # type: ignore[arg-type]
    submit_timeout=float(os.environ.get("BENCH_SUBMIT_TIMEOUT", "5")),
    queue_tasks=int(os.environ.get("BENCH_QUEUE_TASKS", "0")) or None,
    durability=os.environ.get("BENCH_DURABILITY", "memory"),  # type: ignore[arg-type]
    resend_seconds=float(os.environ.get("BENCH_RESEND_SECONDS", RESEND_SECONDS)),
)
retry = ttp.RetryPolicy(max_attempts=5, base_delay=0.1, max_delay=30.0)


@app.task(retry=retry, timeout=5.0)
def noop(device: str, sequence: int, value: float) -> None:
    """Do nothing."""


@app.task(retry=retry, timeout=5.0)
def nothing(sequence: int) -> None:
    """Do nothing with a number."""


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


@app.task(retry=retry, timeout=5.0)
async def wait_1_ms_async(sequence: int) -> None:  # noqa: ARG001
    """Wait, as a coroutine."""
    await asyncio.sleep(0.001)


@app.task(retry=retry, timeout=5.0)
async def noop_async(sequence: int) -> None:
    """Do nothing, as a coroutine."""


@app.task(retry=retry, timeout=5.0)
def compute(sequence: int) -> int:
    """Compute: about 50 µs on a fast core."""
    total = sequence
    for n in range(1_000):
        total = (total * 31 + n) & 0xFFFFFFFF
    return total


for _number in range(int(os.environ.get("BENCH_TASKS", "0"))):
    app.task(name=f"compute-{_number}")(compute.__wrapped__)


@app.task(retry=retry, timeout=5.0)
def blob(data: bytes) -> None:
    """Take a payload, and do nothing."""


downstream = ttp.CircuitBreaker("downstream")


@app.task(retry=retry, timeout=5.0, breaker=downstream)
def guarded(scheduled_ns: int) -> None:
    """`stamped` behind a breaker."""
    if scheduled_ns:
        latencies.record(time.monotonic_ns() - scheduled_ns)


@app.task(retry=retry, timeout=5.0, breaker=downstream)
def pressed(scheduled_ns: int, phase: int, padding: bytes) -> None:  # noqa: ARG001
    """Record as `guarded` does, and keep the CPU busy; 0 is a phase that is not recorded."""
    begun = time.monotonic_ns()
    if phase:
        phases[phase].record(begun - scheduled_ns)
    until = begun + WORK
    while time.monotonic_ns() < until:
        pass


@dataclass
class Reading:
    """An event of a device."""

    device: str
    at: datetime
    value: float


sums: list[float] = []


@app.batch(Record, name=STORE, retry=retry, max_events=65_535)
def stored(batch: ttp.Batch[Record]) -> None:
    """Count what `ttp ingest` sends by device."""
    import numpy as np  # noqa: PLC0415 - this task alone needs it

    devices = batch.dictionary("device")
    sums.append(float(np.bincount(devices.codes, minlength=len(devices.categories)).max()))


@app.batch(Reading, retry=retry, max_events=65_535)
def total(batch: ttp.Batch[Reading]) -> None:
    """Sum the values."""
    sums.append(float(batch["value"].sum()))
