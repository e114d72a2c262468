"""The task that sums readings up, by windows of the device's clock."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ttp.app import App
from ttp.producer import BatchTask
from ttp.telemetry.handlers import SINK_RETRY
from ttp.telemetry.sinks import Sink
from ttp.telemetry.sinks.tables import WINDOWS, Rows, Table, as_time
from ttp.worker.batch import Batch

AGGREGATE = "telemetry.aggregate"
WINDOW = 60.0  # seconds


@dataclass(slots=True)
class Numbers:
    """Readings of one moment, by field."""

    device: str
    timestamp: str
    numbers: dict[str, float]


def aggregate_task(
    app: App, sink: Sink, *, seconds: float = WINDOW, queue: str = "default"
) -> BatchTask[[str, str, dict[str, float]], Numbers]:
    """Register the batch task `telemetry.aggregate`: count, sum, minimum and maximum into the table of windows.

    A window begins at a multiple of its length since 1970. Each task counts once. An event that its device sent
    twice is two tasks, and counts twice here.

    Args:
        seconds: length of a window.
    """
    if not seconds > 0:
        raise ValueError(f"a window needs a length above 0 s, not {seconds}")

    def split(rows: Sequence[tuple[str, str, dict[str, float]]]) -> dict[Table, Rows]:
        return {WINDOWS: sum_up(rows, seconds)}

    @app.batch(Numbers, name=AGGREGATE, queue=queue, retry=SINK_RETRY)
    def aggregate(batch: Batch[Numbers]) -> None:
        sink.store(batch.ranges(), batch.tuples(), split)

    return aggregate


def sum_up(rows: Sequence[tuple[str, str, dict[str, float]]], seconds: float) -> Rows:
    """One row of WINDOWS for each device, field and window."""
    windows: dict[tuple[str, str, float], list[float]] = {}
    for device, timestamp, numbers in rows:
        start = math.floor(as_time(timestamp).timestamp() / seconds) * seconds
        for field, value in numbers.items():
            windows.setdefault((device, field, start), []).append(value)
    return [
        (
            device, field, datetime.fromtimestamp(start, UTC).isoformat(), float(seconds),
            len(values), sum(values), min(values), max(values),
        )
        for (device, field, start), values in windows.items()
    ]  # fmt: skip
