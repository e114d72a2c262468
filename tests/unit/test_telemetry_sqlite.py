"""The SQLite sink: each event once, each number bit for bit."""

import math
import os
import sqlite3
import struct
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttp.telemetry.sinks import SinkError, open_sink
from ttp.telemetry.sinks.sqlite import SqliteSink
from ttp.telemetry.sinks.tables import EventRow

STAMP = "2020-01-01 00:00:00"
ORIGIN = "default.0.0123456789abcdef"


def event(sequence: int, device: str = "d", **fields: Any) -> EventRow:
    return (device, 0, sequence, STAMP, fields or {"value": float(sequence)})


def rows(path: Path, table: str = "readings", columns: str = "sequence, value") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {columns} FROM {table} ORDER BY device, epoch, sequence, field").fetchall()


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[SqliteSink]:
    sink = SqliteSink(tmp_path / "t.db")
    yield sink
    sink.close()


def test_one_row_for_each_numeric_field_and_the_rest_apart(sink: SqliteSink) -> None:
    fields: dict[str, Any] = {
        "t": 21.5, "n": 3, "on": True, "name": "a", "gone": None, "nan": math.nan, "inf": -math.inf,
        "big": 2**53 + 1, "huge": 10**400, "even": 2**60,
    }  # fmt: skip
    sink.store([(ORIGIN, 0, 0)], [event(1, **fields)])
    columns = "device, epoch, sequence, timestamp, field, value, typeof(value)"
    assert rows(sink.path, columns=columns) == [
        ("d", 0, 1, STAMP, field, value, "real")
        for field, value in [("even", 2.0**60), ("inf", -math.inf), ("n", 3.0), ("on", 1.0), ("t", 21.5)]
    ]
    assert rows(sink.path, "attributes", columns) == [
        ("d", 0, 1, STAMP, field, value, "text")
        for field, value in [("big", str(2**53 + 1)), ("huge", str(10**400)), ("name", "a"), ("nan", "nan")]
    ]
    assert (sink.events, sink.rows, sink.repeated, sink.redelivered) == (1, 9, 0, 0)


