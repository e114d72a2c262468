"""The task that compares readings with their limits."""

from collections.abc import Iterable
from typing import Any

from ttp.app import App
from ttp.producer import LocalTask, Task
from ttp.telemetry.handlers.limits import DEFAULT_LIMITS, Limit, Limits

ANOMALY_DETECT = "telemetry.anomaly_detect"


def anomaly_detect_task(
    app: App, *, alert: Task[..., Any], limits: Iterable[Limit] = DEFAULT_LIMITS, queue: str = "default"
) -> LocalTask[[str, int, int, str, dict[str, Any]], None]:
    """Register `telemetry.anomaly_detect`, called with the identity of an event and its numbers by field.

    Its children are alerts of high priority, one for each field that is out of bounds.
    """
    known = Limits(limits)
    urgent = alert.options(priority="high")

    @app.task(name=ANOMALY_DETECT, queue=queue)
    def anomaly_detect(device: str, epoch: int, sequence: int, timestamp: str, numbers: dict[str, Any]) -> None:
        for field, value, reason in known.broken_by(device, numbers):
            urgent.emit(device, epoch, sequence, timestamp, field, value, reason)

    return anomaly_detect
