"""All tasks of a telemetry platform, chained."""

from collections.abc import Callable, Iterable
from typing import Any

from ttp.app import App
from ttp.producer import LocalTask
from ttp.telemetry.handlers.aggregate import WINDOW, aggregate_task
from ttp.telemetry.handlers.alert import Alert, alert_task
from ttp.telemetry.handlers.analyze import analyze_task
from ttp.telemetry.handlers.anomaly_detect import anomaly_detect_task
from ttp.telemetry.handlers.limits import DEFAULT_LIMITS, Limit
from ttp.telemetry.handlers.store import store_task
from ttp.telemetry.sinks import Sink


def telemetry_tasks(
    app: App,
    sink: Sink,
    *,
    limits: Iterable[Limit] = DEFAULT_LIMITS,
    window: float = WINDOW,
    notify: Callable[[Alert], object] | None = None,
    queue: str = "default",
) -> LocalTask[[str, int, int, str, dict[str, Any]], None]:
    """Register the five tasks `telemetry.analyze`, `anomaly_detect`, `aggregate`, `store` and `alert`.

    Args:
        sink: where events, windows and alerts are stored, each once.
        limits: what is an anomaly.
        window: seconds that are summed up.
        notify: told of each alert, as in `alert_task`; `webhook` makes one.

    Returns:
        telemetry.analyze: emit the fields of a `Record` to it.
    """
    limits = tuple(limits)
    return analyze_task(
        app,
        store=store_task(app, sink, queue=queue),
        anomaly_detect=anomaly_detect_task(
            app, alert=alert_task(app, sink, notify=notify, queue=queue), limits=limits, queue=queue
        ),
        aggregate=aggregate_task(app, sink, seconds=window, queue=queue),
        limits=limits,
        queue=queue,
    )