def test_a_redelivered_task_is_not_stored_again(sink: SqliteSink) -> None:
    first = [event(n) for n in range(10)]
    sink.store([(ORIGIN, 0, 9)], first)
    # The same tasks in other company: 8 and 9 again, 10 and 11 new. A changed value would show.
    sink.store([(ORIGIN, 8, 11)], [event(n, value=-1.0) for n in range(8, 12)])
    sink.store([("default.0.00000000000000aa", 8, 9)], [event(20), event(21)])
    sink.store([(ORIGIN, 0, 3), (ORIGIN, 11, 12)], [event(n + 100) for n in range(6)])
    stored = [(n, float(n)) for n in range(10)] + [(10, -1.0), (11, -1.0), (20, 20.0), (21, 21.0), (105, 105.0)]
    assert rows(sink.path) == stored
    assert (sink.events, sink.redelivered) == (15, 7)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 30), st.integers(0, 12)).map(
            lambda t: (t[0], t[1], t[1] + t[2])
        ),
        max_size=12,
    )
)
def test_any_overlapping_ranges_store_each_task_once(ranges: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sink = SqliteSink(Path(folder) / "t.db")
        seen: dict[tuple[str, int], float] = {}
        for attempt, (origin, first, last) in enumerate(ranges):
            batch = [event(index, device=origin, value=float(attempt)) for index in range(first, last + 1)]
            sink.store([(origin, first, last)], batch)
            for index in range(first, last + 1):
                seen.setdefault((origin, index), float(attempt))
        sink.close()
        stored = rows(sink.path, columns="device, sequence, value")
    assert stored == [(*task, value) for task, value in sorted(seen.items())]
    assert sink.events == len(seen)


def test_a_second_event_of_the_same_identity_adds_nothing(sink: SqliteSink) -> None:
    sink.store([(ORIGIN, 0, 1)], [event(1, value=1.0, note="a"), event(1, value=2.0)])
    sink.store([(ORIGIN, 2, 2)], [event(1, value=3.0, note="b")])
    assert rows(sink.path) == [(1, 1.0)]
    assert rows(sink.path, "attributes") == [(1, "a")]
    assert (sink.events, sink.rows, sink.repeated) == (3, 2, 3)


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=200))
@settings(max_examples=30, deadline=None)
def test_numbers_come_back_bit_for_bit(values: list[float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sink = SqliteSink(Path(folder) / "t.db")
        sink.store([(ORIGIN, 0, len(values) - 1)], [event(n, value=value) for n, value in enumerate(values)])
        sink.close()
        assert [repr(v) for _, v in rows(sink.path)] == [repr(v or 0.0) for v in values]  # but -0.0 becomes 0.0


def test_many_rows_take_several_statements(sink: SqliteSink) -> None:
    count = 4096 + 512 + 64 + 8 + 3
    sink.store([(ORIGIN, 0, count - 1)], [event(n, value=n / 7) for n in range(count)])
    assert rows(sink.path) == [(n, n / 7) for n in range(count)]


def test_what_fails_stores_nothing_of_it(sink: SqliteSink) -> None:
    sink.store([(ORIGIN, 0, 0)], [event(0)])
    with pytest.raises(OverflowError):
        sink.store([(ORIGIN, 1, 2)], [event(1), event(2**70)])
    with pytest.raises(ValueError, match="are not the ids of 1 rows"):
        sink.store([(ORIGIN, 1, 2)], [event(1)])
    assert rows(sink.path) == [(0, 0.0)]
    assert (sink.events, sink.rows) == (1, 1)
    sink.store([(ORIGIN, 1, 1)], [event(1)])
    assert rows(sink.path) == [(0, 0.0), (1, 1.0)]


def test_threads_and_processes_share_a_database(sink: SqliteSink) -> None:
    def store(origin: str) -> None:
        for n in range(20):
            sink.store([(origin, n, n)], [event(n, device=origin)])

    sink.store([("x.0.parent", 0, 0)], [event(0, device="parent")])  # the child must not use this connection
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            store("x.0.child")
            sink.close()
            code = 0
        finally:
            os._exit(code)
    threads = [threading.Thread(target=store, args=(f"x.0.{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert len(rows(sink.path)) == 1 + 4 * 20
    assert sink.events == 1 + 3 * 20


def test_a_sink_that_was_closed_opens_again_and_keeps_its_id(sink: SqliteSink) -> None:
    sink.store([(ORIGIN, 0, 0)], [event(0)])
    sink.close()
    assert not Path(f"{sink.path}-wal").exists()
    sink.store([(ORIGIN, 0, 1)], [event(0), event(1)])
    again = SqliteSink(sink.path, sync_every=0)
    assert again.id == sink.id
    again.store([(ORIGIN, 1, 2)], [event(1), event(2)])
    again.close()
    assert rows(sink.path) == [(0, 0.0), (1, 1.0), (2, 2.0)]


def test_the_disk_follows_within_the_time_that_was_set(tmp_path: Path) -> None:
    sink = SqliteSink(tmp_path / "t.db", sync_every=0.001)
    for n in range(3):
        sink.store([(ORIGIN, n, n)], [event(n)])
        if (timer := sink._sync_due) is not None:
            timer.join()
        assert sink._sync_due is None
    sink.close()
    assert len(rows(sink.path)) == 3


def test_what_is_no_database_of_ours_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE readings (a)")
        connection.commit()
    newer = tmp_path / "newer.db"
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute("PRAGMA user_version = 99")
    text = tmp_path / "text.db"
    text.write_text("device,value\n" * 100)
    for path, reason in [
        (other, "holds tables that are not ttp's"),
        (newer, "has format 99"),
        (text, "file is not a database"),
        (tmp_path / "none" / "t.db", "unable to open database file"),
    ]:
        with pytest.raises(SinkError, match=reason):
            SqliteSink(path)
    assert text.read_text() == "device,value\n" * 100


def test_targets(tmp_path: Path) -> None:
    assert open_sink(f"sqlite:{tmp_path}/b.db").location == f"{tmp_path}/b.db"
    for wrong in ["a.db", "sqlite:", "sqlite:///a.db", "postgres:", "parquet:", "parquet://x"]:
        with pytest.raises(SinkError, match="expected sqlite:PATH"):
            open_sink(wrong)
    with pytest.raises(SinkError) as refused:
        open_sink("postgress://me:secret@host/db")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(("kind", "library"), [("postgres", "psycopg"), ("parquet", "pyarrow")])
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"ttp.telemetry.sinks.{kind}", raising=False)
    with pytest.raises(SinkError, match=rf"pip install 'ttp\[{kind}\]'"):
        open_sink(f"{kind}:{tmp_path}/x")


def test_fields_may_be_any_mapping(sink: SqliteSink) -> None:
    fields: Mapping[str, Any] = {"v": struct.unpack("d", b"\x01\0\0\0\0\0\0\0")[0]}  # the smallest number above 0
    sink.store([(ORIGIN, 0, 0)], [("d", 0, 0, STAMP, fields)])
    assert rows(sink.path) == [(0, 5e-324)]


def test_many_make_a_database_at_once(tmp_path: Path) -> None:
    """Of two that begin a write-ahead log together, SQLite refuses one without waiting."""
    with ThreadPoolExecutor(8) as pool:
        for attempt in range(50):
            path = tmp_path / f"{attempt}.sqlite"
            ready = threading.Barrier(8)

            def make(path: Path = path, ready: threading.Barrier = ready) -> str:
                ready.wait(30)
                return SqliteSink(path).id

            ids = [made.result(60) for made in [pool.submit(make) for _ in range(8)]]
            assert len(set(ids)) == 1
