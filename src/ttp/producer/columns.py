"""Columns on their way: cut into frames, and sent like those of rows."""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from ttp.columns.arrays import Column, columns_of
from ttp.columns.schema import Buffers, fields_of
from ttp.errors import TtpError
from ttp.native import MAX_COLUMN_ROWS, FrameView, FrameWriter, Route, encode_columns, scope

if TYPE_CHECKING:
    from ttp.producer.task import Target

TARGET = 256 * 1024  # bytes of a frame
LARGEST = 768 * 1024  # of any frame: derived ones need room for an index


class ColumnFrame:
    """A frame of columns on its way out; to the sender it is what a `FrameWriter` is."""

    __slots__ = ("_data", "count", "fid", "origin", "outcome", "route", "sealed")

    def __init__(self, route: Route, fid: int, count: int, data: bytes) -> None:
        self.route = route
        self.fid = self.origin = fid
        self.count = count
        self.sealed = True
        self.outcome: Any = None
        self._data: bytes | None = data

    def __len__(self) -> int:
        return self.count

    def data(self) -> memoryview:
        """The frame's bytes. ValueError after release."""
        if self._data is None:
            raise ValueError("the frame is released")
        return memoryview(self._data)

    def release(self) -> None:
        """Forget the bytes."""
        self._data = None


def frame_of(route: Route, columns: Iterable[Buffers], count: int, producer: bytes, offset_us: int) -> ColumnFrame:
    """A frame of these buffers. ValueError if they are too large for one."""
    fid = secrets.randbits(64) or 1
    data = encode_columns(
        columns,
        count,
        name=route.name,
        queue=route.queue,
        fid=fid,
        producer=producer,
        priority=route.priority,
        created_at=time.time_ns() // 1000 + offset_us,
        trace=route.trace,
    )
    return ColumnFrame(route, fid, count, data)


def frames(route: Route, columns: Sequence[Column], producer: bytes, offset_us: int) -> Iterator[ColumnFrame]:
    """The rows in order, in frames of about 256 KiB.

    Args:
        producer: id of the sending process.
        offset_us: server time minus local time.
    """
    rows = len(columns[0])
    width = max(1, sum(column.size for column in columns) // max(1, rows))
    step = max(1, min(MAX_COLUMN_ROWS, TARGET // width))
    spans = [(start, min(rows, start + step)) for start in range(0, rows, step)][::-1]
    while spans:
        start, stop = spans.pop()
        try:
            frame = frame_of(route, [column.cut(start, stop) for column in columns], stop - start, producer, offset_us)
        except ValueError:
            if stop - start == 1:
                raise
            frame = None
        if frame is not None and (len(frame.data()) <= LARGEST or stop - start == 1):
            yield frame
        else:
            middle = (start + stop) // 2
            spans += [(middle, stop), (start, middle)]


def submit(target: "Target", route: Route, row: Callable[..., Any], table: Any, given: Mapping[str, Any]) -> int:
    """See `BatchTask.submit_columns`. Returns how many events there were."""
    if table is not None:
        from ttp.columns.arrow import columns_in  # noqa: PLC0415 - needs pyarrow, which is an extra

        given = {**columns_in(table), **given}
    columns = columns_of(fields_of(row), given)
    if not (events := len(columns[0])):
        return 0
    producer = target.producer
    outbox = producer.outbox
    made = frames(route, columns, outbox.producer, outbox.offset_us)
    if scope.get() is not None and not target.detached:
        for frame in made:
            view = FrameView(bytes(frame.data()))
            route.extend(view.arguments(event)[0] for event in range(len(view)))
        return events
    sent: list[FrameWriter] = []
    try:
        for frame in made:
            sent.append(cast("FrameWriter", frame))
            producer.push(sent[-1])
        for waiting in sent:
            producer.accept(waiting)
    except TtpError as error:
        error.accepted = sum(len(frame) for frame in sent if frame.outcome is True)  # type: ignore[attr-defined]
        raise
    return events
