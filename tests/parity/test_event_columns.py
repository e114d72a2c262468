"""Lines to columns: both twins take the same lines, and take them as the decoders of `ttp.telemetry.sources` would."""

import json
import random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ttp.telemetry.event import Record
from ttp.telemetry.sources.decoding import Origin, decode_json
from ttp.telemetry.sources.line_protocol import LineProtocol

Twins = tuple[Any, Any]
ORIGIN: dict[str, Any] = {
    "device": "peer",
    "epoch": 1_767_225_600_000,
    "sequence": 0,
    "now": "2026-01-01T00:00:00+00:00",
}
NAMES = {"name": "t", "queue": "q", "fid": 1, "producer": bytes(12)}

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**65), 2**65), st.floats(), st.text(max_size=6), st.just("HIGH"),
    st.sampled_from(["2026-01-01", "2026-02-29T00:00Z", "2026-01-01 23:59:59.1234567+05:30", "2026-01-01T24:00"]),
)  # fmt: skip
keys = st.one_of(
    st.text(max_size=3),
    st.sampled_from(
        ["device_id", "device", "epoch", "sequence", "seq", "timestamp", "type", "value", "priority", "a", "a.b", "b"]
    ),
)
objects = st.recursive(
    st.dictionaries(keys, scalars, max_size=6), lambda x: st.dictionaries(keys, x | scalars, max_size=4)
)
lines_of_json = st.builds(
    lambda value, escaped, spaces: json.dumps(
        value, ensure_ascii=escaped, separators=(", ", ": ") if spaces else (",", ":")
    ).encode("utf-8", "surrogatepass"),
    objects,
    st.booleans(),
    st.booleans(),
)
lines_of_protocol = st.lists(
    st.sampled_from([b"m", b",", b"=", b" ", b"tag", b"host", b"device", b"sequence", b"epoch", b"v", b"1", b"-2i",
                     b"3u", b"1.5e3", b"+.5", b"t", b'"x, y"', b'\\"', b"\\", b"\xc3\xbc", b"1700000000", b"nan",
                     b"#"]),
    max_size=24,
).map(b"".join)  # fmt: skip
GOOD = [
    (
        b'{"device_id":"s-1","type":"co2","value":421.5,"unit":"ppm","priority":"HIGH","sequence":7,"epoch":3,'
        b'"timestamp":"2026-01-01T00:00:00Z","metadata":{"location":"zone-1","firmware":{"version":"1.2"}}}'
    ),
    b' {"v" : -12.5e-3, "text": "a\\u00fc\\ud83d\\ude00\\n\\/", "on": true, "off": false, "none": null}\r',
    b'{"value":0,"type":"x"}',
    b'{"type":"only"}',
    b'{"value":99.66799999999999}',
    b'{"seq":-9223372036854775808,"v":9223372036854775807,"w":1e22,"z":-0.0}',
]


def taken(twin: Any, method: str, data: bytes, **options: int) -> tuple[int, int, list[Any]]:
    """Where it ended, the next sequence, and the columns."""
    columns = twin.EventColumns(1 << 18)
    at, sequence = getattr(columns, method)(data, 0, **ORIGIN, **options)
    count = len(columns)
    out = columns.take()
    assert sum(rows for _, rows, _ in out) == count
    assert not len(columns)
    return at, sequence, out


def records(twin: Any, out: list[Any]) -> list[Record]:
    """The events in columns."""
    got = []
    for _, count, made in out:
        view = twin.FrameView(twin.encode_columns(made, count, **NAMES))
        got += [Record(*view.arguments(row)[0]) for row in range(count)]
    return got


def check(both: Twins, line: bytes, method: str, decode: Any, **options: int) -> bool:
    """Both do the same with a line; True if they take it, and then as the decoder does."""
    said = [taken(twin, method, line, **options) for twin in both]
    assert said[0] == said[1]
    at, _, out = said[0]
    if out:
        assert at == len(line)
        origin = Origin("peer", clock=lambda: ORIGIN["epoch"] / 1000)
        assert repr(records(both[0], out)) == repr([decode(line.strip(), origin)])
    return bool(out)


