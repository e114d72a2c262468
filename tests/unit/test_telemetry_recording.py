"""Playing files, without waiting for the time to pass."""

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ttp.telemetry.delivery import play
from ttp.telemetry.event import Record
from ttp.telemetry.recording import Recording
from ttp.telemetry.replay import open_files, parse_speed
from ttp.telemetry.sources.record_file import BadRow, RecordFile


class Clock:
    """Moves only when somebody waits on `stopping`."""

    def __init__(self) -> None:
        self.now = 50.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now


class Waiter(threading.Event):
    """An event on which waiting moves a clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        assert timeout <= threading.TIMEOUT_MAX
        self._clock.waits.append(timeout)
        self._clock.now += timeout
        return self.is_set()


def files(folder: Path, **texts: list[str]) -> list[RecordFile]:
    paths = []
    for name, stamps in texts.items():
        paths.append(folder / f"{name}.csv")
        paths[-1].write_text("timestamp,value\n" + "".join(f"{stamp},{n}\n" for n, stamp in enumerate(stamps)))
    return open_files(paths, on_bad=lambda row: pytest.fail(str(row)))


def played(recording: Recording, clock: Clock) -> Iterator[tuple[float, str, float]]:
    found: list[tuple[float, str, float]] = []

    def emit(record: Record) -> None:
        value = record.fields["value"]
        assert isinstance(value, float)
        found.append((clock.now - 50.0, record.device, value))

    play(recording, emit, clock=clock, stopping=Waiter(clock))
    return iter(found)


def test_full_speed_plays_file_after_file_without_waiting(tmp_path: Path) -> None:
    clock = Clock()
    recording = Recording(files(tmp_path, a=["2020-01-02", "2020-01-01"], b=["1999-01-01"]), clock=clock)
    assert list(played(recording, clock)) == [(0.0, "a", 0.0), (0.0, "a", 1.0), (0.0, "b", 0.0)]
    assert clock.waits == []


def test_the_original_pace_keeps_the_distances_of_each_file(tmp_path: Path) -> None:
    clock = Clock()
    a = ["2020-01-01 00:00:00", "2020-01-01 00:00:04", "2020-01-01 00:00:10"]
    b = ["1999-05-05T00:00:00+02:00", "1999-05-05T00:00:05+02:00"]
    recording = Recording(files(tmp_path, a=a, b=b), speed=1.0, clock=clock)
    assert list(played(recording, clock)) == [
        (0.0, "a", 0.0), (0.0, "b", 0.0), (4.0, "a", 1.0), (5.0, "b", 1.0), (10.0, "a", 2.0),
    ]  # fmt: skip
    assert clock.waits == [4.0, 1.0, 5.0]


def test_a_clock_that_was_set_back_is_not_waited_for_again(tmp_path: Path) -> None:
    clock = Clock()
    stamps = ["2020-01-01 02:00:00", "2020-01-01 02:59:00", "2020-01-01 02:00:00", "2020-01-01 03:01:00"]
    recording = Recording(files(tmp_path, a=stamps), speed=60.0, clock=clock)
    assert [at for at, _, _ in played(recording, clock)] == [0.0, 59.0, 59.0, 61.0]


def test_playing_ends_when_it_is_stopped(tmp_path: Path) -> None:
    clock = Clock()
    stopping = Waiter(clock)
    found: list[Record] = []

    def emit(record: Record) -> None:
        found.append(record)
        if len(found) == 2:
            stopping.set()

    recording = Recording(files(tmp_path, a=["2020-01-01"] * 5), clock=clock)
    play(recording, emit, clock=clock, stopping=stopping)
    assert len(found) == 2


def test_pauses_of_any_length_are_waited_for(tmp_path: Path) -> None:
    clock = Clock()
    recording = Recording(files(tmp_path, a=["1000-01-01", "2000-01-01"]), speed=0.1, clock=clock)
    assert [at for at, _, _ in played(recording, clock)] == [0.0, 365_242 * 86_400 * 10]
    assert len(clock.waits) > 1


def test_an_event_that_is_refused_later_is_a_bad_row_of_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("timestamp,value\n2020-01-01,0\nx,1\n2020-01-02,2\n")
    bad: list[BadRow] = []
    recording = Recording(open_files([tmp_path / "a.csv"], on_bad=bad.append))
    for record in recording.due():
        if record.fields["value"] == 2.0:
            recording.refuse("too large")
    assert [(row.line, row.reason) for row in bad] == [(3, "not an ISO 8601 timestamp: 'x'"), (4, "too large")]


def test_speeds() -> None:
    assert parse_speed("full") == math.inf
    assert parse_speed("original") == 1.0
    assert parse_speed("60") == parse_speed("60x") == 60.0
    for wrong in ["fast", "0", "-1", "1e-12", "nan", ""]:
        with pytest.raises(ValueError, match="speed must be"):
            parse_speed(wrong)


def test_two_files_of_one_device_are_refused(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    paths = [tmp_path / "a.csv", tmp_path / "b" / "a.csv"]
    for path in paths:
        path.write_text("timestamp,value\n")
    with pytest.raises(ValueError, match="would both be device 'a'"):
        open_files(paths, on_bad=print)
    with pytest.raises(ValueError, match="single file"):
        open_files(paths, device="d", on_bad=print)
    (file,) = open_files(paths[:1], device="d", on_bad=print)
    assert file.device == "d"
