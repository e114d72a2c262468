"""The task that records alerts, and tells somebody."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ttp.app import App
from ttp.policy import RetryPolicy
from ttp.producer import BatchTask, LocalTask
from ttp.telemetry.handlers import SINK_RETRY
from ttp.telemetry.sinks import Sink
from ttp.telemetry.sinks.tables import ALERTS, Rows, Table
from ttp.worker.batch import Batch

ALERT = "telemetry.alert"
NOTIFY = "telemetry.alert.notify"
NOTIFY_TIMEOUT = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Alert:
    """A reading that is out of bounds.

    Attributes:
        device, epoch, sequence, timestamp: the event, as in `Record`.
        reason: which limit it broke, in words.
    """

    device: str
    epoch: int
    sequence: int
    timestamp: str
    field: str
    value: float
    reason: str


def alert_task(
    app: App, sink: Sink, *, notify: Callable[[Alert], object] | None = None, queue: str = "default"
) -> BatchTask[[str, int, int, str, str, float, str], Alert]:
    """Register the batch task `telemetry.alert`: each alert once into the table of alerts.

    Args:
        notify: called with each alert, as a task of its own that is tried again while it raises. It may be
            called twice for one alert, if a worker dies meanwhile: `ttp.current_task().id` tells.
    """
    told = None if notify is None else _notify_task(app, notify, queue)

    @app.batch(Alert, name=ALERT, queue=queue, retry=SINK_RETRY)
    def alert(batch: Batch[Alert]) -> None:
        sink.store(batch.ranges(), batch.tuples(), _split)
        if told is not None:
            for each in batch.rows():
                told.emit(each)

    return alert


def _notify_task(app: App, notify: Callable[[Alert], object], queue: str) -> LocalTask[[Alert], None]:
    @app.task(name=NOTIFY, queue=queue, retry=RetryPolicy(max_attempts=20), timeout=NOTIFY_TIMEOUT)
    def told(alert: Alert) -> None:
        notify(alert)

    return told


def _split(alerts: Sequence[tuple[Any, ...]]) -> dict[Table, Rows]:
    return {ALERTS: [*alerts]}
