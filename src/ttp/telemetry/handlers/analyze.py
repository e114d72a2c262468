"""The task that takes events in, and hands each on to the tasks that it concerns."""

from collections.abc import Iterable
from typing import Any

from ttp.app import App
from ttp.errors import Reject
from ttp.producer import LocalTask, Task
from ttp.telemetry.handlers.limits import DEFAULT_LIMITS, Limit, Limits
from ttp.telemetry.sinks.tables import as_number, as_time

ANALYZE = "telemetry.analyze"


def analyze_task(
    app: App,
    *,
    store: Task[..., Any],
    anomaly_detect: Task[..., Any],
    aggregate: Task[..., Any],
    limits: Iterable[Limit] = DEFAULT_LIMITS,
    queue: str = "default",
) -> LocalTask[[str, int, int, str, dict[str, Any]], None]:
    """Register `telemetry.analyze`, called with the fields of a `Record`.

    Its children commit with it: the whole event to be stored, its numbers to be summed up, and those that have
    limits to be checked. An event without a legible timestamp is a dead letter.
    """
    known = Limits(limits)

    @app.task(name=ANALYZE, queue=queue)
    def analyze(device: str, epoch: int, sequence: int, timestamp: str, fields: dict[str, Any]) -> None:
        try:
            as_time(timestamp)
        except (TypeError, ValueError):
            raise Reject(f"not an ISO 8601 timestamp: {timestamp!r}") from None
        store.emit(device, epoch, sequence, timestamp, fields)
        numbers = {name: number for name, value in fields.items() if (number := as_number(value)) is not None}
        if not numbers:
            return
        aggregate.emit(device, timestamp, numbers)
        if known.concern(numbers):
            anomaly_detect.emit(device, epoch, sequence, timestamp, numbers)

    return analyze
