"""Events on their way in: accepted by the server, or refused and counted."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, cast

from ttp.app import App
from ttp.errors import QueueFull, ServerUnavailable
from ttp.native import EventColumns, FrameWriter, pack
from ttp.producer.columns import frame_of
from ttp.telemetry.event import PRIORITY_NAMES, Record
from ttp.telemetry.handlers.malformed import MALFORMED
from ttp.telemetry.handlers.store import STORE

MAX_SAMPLE = 120  # bytes of a refused line that are kept and shown
MAX_DEAD = 4096  # bytes of it in a dead letter
TURN = 1.0  # seconds of one wait for the server: after it, `stopping` is looked at
FRAME = 256 * 1024  # bytes of columns
COUNTED = 256  # frames sent before those accepted are counted and forgotten
HIGH = PRIORITY_NAMES["high"]


class Malformed(ValueError):
    """What was sent is no event.

    Attributes:
        reason: one of few words, for counting.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def new_columns() -> EventColumns:
    """Columns that are full when they make a frame."""
    return EventColumns(FRAME)


def add(columns: EventColumns, record: Record) -> None:
    """Add an event. Malformed if it is larger than a task may be."""
    high = record.fields.get("priority") == HIGH
    try:
        packed = pack(record.fields)
        columns.append(record.device, record.epoch, record.sequence, record.timestamp, packed, high)
    except ValueError as error:
        raise Malformed("too_long", str(error)) from None


class Intake:
    """Sends events to the task `telemetry.store` of an app; safe to use from several threads.

    Attributes:
        refused: lines and packets that were no events, by reason.
        samples: reason → the first line refused for it, escaped and cut to 120 bytes, with the detail.
        stopping: ends every wait when it is set.
    """

    def __init__(
        self,
        app_name: str = "telemetry",
        url: str | None = None,
        *,
        queue: str = "default",
        dead_letters: bool = False,
        stopping: threading.Event | None = None,
        on_sample: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Nothing is sent before the first event.

        Args:
            dead_letters: send what is refused to the task `telemetry.malformed`, whose worker makes
                dead letters of it.
            on_sample: told the first sample of each reason.
        """
        self._accepted = 0
        self._sent: list[FrameWriter] = []  # frames whose acceptance is not counted yet
        self.refused: Counter[str] = Counter()
        self.samples: dict[str, str] = {}
        self.stopping = stopping or threading.Event()
        self.app = App(app_name, url, result_ttl=0.0, submit_timeout=TURN)
        self._lock = threading.Lock()
        self._behind = False  # events were taken over and not accepted in time
        self._normal = self.app.remote(STORE, queue=queue)
        self._high = self._normal.options(priority="high")
        self._malformed = self.app.remote(MALFORMED, queue=queue) if dead_letters else None
        self._on_sample = on_sample

    @property
    def accepted(self) -> int:
        """Events that the server has accepted."""
        with self._lock:
            waiting = [frame for frame in self._sent if frame.outcome is not True]
            self._accepted += sum(map(len, self._sent)) - sum(map(len, waiting))
            self._sent = waiting
            return self._accepted

    def take(self, records: Sequence[Record], *, patience: float | None = None) -> int:
        """`send` for events that were decoded. One that is larger than a task may be is refused."""
        return self.send(self._columns(records), patience=patience)

    def send(self, batches: Iterable[EventColumns], *, patience: float | None = None) -> int:
        """Return when the server has accepted all of these events; how many they were.

        Args:
            patience: seconds to wait for a full queue or a server that is away; None: as long as it takes.

        Raises:
            QueueFull, ServerUnavailable: not within `patience`, or `stopping` was set. What had been taken
                over is kept and may still be accepted: a sender that repeats it should number its events.
                Nothing more is taken over before that is accepted.
        """
        deadline = None if patience is None else time.monotonic() + patience
        if self._behind:
            self._flush(deadline)
        count = sum(self.push(columns, deadline) for columns in batches)
        if count:
            self._flush(deadline)
        return count

    def push(self, columns: EventColumns, deadline: float | None = None) -> int:
        """Send these events, and leave the columns empty; how many they were. A full queue is waited for.

        Returns before they are accepted, for senders that do not hear of it: at most 64 frames are on their way.
        Raises as `send`.
        """
        producer, count = self.app.producer, len(columns)
        for high, rows, buffers in columns.take():
            route: Any = (self._high if high else self._normal).emit
            outbox = producer.outbox
            frame = cast("FrameWriter", frame_of(route, buffers, rows, outbox.producer, outbox.offset_us))
            self._insist(lambda frame=frame: producer.push(frame), deadline)  # type: ignore[misc]
            with self._lock:
                self._sent.append(frame)
        if len(self._sent) > COUNTED:
            _ = self.accepted
        return count

    def settle(self) -> None:
        """Return when the server has accepted all that was pushed. Raises as `send`, when `stopping` is set."""
        self._flush(None)

    def _columns(self, records: Iterable[Record]) -> Iterator[EventColumns]:
        columns = new_columns()
        for record in records:
            try:
                add(columns, record)
            except Malformed as error:
                self.refuse(error, str(record.fields)[:MAX_DEAD].encode("utf-8", "backslashreplace"))
            if columns.full:
                yield columns
        if len(columns):
            yield columns

    def refuse(self, error: Malformed, raw: bytes) -> None:
        """Count what is no event, and keep a sample; with `dead_letters`, send it to where it can be looked at."""
        with self._lock:
            self.refused[error.reason] += 1
            first = error.reason not in self.samples
            if first:
                self.samples[error.reason] = f"{error.reason}: {error}: {_escaped(raw, MAX_SAMPLE)}"
        if first:
            self._on_sample(self.samples[error.reason])
        if (task := self._malformed) is not None:
            self._insist(lambda: task.emit(error.reason, str(error), _escaped(raw, MAX_DEAD)), None)

    def close(self) -> None:
        """Send what is left, and end the connection."""
        self.app.close()

    def _flush(self, deadline: float | None) -> None:
        self._behind = True
        left = TURN if deadline is None else min(TURN, max(0.0, deadline - time.monotonic()))
        self._insist(lambda: self.app.flush(left), deadline)
        self._behind = False

    def _insist(self, send: Callable[[], None], deadline: float | None) -> None:
        """Send until it succeeds: a full queue has room later, and a server comes back."""
        while True:
            try:
                return send()
            except (QueueFull, ServerUnavailable) as error:
                if self.stopping.is_set() or (deadline is not None and time.monotonic() >= deadline):
                    raise
                if isinstance(error, ServerUnavailable):
                    self.stopping.wait(0.05)  # it may have been refused at once


class Receiver(Protocol):
    """A source of events that others send, when they please."""

    def serve(self, intake: Intake) -> None:
        """Hand events to the intake until there are no more, or `intake.stopping` is set.

        Raises:
            OSError: what it reads from or listens on cannot be had.
        """
        ...


def _escaped(raw: bytes, limit: int) -> str:
    text = ascii(raw[:limit].decode("utf-8", "backslashreplace"))
    return text if len(raw) <= limit else f"{text} and {len(raw) - limit:,} bytes more"