@given(line=lines_of_json)
@example(line=b'{"a":{"b":1},"a":{}}')
@example(line=b'{"":{"b":1},"b":2}')
@example(line=b'{"type":"unit","value":1,"unit":"s"}')
@example(line=b'{"unit":"s","value":1,"type":"unit"}')
@example(line=b'{"type":"a.b","value":1,"a":{"b":2}}')
@example(line=b'{"a.b":1,"a":{"b":2}}')
@example(line=b'{"v":1e-400}')
@example(line=b'{"v":0e-400}')
@example(line=b'{"v":4.9e-324}')
@example(line=b'{"v":01}')
@example(line=b'{"v":1.}')
@example(line=b'{"v":1,}')
@example(line=b'{"v":"\\ud800"}')
@example(line=b'{"v":"\t"}')
@example(line=b'{"v":1} {"v":2}')
@example(line=b'{"v":' + b'{"v":' * 9 + b"1" + b"}" * 10)
@example(line=b'{"' + b"x" * 40_000 + b'":{"a":1,"b":2,"c":3,"d":4}}')
def test_json(both: Twins, line: bytes) -> None:
    check(both, line, "read_json", decode_json)


@given(st.lists(lines_of_json | st.sampled_from(GOOD), min_size=2, max_size=6), st.data())
@example([b'{"a":1,"b":2}', b'{"a":1,"b":2}', b'{"a":1,"a":2}', b'{"b":1,"a":2}', b'{"a":3,"b":4,"c":5}'], None)
@example([b'{"a":{"b":1},"c":2}', b'{"a":{"b":1},"c.d":2}', b'{"a.b":1,"a":2}', b'{"a":{"c":1},"ab":2}'], None)
@example([b'{"v":1,"w":2}', b'{"v":1,"w":', b'{"w":1,"v":2,"w":3}', b'{"v":1}'], None)
def test_no_line_leaves_a_trace_on_those_that_follow(both: Twins, lines: list[bytes], data: Any) -> None:
    lines = [line for line in lines if b"\n" not in line]
    if data is not None:  # many of the same names in a row, as a sender has them
        lines = [line for line in lines for _ in range(data.draw(st.integers(1, 3)))]
    alone = [taken(both[1], "read_json", line)[2] for line in lines]
    expected = [record.fields for out in alone for record in records(both[1], out)]
    for twin in both:
        columns, body, at, got = twin.EventColumns(1 << 18), b"\n".join(lines) + b"\n", 0, []
        while at < len(body):
            at, _ = columns.read_json(body, at, **ORIGIN)
            got += [record.fields for record in records(twin, columns.take())]
            at = body.index(b"\n", at) + 1 if at < len(body) else at
        # Columns of one priority come together: a run of lines of both is in another order.
        assert sorted(map(repr, got)) == sorted(map(repr, expected))


@given(line=lines_of_protocol)
@example(line=rb'cpu\ load,host=a\,b,room=x\=1 user=1.5,n=-3i,big=4u,on=t,text="say \"hi\", now" 1767225600123456789')
@example(line=b"m v=1 -1")
@example(line=b"m v=1 -62135596800000000")
@example(line=b"m v=1 253402300800000000")
@example(line=b"m v=+-5")
def test_line_protocol(both: Twins, line: bytes) -> None:
    for precision, per_second in (("us", 1_000_000), ("s", 1)):
        check(both, line, "read_lines", LineProtocol(precision).decode, per_second=per_second)


@given(st.integers(-62_135_596_800, 253_402_300_799), st.integers(0, 999_999_999))
def test_timestamps_of_line_protocol(both: Twins, second: int, nanosecond: int) -> None:
    count = (second % 9_000_000_000) * 10**9 + nanosecond
    assert check(both, b"m v=1 %d" % count, "read_lines", LineProtocol("ns").decode, per_second=10**9)
    assert check(both, b"m v=1 %d" % second, "read_lines", LineProtocol("s").decode, per_second=1)


