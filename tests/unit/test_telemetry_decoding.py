"""Events in JSON and in Influx line protocol: what is read, and what is refused as what."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttp.native import EventColumns, FrameView, encode_columns
from ttp.telemetry.event import Record, Scalar
from ttp.telemetry.sources.decoding import Origin, decode_json
from ttp.telemetry.sources.intake import Intake, Malformed
from ttp.telemetry.sources.line_protocol import LineProtocol
from ttp.telemetry.sources.lines import JSON_LINES, LONGEST, MAX_LINE, Stream

NOW = 1_767_225_600.0  # 2026-01-01
STAMP = "2026-01-01T00:00:00+00:00"


def origin() -> Origin:
    return Origin("peer", clock=lambda: NOW)


class Collected(Intake):
    """What would be sent, without a server."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.records: list[Record] = []

    def push(self, columns: EventColumns, deadline: float | None = None) -> int:
        for _, count, buffers in columns.take():
            data = encode_columns(buffers, count, name="t", queue="q", fid=1, producer=bytes(12))
            view = FrameView(data)
            self.records += [Record(*view.arguments(row)[0]) for row in range(count)]
        return len(self.records)


def test_json_dialect_of_the_hub() -> None:
    line = (
        b'{"device_id":"s-1","type":"co2","value":421.5,"unit":"ppm","priority":"HIGH","sequence":7,"epoch":3,'
        b'"timestamp":"2026-01-01T00:00:00Z","metadata":{"location":"zone-1"}}'
    )
    fields: dict[str, Scalar] = {"co2": 421.5, "unit": "ppm", "priority": "HIGH", "metadata.location": "zone-1"}
    assert decode_json(line, origin()) == Record("s-1", 3, 7, "2026-01-01T00:00:00Z", fields)


def test_missing_fields_come_from_the_origin_and_never_repeat() -> None:
    at = origin()
    first, second = decode_json(b'{"value":1}', at), decode_json(b"21.5", at)
    assert first == Record("peer", int(NOW * 1000), 0, STAMP, {"value": 1})
    assert second == Record("peer", int(NOW * 1000), 1, STAMP, {"value": 21.5})
    assert decode_json(b'{"v":1,"seq":5}', at.of("pump")) == Record("pump", 0, 5, STAMP, {"v": 1})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not_json"),
        (b'{"v":1} x', "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"v":"\xff"}', "not_utf8"),
        (b'{"v":"\\ud800"}', "not_utf8"),
        (b'{"v":NaN}', "not_finite"),
        (b'{"v":-Infinity}', "not_finite"),
        (b'{"v":1e999}', "not_finite"),
        (b'{"v":9223372036854775808}', "out_of_range"),
        (b'{"v":' + b"9" * 5000 + b"}", "out_of_range"),
        (b'{"seq":9223372036854775808,"v":1}', "no_event"),
        (b'{"v":1,"timestamp":"yesterday"}', "no_event"),
        (b'{"v":[1]}', "no_event"),
        (b'{"device_id":7,"v":1}', "no_event"),
        (b'{"type":"unit","value":1,"unit":"s"}', "no_event"),
        (b"{}", "no_event"),
        (b"[1]", "no_event"),
        (b"true", "no_event"),
        (b"null", "no_event"),
    ],
)
def test_json_that_is_no_event(line: bytes, reason: str) -> None:
    with pytest.raises(Malformed) as refused:
        decode_json(line, origin())
    assert refused.value.reason == reason


