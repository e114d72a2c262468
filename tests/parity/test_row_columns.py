"""Rows as columns: the same buffers from both twins, and what is not plain is left by both."""

import struct
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

Twins = tuple[Any, Any]
BOOL, INT64, FLOAT64, TIMESTAMP, TIMESTAMP_UTC, STRING, VALUE = range(1, 8)
FIELDS = [
    ("ok", BOOL, True, b""),
    ("n", INT64, True, b""),
    ("value", FLOAT64, True, b"\x07"),
    ("at", TIMESTAMP, True, b"\xc0"),
    ("text", STRING, True, b"\xa1x"),
    ("more", VALUE, True, b"\x80"),
]
NAMES = [field[0] for field in FIELDS]
ZONES = [None, UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=23))]
TIMES = st.builds(
    lambda at, zone: at.replace(tzinfo=zone, fold=0),
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)),  # noqa: DTZ001
    st.sampled_from(ZONES),
)
PLAIN: list[st.SearchStrategy[Any]] = [
    st.none() | st.booleans(),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats() | st.integers(-(2**63), 2**64 - 1),
    st.none() | TIMES,
    st.none() | st.text(max_size=5),
    st.none() | st.lists(st.binary(max_size=3) | st.lists(TIMES, max_size=1), max_size=2),
]


def frame_of(twin: Any, rows: list[bytes]) -> Any:
    """A view of these rows."""
    return twin.FrameView(twin.encode_frame(rows, name="t", queue="q", fid=7, producer=bytes(12)))


@st.composite
def events(draw: st.DrawFn) -> tuple[list[Any], dict[str, Any]]:
    """A plain row's arguments: some by position, some by name, and what has a default perhaps not at all."""
    values = [draw(strategy) for strategy in PLAIN]
    split = draw(st.integers(0, len(values)))
    named = draw(st.permutations(list(zip(NAMES, values, strict=True))[split:]))
    left_out = draw(st.sets(st.sampled_from(NAMES[2:])))
    return values[:split], {name: value for name, value in named if name not in left_out}


