"""From a source through the server into a sink, with the worker in this process."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

from ttp.app import App
from ttp.errors import QueueFull, SerializationError
from ttp.telemetry.event import Event, Record
from ttp.telemetry.sinks.sqlite import SqliteSink
from ttp.telemetry.sources import Source
from ttp.telemetry.store import store_task
from ttp.worker import WorkerPool

T = TypeVar("T", bound=Event | Record)


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of the events.

    Attributes:
        sent: events that the server accepted in this run.
        stored: events stored in this run, those left by an interrupted one included.
        rows: rows written for them.
        repeated: rows left out because an event of the same device, epoch and sequence has them.
        dead: why events could not be stored, one reason each.
        seconds: of the whole run.
    """

    sent: int
    stored: int
    rows: int
    repeated: int
    dead: list[str]
    seconds: float


def play(
    source: Source[T],
    emit: Callable[[T], None],
    *,
    clock: Callable[[], float],
    stopping: threading.Event,
    pause: Callable[[], None] = lambda: None,
) -> None:
    """Emit the source's events when they are due, until it ends or `stopping` is set.

    Args:
        clock: the one the source reads.
        pause: called before each wait.
    """
    while not stopping.is_set() and (at := source.next_due) is not None:
        if (delay := at - clock()) > 0:
            pause()
            stopping.wait(delay)
            continue
        for event in source.due():
            emit(event)
            if stopping.is_set():
                return


class Delivery:
    """Sends events to the sink's own queue, and stores what is in it.

    The queue is named after the sink's id: events that an interrupted run left there belong into this sink,
    and are stored with the next run.

    Attributes:
        sent: events emitted so far.
        stopping: set it to end early.
    """

    def __init__(
        self, sink: SqliteSink, url: str | None = None, *, on_stored: Callable[[], None] = lambda: None
    ) -> None:
        self.queue = f"sqlite-{sink.id}"
        self.sent = 0
        self.stopping = threading.Event()
        self._app = App("telemetry", url)
        self._sink = sink
        self._store = store_task(self._app, sink, queue=self.queue, on_stored=on_stored)

    def run(
        self,
        source: Source[Event] | Source[Record],
        *,
        clock: Callable[[], float],
        on_refused: Callable[[str], None] | None = None,
    ) -> Summary:
        """Send and store until the source has ended and everything is stored.

        Args:
            clock: the one the source reads.
            on_refused: told why when the event at hand cannot be sent; None: the error is raised.

        Raises:
            ServerUnavailable: no server; what was sent stays in its queue.
        """
        began = perf_counter()
        before = (self._sink.events, self._sink.rows, self._sink.repeated)

        def emit(event: Event | Record) -> None:
            record = event.record() if isinstance(event, Event) else event
            try:
                self._emit(record)
            except SerializationError as error:
                if on_refused is None:
                    raise
                on_refused(str(error))

        with self._app:
            with self._worker():
                play(source, emit, clock=clock, stopping=self.stopping)
                self._flush()
            # Fetching has ended and nothing more comes: what is left drains, retries included.
            WorkerPool(self._app).run(burst=True)
            dead = [letter.reason for letter in self._app.dead_letters(self.queue)]
        self._sink.close()
        stored, rows, repeated = (
            now - then
            for now, then in zip((self._sink.events, self._sink.rows, self._sink.repeated), before, strict=True)
        )
        return Summary(self.sent, stored, rows, repeated, dead, perf_counter() - began)

    def _emit(self, record: Record) -> None:
        while True:
            try:
                self._store.emit(record.device, record.epoch, record.sequence, record.timestamp, record.fields)
            except QueueFull:  # nothing was appended, and the worker may yet empty the queue
                if self.stopping.is_set():
                    raise
            else:
                self.sent += 1
                return

    def _flush(self) -> None:
        while True:
            try:
                return self._app.flush()
            except QueueFull:
                if self.stopping.is_set():
                    raise

    @contextmanager
    def _worker(self) -> Iterator[None]:
        pool = WorkerPool(self._app)
        failed: list[BaseException] = []

        def work() -> None:
            try:
                pool.run()
            except BaseException as error:  # raised in the caller's thread
                failed.append(error)
                self.stopping.set()

        thread = threading.Thread(target=work, name="ttp-delivery", daemon=True)
        thread.start()
        try:
            yield
        finally:
            pool.stop()
            thread.join()
            if failed:
                raise failed[0]