def test_line_protocol() -> None:
    decode = LineProtocol().decode
    line = rb'cpu\ load,host=a\,b,room=x\=1 user=1.5,n=-3i,big=4u,on=t,text="say \"hi\", now" 1767225600123456789'
    fields: dict[str, Scalar] = {"cpu load.user": 1.5, "cpu load.n": -3, "cpu load.big": 4, "cpu load.on": True}
    fields |= {"cpu load.text": 'say "hi", now', "tag.room": "x=1"}
    assert decode(line, origin()) == Record("a,b", int(NOW * 1000), 0, "2026-01-01T00:00:00.123456+00:00", fields)
    assert decode(b"m v=1", origin()) == Record("m", int(NOW * 1000), 0, STAMP, {"m.v": 1.0})
    assert decode(b"m,device=d,epoch=2,sequence=9 v=1", origin()) == Record("d", 2, 9, STAMP, {"m.v": 1.0})
    for unit, count in (("us", b"1767225600000000"), ("ms", b"1767225600000"), ("s", b"1767225600")):
        assert LineProtocol(unit).decode(b"m v=1 " + count, origin()).timestamp == STAMP


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"m", "not_line_protocol"),
        (b"m v", "not_line_protocol"),
        (b"m v=", "not_line_protocol"),
        (b"m,tag v=1", "not_line_protocol"),
        (b"m,tag= v=1", "not_line_protocol"),
        (b",a=b v=1", "not_line_protocol"),
        (b"m v=1 12x", "not_line_protocol"),
        (b"m v=1 1 2", "not_line_protocol"),
        (b'm v="open', "not_line_protocol"),
        (b"m v=1_0", "not_line_protocol"),
        (b"m v=0x10", "not_line_protocol"),
        (b"m v=NaN", "not_finite"),
        (b"m v=-inf", "not_finite"),
        (b"m v=1e999", "out_of_range"),
        (b"m v=9223372036854775808i", "out_of_range"),
        (b"m v=1 9223372036854775808", "out_of_range"),
        (b"m v=\xff", "not_utf8"),
    ],
)
def test_line_protocol_that_is_none(line: bytes, reason: str) -> None:
    with pytest.raises(Malformed) as refused:
        LineProtocol().decode(line, origin())
    assert refused.value.reason == reason


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_refused(line: bytes) -> None:
    for decode in (decode_json, LineProtocol().decode):
        try:
            record = decode(line, origin())
        except Malformed:
            continue
        assert all(not isinstance(v, float) or math.isfinite(v) for v in record.fields.values())


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(-9, 9), min_size=1)), st.data())
def test_pieces_of_any_size_give_the_same_events(rows: list[dict[str, int]], data: st.DataObject) -> None:
    body = b"\n".join(json.dumps(row).encode() for row in rows)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    intake = Collected()
    stream = Stream(JSON_LINES, origin(), intake)
    for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        stream.feed(body[begin:end], more=data.draw(st.booleans()))
    stream.end()
    assert [record.fields for record in intake.records] == rows
    assert not intake.refused


def test_an_event_waits_for_a_full_frame_only_while_more_is_there() -> None:
    intake = Collected()
    stream = Stream(JSON_LINES, origin(), intake)
    stream.feed(b"1\n", more=True)
    assert intake.records == []
    stream.feed(b"2\n")
    assert [record.fields["value"] for record in intake.records] == [1, 2]
    stream.feed(b"3\n", more=True)
    stream.push()  # what was there could not be read
    assert len(intake.records) == 3
    # Nothing good comes for long: what was good before does not wait for it.
    stream.feed(b"4\n", more=True)
    for _ in range(LONGEST // 1000 + 1):
        stream.feed(b"\n" * 1000, more=True)
        if len(intake.records) == 4:
            break
    assert [record.fields["value"] for record in intake.records] == [1, 2, 3, 4]
    # A frame that is full leaves at once.
    stream.feed(b'{"v":1}\n' * 10_000, more=True)
    assert 8_000 < len(intake.records) < 10_004
    stream.end()
    assert len(intake.records) == 10_004


def test_a_long_line_is_refused_once_and_the_next_one_taken() -> None:
    told: list[str] = []
    intake = Collected(on_sample=told.append)
    stream = Stream(JSON_LINES, origin(), intake)
    for _ in range(4):
        stream.feed(b"\x1b" * MAX_LINE)
    stream.feed(b"\xff\n1\nbad\nbad too\n2")
    stream.end()
    assert [record.fields["value"] for record in intake.records] == [1, 2]
    assert intake.refused == {"too_long": 1, "not_json": 2}
    assert len(told) == 2
    assert all(text.isprintable() and len(text) < 700 for text in told)  # escaped: nothing reaches a terminal raw


def test_a_short_line_may_be_a_long_event() -> None:
    # Names inside an object are written out: 20 of 10,000 characters are more than a task may be.
    nested = json.dumps({"x" * 10_000: dict.fromkeys(map(str, range(20)), 1)}).encode()
    assert len(nested) < MAX_LINE
    intake = Collected()
    stream = Stream(JSON_LINES, origin(), intake)
    stream.feed(b"1\n" + nested + b"\n2\n")
    stream.end()
    assert [record.fields["value"] for record in intake.records] == [1, 2]
    assert intake.refused == {"too_long": 1}


def test_timestamps_may_repeat_and_run_backwards() -> None:
    stamps = ["2026-01-01T00:00:02+00:00", "2026-01-01T00:00:01+00:00", "2026-01-01T00:00:01+00:00"]
    intake = Collected()
    stream = Stream(JSON_LINES, origin(), intake)
    stream.feed(b"".join(json.dumps({"timestamp": stamp, "v": 1}).encode() + b"\n" for stamp in stamps))
    stream.end()
    assert [(record.timestamp, record.sequence) for record in intake.records] == list(
        zip(stamps, range(3), strict=True)
    )
    assert not intake.refused
