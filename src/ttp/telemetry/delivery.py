"""From a source through the server into a sink, with the worker in this process."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

from ttp.app import App
from ttp.coordination import inspection
from ttp.errors import QueueFull, SerializationError
from ttp.telemetry.event import Event, Record
from ttp.telemetry.handlers.store import store_task
from ttp.telemetry.sinks import Sink
from ttp.telemetry.sources import Source
from ttp.worker.pool import WorkerPool

CONNECT_TIMEOUT = 5.0
JOIN_TIMEOUT = 1.0

T = TypeVar("T", bound=Event | Record)


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of the events.

    Attributes:
        sent: events that the server accepted in this run.
        stored: events stored in this run, those left by an interrupted one included.
        rows: rows written for them.
        repeated: rows left out because an event of the same device, epoch and sequence has them.
        left: events still in the queue, because the run was interrupted.
        dead: why events could not be stored, one reason each.
        seconds: of the whole run.
    """

    sent: int
    stored: int
    rows: int
    repeated: int
    left: int
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
            stopping.wait(min(delay, threading.TIMEOUT_MAX))
            continue
        for event in source.due():
            emit(event)
            if stopping.is_set():
                return


class Delivery:
    """Sends events to the sink's own queue, and stores what is in it. Good for one run.

    The queue is named after the sink's id: events that an interrupted run left there belong into this sink,
    and are stored with the next run.

    Attributes:
        sent: events emitted so far.
        stopping: set it to end early.
    """

    def __init__(self, sink: Sink, url: str | None = None, *, on_stored: Callable[[], None] = lambda: None) -> None:
        self.queue = f"{sink.kind}-{sink.id}"
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
            ServerUnavailable: no server, or it went away; what it has accepted stays in the queue.
        """
        began = perf_counter()

        def emit(event: Event | Record) -> None:
            record = event.record() if isinstance(event, Event) else event
            try:
                self._emit(record)
            except SerializationError as error:
                if on_refused is None:
                    raise
                on_refused(str(error))

        with self._app:
            self._left()  # no server: better now than after the first events
            with self._worker():
                play(source, emit, clock=clock, stopping=self.stopping)
                self._insist(self._app.flush)
            # Nothing more comes: a burst stores what is left, retries included.
            WorkerPool(self._app).run(burst=True)
            dead = [letter.reason for letter in self._app.dead_letters(self.queue)]
            left = self._left()
        sink = self._sink
        sink.close()
        return Summary(self.sent, sink.events, sink.rows, sink.repeated, left, dead, perf_counter() - began)

    def _left(self) -> int:
        """Events in the queue."""
        connection = self._app.open_connection(CONNECT_TIMEOUT)
        try:
            stats = inspection.stats_reply(connection.call_many(inspection.stats(self._app.keys(self.queue))))
        finally:
            connection.close()
        return stats.tasks + stats.waiting

    def _emit(self, record: Record) -> None:
        emit = self._store.emit
        self._insist(emit, record.device, record.epoch, record.sequence, record.timestamp, record.fields)
        self.sent += 1

    def _insist(self, send: Callable[..., None], *arguments: Any) -> None:
        """Send until there is room: the worker may yet empty the queue, but not once the server is gone."""
        while True:
            try:
                return send(*arguments)
            except QueueFull:  # nothing was appended
                if self.stopping.is_set():
                    raise
                self._left()

    @property
    def app(self) -> App:
        """What sends and stores."""
        return self._app

    @contextmanager
    def _worker(self) -> Iterator[None]:
        """A worker in a thread while the block runs. What ends it early ends the block, and is raised."""
        pool = WorkerPool(self._app)
        pool.exit_on_overdue = False
        failed: list[BaseException] = []

        def work() -> None:
            try:
                pool.run()
            except BaseException as error:
                failed.append(error)
                self.stopping.set()

        thread = threading.Thread(target=work, name="ttp-delivery", daemon=True)
        thread.start()
        try:
            yield
        except BaseException as error:
            pool.stop()
            thread.join(JOIN_TIMEOUT)  # without a server it may never end
            if failed:
                raise failed[0] from error
            raise
        pool.stop()
        thread.join()
        if failed:
            raise failed[0]
