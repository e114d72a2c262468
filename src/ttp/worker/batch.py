"""What a batch handler gets: the events of a frame slice, or of several frames."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any, Generic, NamedTuple, TypeVar

from ttp.columns.dictionary import Dictionary
from ttp.columns.joined import Part, join
from ttp.columns.rows import columns_of_rows
from ttp.columns.schema import (
    BOOL,
    FLOAT64,
    INT64,
    STRING,
    TIMESTAMP,
    TIMESTAMP_UTC,
    VALUE,
    Buffers,
    fields_of,
    numpy,
)
from ttp.errors import Reject
from ttp.native import FrameView, encode_columns, unpack
from ttp.task import TaskId

Row = TypeVar("Row")

DTYPES = {INT64: "<i8", FLOAT64: "<f8", TIMESTAMP: "<M8[us]", TIMESTAMP_UTC: "<M8[us]", STRING: "<i4"}


class RowFailed(Exception):
    """Why `Batch.fail` put a row off."""


class Span(NamedTuple):
    """Events of a batch that are in one frame."""

    view: FrameView
    rows: range
    task_id: Callable[[int], TaskId]


class Batch(Generic[Row]):
    """Events of one task, in order, as columns or as rows.

    Attributes:
        failed: row → what `fail` said of it.
    """

    def __init__(self, row: Callable[..., Row] | None, spans: Sequence[Span]) -> None:
        self._row = row
        self._spans = spans
        self._length = sum(len(span.rows) for span in spans)
        self._joined: dict[str, Buffers] = {}
        self.failed: dict[int, Exception] = {}

    @classmethod
    def from_columns(cls, row: Callable[..., Row], /, **columns: Any) -> "Batch[Row]":
        """A batch for tests, of at most what a frame holds. Columns are as for `BatchTask.submit_columns`."""
        from ttp.columns.arrays import columns_of  # noqa: PLC0415 - only senders need it

        made = columns_of(fields_of(row), columns)
        count = len(made[0])
        if not count:
            raise ValueError("a batch has one event or more")
        cut = [column.cut(0, count) for column in made]
        view = FrameView(encode_columns(cut, count, name="test", queue="test", fid=1, producer=bytes(12)))
        return cls(row, [Span(view, range(count), lambda index: TaskId("test", "0", 1, index))])

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, column: str) -> Any:
        """A column as a NumPy array of shape (events,).

        int is int64, float float64, bool bool, datetime datetime64[us] (UTC where the sender's were aware);
        text and everything else are objects. Numbers and times of one frame are views into it. Where there is
        no value (`mask`) floats are NaN, times NaT, texts None, numbers 0.

        Raises:
            KeyError: there is no such column.
        """
        np = numpy()
        _, kind, _, data, offsets, values = self._column(column)
        rows = self._rows
        if kind == BOOL:
            return np.unpackbits(np.frombuffer(data, "u1"), bitorder="little")[rows].astype(bool)
        if kind == STRING:
            encoded = self.dictionary(column)
            return np.array([*encoded.categories, None], dtype=object)[encoded.codes]
        if kind == VALUE:
            ends = np.frombuffer(offsets, "<u4").tolist()
            out = np.empty(len(self), dtype=object)
            out[:] = [unpack(values[ends[i] : ends[i + 1]]) for i in range(rows.start, rows.stop)]
            return out
        return np.frombuffer(data, DTYPES[kind])[rows]

    def mask(self, column: str) -> Any:
        """A bool array of shape (events,): True where the column has no value."""
        np = numpy()
        _, kind, validity, *_ = self._column(column)
        if kind == VALUE:
            return np.array([value is None for value in self[column]], dtype=bool)
        if not len(validity):
            return np.zeros(len(self), dtype=bool)
        return np.unpackbits(np.frombuffer(validity, "u1"), bitorder="little")[self._rows] == 0

    def dictionary(self, column: str) -> Dictionary:
        """A text column's codes and categories. TypeError if it is none."""
        np = numpy()
        _, kind, validity, data, offsets, values = self._column(column)
        if kind != STRING:
            raise TypeError(f"column {column!r} is no text")
        codes = np.frombuffer(data, "<i4")[self._rows]
        if len(validity):
            codes = np.where(self.mask(column), np.int32(-1), codes)
        ends = np.frombuffer(offsets, "<u4").tolist()
        whole = str(values, "utf-8")
        if whole.isascii():  # a character a byte, and cheaper to cut
            return Dictionary(codes, [whole[a:b] for a, b in pairwise(ends)])
        return Dictionary(codes, [str(values[a:b], "utf-8") for a, b in pairwise(ends)])

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._numbers)

    def _column(self, name: str) -> Buffers:
        """A frame's own buffers, or made of its rows, or joined of several frames': this column alone."""
        try:
            number = self._numbers[name]
        except KeyError:
            raise KeyError(f"no column {name!r}; there are {', '.join(self._numbers)}") from None
        if len(self._parts) == 1:
            return self._parts[0].columns[number]
        if name not in self._joined:
            self._joined[name] = join(self._parts, number)
        return self._joined[name]

    @cached_property
    def _parts(self) -> list[Part]:
        return [self._part(span) for span in self._spans]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {column[0]: number for number, column in enumerate(self._parts[0].columns)}

    @property
    def _rows(self) -> slice:
        """Where the batch's events are in its columns."""
        return self._parts[0].rows if len(self._parts) == 1 else slice(0, len(self))

    def _part(self, span: Span) -> Part:
        if span.view.columnar:
            return Part(span.view.columns(), slice(span.rows.start, span.rows.stop))
        made = [] if self._row is None else columns_of_rows(self._row, span.view, span.rows)
        return Part(made, slice(0, len(span.rows)))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule stream: pyarrow, polars, pandas and DuckDB take a batch as a table (`ttp[columns]`)."""
        return self._arrow().__arrow_c_stream__(requested_schema)

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        """The Arrow PyCapsule schema and array, for those who take a record batch."""
        schema, array = self._arrow().__arrow_c_array__(requested_schema)
        return schema, array

    def __arrow_c_schema__(self) -> object:
        """The Arrow PyCapsule schema."""
        return self._arrow().schema.__arrow_c_schema__()

    def _arrow(self) -> Any:
        from ttp.columns.arrow import record_batch  # noqa: PLC0415 - an extra

        (first, *more) = self._spans
        count = len(first.view) if first.view.columnar and not more else len(self)
        return record_batch([self._column(name) for name in self._numbers], count).slice(self._rows.start, len(self))

    def tuples(self) -> list[tuple[Any, ...]]:
        """The events' fields in order of declaration, as sent."""
        return [(*args, *kwargs.values()) if kwargs else args for args, kwargs in self._arguments()]

    def rows(self) -> list[Row]:
        """The events as objects of the row class."""
        if self._row is None:
            raise TypeError("this batch has no row class")
        return [self._row(*args, **kwargs) for args, kwargs in self._arguments()]

    def _arguments(self) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
        return (span.view.arguments(row) for span in self._spans for row in span.rows)

    def task_id(self, row: int) -> str:
        """The id of an event's task: the idempotency key of its external effects."""
        position = row if row >= 0 else row + len(self)
        for span in self._spans:
            if 0 <= position < len(span.rows):
                return str(span.task_id(span.rows[position]))
            position -= len(span.rows)
        raise IndexError(f"no row {row} in a batch of {len(self)}")

    def ranges(self) -> list[tuple[str, int, int]]:
        """The batch's task ids in order, as (`<queue>.<partition>.<origin>`, first index, last index)."""
        out = []
        for span in self._spans:
            prefix = str(span.task_id(span.rows[0])).rpartition(".")[0]
            indices = [span.view.index(row) for row in span.rows]
            runs = groupby(enumerate(indices), key=lambda pair: pair[1] - pair[0])
            out += [(prefix, (run := [index for _, index in group])[0], run[-1]) for _, group in runs]
        return out

    def fail(self, rows: Iterable[int], reason: str, *, retry: bool = True) -> None:
        """Say that some events failed; when the handler returns, the others are done.

        Args:
            rows: positions in the batch.
            retry: whether the retry policy may try them again; else they are dead letters now.

        Raises:
            IndexError: there is no such row.
        """
        for row in rows:
            position = int(row)
            if not 0 <= position < len(self):
                raise IndexError(f"no row {position} in a batch of {len(self)}")
            self.failed[position] = RowFailed(reason) if retry else Reject(reason)