@pytest.mark.parametrize("line", GOOD)
def test_plain_events_are_taken(both: Twins, line: bytes) -> None:
    assert check(both, line, "read_json", decode_json)


def test_whatever_happens_to_a_line_both_do_the_same(both: Twins) -> None:
    rng = random.Random(4)
    protocol = rb'cpu,host=a\,b,room=1 user=1.5,n=-3i,on=t,text="a \"b\", c" 1767225600123456789'
    for _ in range(1500):
        line = bytearray(rng.choice([*GOOD, protocol, protocol]))
        for _ in range(rng.randint(1, 3)):
            line[rng.randrange(len(line))] = rng.choice(b'"{}[]:,.0e-+ \\uaZ#=\xff\xc3\t')
        if b"\n" not in line:
            check(both, bytes(line), "read_json", decode_json)
            check(both, bytes(line), "read_lines", LineProtocol().decode, per_second=10**9)


def test_a_buffer_is_read_up_to_the_line_that_is_left(both: Twins) -> None:
    data = b'\n{"v":1}\r\n  \n{"v":2,"priority":"HIGH"}\nnope\n{"v":3}'
    for twin in both:
        columns = twin.EventColumns(1 << 18)
        at, sequence = columns.read_json(data, 0, **ORIGIN)
        assert (data[at : at + 4], sequence, len(columns), columns.full) == (b"nope", 2, 2, False)
        at, sequence = columns.read_json(memoryview(data), at + 5, **{**ORIGIN, "sequence": sequence})
        assert (at, sequence) == (len(data), 3)
        columns.append("d", 1, 2, "2026-01-01", twin.pack({"v": 4}), False)
        out = columns.take()
        assert [(high, count) for high, count, _ in out] == [(True, 1), (False, 3)]
        assert [record.fields["v"] for record in records(twin, out)] == [2, 1, 3, 4]


def test_a_file_numbers_its_lines_and_has_timestamps(both: Twins) -> None:
    data = b'\n{"v":1,"timestamp":"2026-01-01"}\n \n{"v":2,"seq":9,"timestamp":"2026-01-02"}\n{"v":3}\n'
    for twin in both:
        columns = twin.EventColumns(1 << 18)
        options: dict[str, Any] = {**ORIGIN, "epoch": 0, "now": "", "by_line": True}
        at, line = columns.read_json(data, 0, **{**options, "sequence": 1})
        assert (data[at:], line) == (b'{"v":3}\n', 5)
        assert [record.sequence for record in records(twin, columns.take())] == [2, 9]
        assert columns.read_json(data, 0, **{**options, "sequence": 2**63 - 1}) == (0, 2**63 - 1)


def test_columns_are_full_at_their_limit_and_take_no_more(both: Twins) -> None:
    data = b'{"v":1}\n' * 100
    ends = set()
    for twin in both:
        columns = twin.EventColumns(1000)
        ends.add(columns.read_json(data, 0, **ORIGIN))
        assert columns.full
        assert columns.read_json(data, 8, **ORIGIN) == (8, 0)
        with pytest.raises(ValueError, match="full"):
            columns.append("d", 1, 2, "2026-01-01", b"\x80", False)
        columns.take()
        with pytest.raises(ValueError, match="an event may take 131072 bytes"):
            columns.append("d", 1, 2, "2026-01-01", bytes(140_000), False)
        with pytest.raises(ValueError, match="epoch does not fit 64 bits"):
            columns.append("d", 2**63, 2, "2026-01-01", b"\x80", False)
        with pytest.raises(ValueError, match="start must be between 0 and 800"):
            columns.read_json(data, 801, **ORIGIN)
        with pytest.raises(ValueError, match="per_second"):
            columns.read_lines(data, 0, **ORIGIN, per_second=60)
    assert len(ends) == 1
