"""The task that stores events in a sink."""

from collections.abc import Callable

from ttp.app import App
from ttp.producer import BatchTask
from ttp.telemetry.event import Record
from ttp.telemetry.handlers import SINK_RETRY
from ttp.telemetry.sinks import Sink
from ttp.worker.batch import Batch

STORE = "telemetry.store"


def store_task(
    app: App, sink: Sink, *, queue: str = "default", on_stored: Callable[[], None] = lambda: None
) -> BatchTask[[str, int, int, str, dict[str, float | int | str | bool | None]], Record]:
    """Register the batch task `telemetry.store`, called with the fields of a `Record`.

    Args:
        on_stored: called in the worker after each batch.
    """

    @app.batch(Record, name=STORE, queue=queue, retry=SINK_RETRY)
    def store(batch: Batch[Record]) -> None:
        sink.store(batch.ranges(), batch.tuples())
        on_stored()

    return store
