"""Columns of several frames in one batch."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttp.columns.arrays import columns_of
from ttp.columns.schema import fields_of
from ttp.native import FrameView, encode_columns, encode_frame, encode_row
from ttp.task import TaskId
from ttp.worker.batch import Batch, Span

np = pytest.importorskip("numpy", reason="columns need NumPy")


@dataclass
class Row:
    name: str | None
    n: int | None
    value: float | None
    ok: bool | None
    at: datetime | None
    more: Any


NAMES = ["name", "n", "value", "ok", "at", "more"]
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001
EVENTS = st.tuples(
    st.none() | st.text(max_size=3),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False),
    st.none() | st.booleans(),
    st.none() | TIMES,
    st.none() | st.integers(0, 9) | st.lists(st.booleans(), max_size=2),
)


def span_of(events: list[tuple[Any, ...]], *, columnar: bool, start: int, stop: int) -> Span:
    """Some events of a frame."""
    options: dict[str, Any] = {"name": "t", "queue": "q", "fid": 7, "producer": bytes(12)}
    if columnar:
        columns = columns_of(fields_of(Row), dict(zip(NAMES, zip(*events, strict=True), strict=True)))
        frame = encode_columns([column.cut(0, len(events)) for column in columns], len(events), **options)
    else:
        frame = encode_frame([encode_row(event) for event in events], **options)
    return Span(FrameView(frame), range(start, stop), lambda index: TaskId("q", "0", 7, index))


@st.composite
def spans(draw: st.DrawFn) -> tuple[Span, list[tuple[Any, ...]]]:
    """A span and its events."""
    events = draw(st.lists(EVENTS, min_size=1, max_size=20))
    start = draw(st.integers(0, len(events) - 1))
    stop = draw(st.integers(start + 1, len(events)))
    return span_of(events, columnar=draw(st.booleans()), start=start, stop=stop), events[start:stop]


def listed(batch: Batch[Row]) -> dict[str, list[Any]]:
    """All columns, with None where there is no value."""
    return {
        name: [None if gone else value for value, gone in zip(batch[name].tolist(), batch.mask(name), strict=True)]
        for name in NAMES
    }


@given(st.lists(spans(), min_size=2, max_size=4))
def test_a_join_has_the_events_of_its_frames(parts: list[tuple[Span, list[tuple[Any, ...]]]]) -> None:
    events = [event for _, own in parts for event in own]
    batch = Batch(Row, [span for span, _ in parts])
    assert listed(batch) == {name: [event[i] for event in events] for i, name in enumerate(NAMES)}
    assert batch.tuples() == events
    encoded = batch.dictionary("name")
    assert len(set(encoded.categories)) == len(encoded.categories)
    assert len(batch) == len(events)


def test_a_join_is_one_table() -> None:
    pa = pytest.importorskip("pyarrow", reason="Arrow tables need pyarrow")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    events = [(text, n, n / 2, n % 2 == 0, at + timedelta(n), None) for n, text in enumerate("abacabad")]
    parts = [span_of(events, columnar=columnar, start=1, stop=7) for columnar in (True, False, True)]
    table = pa.table(Batch(Row, parts))
    assert table.to_pylist() == [dict(zip(NAMES, event, strict=True)) for event in events[1:7] * 3]


def test_times_with_and_without_a_zone_are_utc() -> None:
    bare, aware = (
        span_of([("a", 1, 1.0, True, at, None)], columnar=True, start=0, stop=1)
        for at in (datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC))  # noqa: DTZ001
    )
    batch = Batch(Row, [bare, aware])
    assert batch["at"].tolist() == [datetime(2026, 1, 1)] * 2  # noqa: DTZ001
    pa = pytest.importorskip("pyarrow", reason="Arrow tables need pyarrow")
    assert pa.table(batch).schema.field("at").type == pa.timestamp("us", "UTC")
