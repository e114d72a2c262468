"""Files and this machine as sources."""

import os
from pathlib import Path

import pytest

from ttp.native import FrameView, encode_columns
from ttp.telemetry.event import Record
from ttp.telemetry.sources.csv import CsvFile
from ttp.telemetry.sources.files import open_file
from ttp.telemetry.sources.gateway import GatewaySource
from ttp.telemetry.sources.host import HostSource
from ttp.telemetry.sources.jsonl import JsonLinesFile
from ttp.telemetry.sources.record_file import BadRow


def read(path: Path, text: str | bytes, **options: str) -> tuple[list[Record], list[str]]:
    """The records of a file of this text, and what is wrong with the rest."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    bad: list[BadRow] = []
    file = open_file(path, on_bad=bad.append, **options)
    records = list(file)
    assert (file.events, file.bad) == (len(records), len(bad))
    return records, [f"{row.line}: {row.reason}" for row in bad]


def test_csv_with_timestamp_and_value(tmp_path: Path) -> None:
    text = "timestamp,value\n2014-02-14 14:30:00,0.132\n2014-02-14 14:35:00,99.66799999999999\n"
    assert read(tmp_path / "cpu.csv", text) == (
        [
            Record("cpu", 0, 1, "2014-02-14 14:30:00", {"value": 0.132}),
            Record("cpu", 0, 2, "2014-02-14 14:35:00", {"value": 99.66799999999999}),
        ],
        [],
    )


def test_a_header_one_name_short_leaves_the_first_column_the_sequence(tmp_path: Path) -> None:
    text = '"date","Temperature","Occupancy"\n"140","2015-02-02 14:19:00",23.7,1\n"141","2015-02-02 14:20:00",23,0\n'
    records, bad = read(tmp_path / "room.txt", text)
    assert records == [
        Record("room", 0, 140, "2015-02-02 14:19:00", {"Temperature": 23.7, "Occupancy": 1.0}),
        Record("room", 0, 141, "2015-02-02 14:20:00", {"Temperature": 23.0, "Occupancy": 0.0}),
    ]
    assert bad == []


def test_columns_are_known_by_name(tmp_path: Path) -> None:
    text = "Device;Epoch;Seq;Time;rpm;state\r\npump;3;9;1392388200;1500;on\r\n;3;10;1392388201;;off\r\n"
    records, bad = read(tmp_path / "plant.csv", text, device="spare")
    assert records == [
        Record("pump", 3, 9, "2014-02-14T14:30:00+00:00", {"rpm": 1500.0, "state": "on"}),
        Record("spare", 3, 10, "2014-02-14T14:30:01+00:00", {"state": "off"}),
    ]
    assert bad == []


def test_bad_rows_are_told_by_line_and_the_rest_goes_on(tmp_path: Path) -> None:
    text = (
        b"\xef\xbb\xbftimestamp,value,note\n"
        b"2020-01-01,1,a\n"  # line 2
        b"2020-01-01,one,a\n"
        b"2020-01-01,1\n"
        b"yesterday,1,a\n"
        b"\n"  # line 6
        b'2020-01-01,"1,a\n'
        b"2020-01-01,1,\xff\n"
        b"2020-01-01,,\n"
        b'2020-01-02,2,"b, ""c"""\n'  # line 10
        b"2020-01-03,1_000,a\n"
        b"2020-01-04,4,d"
    )
    records, bad = read(tmp_path / "x.csv", text)
    assert [(record.sequence, record.fields) for record in records] == [
        (1, {"value": 1.0, "note": "a"}),
        (9, {"value": 2.0, "note": 'b, "c"'}),
        (11, {"value": 4.0, "note": "d"}),
    ]
    assert bad == [
        "3: value is not a number: 'one'",
        "4: 2 cells where the header has 3",
        "5: not an ISO 8601 timestamp: 'yesterday'",
        "7: not CSV: unexpected end of data",
        "8: note is not UTF-8 text: '�'",
        "9: no values",
        "11: value is not a number: '1_000'",
    ]