@settings(max_examples=30)
@given(st.lists(events(), min_size=1, max_size=4), st.data())
def test_plain_rows_are_the_same_columns(both: Twins, rows: list[Any], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    made = []
    for twin in both:
        view = frame_of(twin, [twin.encode_row(args, kwargs) for args, kwargs in rows])
        made.append(view.rows_as_columns(start, stop, FIELDS))
    assert made[0] == made[1] is not None
    if start == stop:
        return
    # They are columns that a frame can hold, and its rows are the calls that were made.
    columns = both[1].FrameView(
        both[1].encode_columns(made[0], stop - start, name="t", queue="q", fid=7, producer=bytes(12))
    )
    defaults: dict[str, Any] = {"value": 7, "at": None, "text": "x", "more": {}}
    zoned = made[0][3][1] == TIMESTAMP_UTC
    for row, (args, kwargs) in enumerate(rows[start:stop]):
        call = {**defaults, **dict(zip(NAMES, args, strict=False)), **kwargs}
        if call["at"] is not None and zoned:
            call["at"] = call["at"].replace(tzinfo=call["at"].tzinfo or UTC)
        if call["value"] is not None:
            call["value"] = float(call["value"])
        assert repr(columns.arguments(row)[0]) == repr(
            tuple(as_utc(call[name]) if name == "at" else call[name] for name in NAMES)
        )


def as_utc(at: datetime | None) -> datetime | None:
    """A column's times are in one zone."""
    return at if at is None or at.tzinfo is None else at.astimezone(UTC)


ANYTHING = st.one_of(*PLAIN, st.integers(2**63, 2**64 - 1))


@settings(max_examples=50)
@given(st.lists(st.lists(ANYTHING, max_size=7), min_size=1, max_size=4), st.booleans(), st.data())
def test_any_row_is_taken_or_left_by_both(both: Twins, rows: list[Any], nullable: bool, data: st.DataObject) -> None:
    fields = [(name, kind, nullable, fallback) for name, kind, _, fallback in FIELDS]
    packed = [
        bytearray(both[1].encode_row(row, data.draw(st.dictionaries(st.sampled_from([*NAMES, "x"]), ANYTHING))))
        for row in rows
    ]
    for row in packed:
        for at in data.draw(st.lists(st.integers(0, len(row) - 1), max_size=2)):
            row[at] = data.draw(st.integers(0, 255))
        del row[data.draw(st.integers(1, len(row))) :]
    native, pure = (
        frame_of(twin, [bytes(row) for row in packed]).rows_as_columns(0, len(rows), fields) for twin in both
    )
    assert native == pure


@pytest.mark.parametrize(
    "row",
    [
        b"\x91\xc3",  # n is missing, and has no default
        b"\x92\x01\x01",  # a number is no truth value
        b"\x92\xc3\xc3",
        b"\x92\xc3\xcf\xff\xff\xff\xff\xff\xff\xff\xff",  # beyond 64 bits with sign
        b"\x93\xc3\x01\xca\x00\x00\x00\x00",  # four bytes of a float: nobody sends them
        b"\x93\xc3\x01\xa1x",
        b"\x94\xc3\x01\x01\xd7\x01" + struct.pack("<q", -62_135_596_800_000_000),  # in no zone east of UTC there was it
        b"\x94\xc3\x01\x01\xd7\x02" + bytes(8),
        b"\x94\xc3\x01\x01\xc7\x0c\x01" + struct.pack("<qi", 0, 86_400),
        b"\x95\xc3\x01\x01\xc0\xa1\xff",  # no UTF-8
        b"\x96\xc3\x01\x01\xc0\xa0\x92\x01",  # truncated
        b"\x97\xc3\x01\x01\xc0\xa0\xc0\xc0",  # one too many
        b"\x92\xc3\x01\x81\xa1n\x02",  # twice
        b"\x92\xc3\x01\x81\xa1y\x02",  # unknown
        b"\x92\xc3\x01\x81\x01\x02",
        b"\x92\xc3\x01\x01",  # keywords are a map
        b"\x92\xc3\x01\x80\xc0",
        b"\x80",
    ],
)
def test_what_is_not_plain(backend: Any, row: bytes) -> None:
    good = b"\x92\xc3\x01"
    view = frame_of(backend, [good, row, good])
    assert view.rows_as_columns(0, 3, FIELDS) is None
    assert view.rows_as_columns(0, 1, FIELDS) is not None
    assert view.rows_as_columns(2, 3, FIELDS) is not None


def test_null_where_none_is_allowed(backend: Any) -> None:
    for i, (name, kind, _, _) in enumerate(FIELDS):
        row = backend.encode_row([], {name: None})
        strict = [(name, kind, False, b"")]
        taken = frame_of(backend, [row]).rows_as_columns(0, 1, strict)
        assert (taken is not None) == (kind == VALUE), i


def test_what_cannot_be_asked(backend: Any) -> None:
    view = frame_of(backend, [b"\x91\x01"] * 2)
    field = ("n", INT64, False, b"")
    for start, stop, fields, error in [
        (0, 3, [field], ValueError),
        (2, 1, [field], ValueError),
        (0, 1, [], ValueError),
        (0, 1, [field] * 65, ValueError),
        (0, 1, [field[:3]], ValueError),
        (0, 1, [("n", 8, False, b"")], ValueError),
        (0, 1, [("n", TIMESTAMP_UTC, False, b"")], ValueError),
        (0, 1, [("n", INT64, False, None)], TypeError),
    ]:
        with pytest.raises(error):
            view.rows_as_columns(start, stop, fields)
    columns = backend.encode_columns(
        [("n", INT64, b"", bytes(8), b"", b"")], 1, name="t", queue="q", fid=7, producer=bytes(12)
    )
    with pytest.raises(ValueError, match="no rows"):
        backend.FrameView(columns).rows_as_columns(0, 1, [field])