def test_a_column_is_numeric_if_most_of_its_first_cells_are(tmp_path: Path) -> None:
    text = "ts,flow,tag\n2020-01-01,n/a,7\n2020-01-02,2,x\n2020-01-03,3,y\n"
    records, bad = read(tmp_path / "x.csv", text)
    assert [record.fields for record in records] == [{"flow": 2.0, "tag": "x"}, {"flow": 3.0, "tag": "y"}]
    assert bad == ["2: flow is not a number: 'n/a'"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty, expected a header line"),
        ("a,b\n1,2\n", "no timestamp column"),
        ("timestamp\n2020-01-01\n", "no column beside the timestamp"),
        ("timestamp,a,a\n2020-01-01,1,2\n", "two columns of one name"),
        ("timestamp,value\r2020-01-01,1\r2020-01-02,2\r", "lines end with CR alone"),
    ],
)
def test_a_file_that_cannot_hold_events_is_refused_at_once(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"x.csv: {reason}"):
        open_file(path, on_bad=lambda row: pytest.fail(str(row)))


def test_numbers_that_are_not_finite_make_a_row_bad(tmp_path: Path) -> None:
    cells = ["nan", "1.5", "-Infinity", "1e999"]
    records, bad = read(tmp_path / "x.csv", "ts,v\n" + "".join(f"2020-01-01,{cell}\n" for cell in cells))
    assert [record.fields["v"] for record in records] == [1.5]
    assert bad == ["2: v is not finite: 'nan'", "4: v is not finite: '-Infinity'", "5: v is not finite: '1e999'"]
    lines = [f'{{"timestamp": "2020-01-01", "v": {cell}}}\n' for cell in ["NaN", "1.5", "-Infinity", "1e999", 2**63]]
    records, bad = read(tmp_path / "x.jsonl", "".join(lines))
    assert [record.fields["v"] for record in records] == [1.5]
    assert bad == [
        "1: NaN is not JSON",
        "3: -Infinity is not JSON",
        "4: field v is inf",
        "5: v does not fit 64 bits: 9223372036854775808",
    ]


def test_a_column_whose_first_cells_are_mostly_nan_is_numeric(tmp_path: Path) -> None:
    records, bad = read(tmp_path / "x.csv", "ts,v\n2020-01-01,nan\n2020-01-02,NaN\n2020-01-03,3\n")
    assert [record.fields for record in records] == [{"v": 3.0}]
    assert len(bad) == 2


def test_integers_are_exact(tmp_path: Path) -> None:
    exact = [2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 10**20]
    text = "ts,v\n" + "".join(f"2020-01-01, {number}\n" for number in [*exact, 2**64 + 1])
    records, bad = read(tmp_path / "x.csv", text)
    assert [record.fields["v"] for record in records] == exact
    assert bad == ["8: v is an integer of more than 64 bits: ' 18446744073709551617'"]


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.csv")
    with pytest.raises(ValueError, match=r"x\.csv: no regular file"):  # nor is it waited for
        open_file(tmp_path / "x.csv", on_bad=print)


def test_json_lines(tmp_path: Path) -> None:
    text = (
        '{"device_id": "d", "timestamp": "2020-01-01", "type": "co2", "value": 400, "sequence": 5}\n'
        "\n"
        '{"timestamp": "2020-01-01", "rpm": 1.5}\n'
        "{broken\n"
        '{"timestamp": "2020-01-01"}\n'
        '{"timestamp": "2020-01-01", "a": %s}\n' % ("[" * 100_000 + "]" * 100_000)
    ).encode() + b'{"timestamp": "2020-01-01", "a": "\xff"}\n{"timestamp": "2020-01-02", "rpm": 2}\n'
    records, bad = read(tmp_path / "log.jsonl", text)
    assert records == [
        Record("d", 0, 5, "2020-01-01", {"co2": 400}),
        Record("log", 0, 3, "2020-01-01", {"rpm": 1.5}),
        Record("log", 0, 8, "2020-01-02", {"rpm": 2}),
    ]
    assert bad[:2] == ["4: not JSON: Expecting property name enclosed in double quotes at column 2", "5: no fields"]
    assert bad[2].startswith("6: ")
    assert bad[3:] == ["7: not UTF-8 at byte 34"]


def test_the_format_is_known_by_suffix_or_first_character(tmp_path: Path) -> None:
    for name, text, kind in [
        ("a.csv", "ts,v\n", CsvFile),
        ("a.ndjson", "", JsonLinesFile),
        ("a.log", '\n {"timestamp": 0, "v": 1}\n', JsonLinesFile),
        ("a.txt", "date,v\n", CsvFile),
    ]:
        (tmp_path / name).write_text(text)
        assert type(open_file(tmp_path / name, on_bad=print)) is kind


def test_host_metrics_come_once_an_interval_and_missed_turns_are_left_out() -> None:
    now = 1000.0
    source = HostSource(interval=2.0, clock=lambda: now)
    (first,) = source.due()
    assert first.epoch == 1_000_000
    assert first.sequence == 1
    assert {"cpu.percent", "memory.available", "processes"} <= first.fields.keys()
    assert all(isinstance(value, int | float) for value in first.fields.values())
    assert list(source.due()) == []
    assert source.next_due == 1002.0
    now = 1009.5
    (second,) = source.due()
    assert second.sequence == 2
    assert source.next_due == 1010.0


@pytest.mark.parametrize("interval", [0.0, -1.0, 1e12, float("inf"), float("nan")])
def test_an_interval_that_nobody_can_wait_for_is_refused(interval: float) -> None:
    with pytest.raises(ValueError, match="interval must be above 0 s and at most a year"):
        HostSource(interval=interval)
    with pytest.raises(ValueError, match="interval must be above 0 s and at most a year"):
        GatewaySource("http://127.0.0.1:1", interval=interval, on_bad=print)


def test_the_host_source_ends_after_its_count() -> None:
    source = HostSource(count=1, clock=lambda: 0.0)
    assert len(list(source.due())) == 1
    assert source.next_due is None


@pytest.mark.parametrize("piece", [7, 1 << 20])
def test_columns_of_json_lines_say_what_its_events_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr("ttp.telemetry.sources.jsonl.PIECE", piece)
    lines = [
        b'\xef\xbb\xbf{"timestamp":"2026-01-01","v":1}',
        b"",
        b'{"timestamp":1767225600,"v":2}',
        b'{"v":"no timestamp"}',
        b"  nope\r",
        b'{"timestamp":"2026-01-01T00:00:00Z","v":"\xff"}',
        b'{"timestamp":"2026-01-01T00:00:00Z","device":"d","epoch":3,"seq":7,"a":{"b":"\xc3\xbc"}}\r',
        b'{"timestamp":"2026-01-01","big":"' + b"x" * 140_000 + b'"}',
        b'{"timestamp":"2026-01-01","v":[1]}',
        b'{"timestamp":"2026-01-01","v":8}',
    ]
    path = tmp_path / "pump.jsonl"
    path.write_bytes(b"\n".join(lines))
    one_by_one: list[BadRow] = []
    events = list(open_file(path, on_bad=one_by_one.append))
    together: list[BadRow] = []
    file = open_file(path, on_bad=together.append)
    got = []
    for columns in file.batches():
        for _, count, buffers in columns.take():
            view = FrameView(encode_columns(buffers, count, name="t", queue="q", fid=1, producer=bytes(12)))
            got += [Record(*view.arguments(row)[0]) for row in range(count)]
    assert [record.sequence for record in events] == [1, 3, 7, 8, 10]
    assert got == [record for record in events if record.sequence != 8]  # larger than a task may be
    assert [(row.line, row.reason) for row in together if row.line != 8] == [
        (row.line, row.reason) for row in one_by_one
    ]
    assert [row.line for row in together] == [4, 5, 6, 8, 9]
    assert (file.events, file.bad) == (5, 5)
