"""The contract of every sink, on the real thing: each task once, each row of a key once, all or nothing."""

import math
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from real_postgres import Postgres
from sink_reader import Target, read
from ttp.telemetry.sinks import Sink, SinkError, SinkUnavailable, open_sink
from ttp.telemetry.sinks.parquet import ParquetSink
from ttp.telemetry.sinks.postgres import PostgresSink
from ttp.telemetry.sinks.tables import ALERTS, ATTRIBUTES, READINGS, WINDOWS, EventRow, Rows, Table

pytestmark = pytest.mark.once

STAMP = "2020-01-01 00:00:00"
ORIGIN = "default.0.0123456789abcdef"


_opened: list[Sink] = []


def opened(target: Target) -> Sink:
    """A sink that is closed after the test."""
    _opened.append(open_sink(target))
    return _opened[-1]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def event(sequence: int, device: str = "d", **fields: Any) -> EventRow:
    return (device, 0, sequence, STAMP, fields or {"value": float(sequence)})


def values(target: Target) -> list[tuple[Any, ...]]:
    return read(target, READINGS, "sequence", "value")


def test_one_row_for_each_numeric_field_and_the_rest_apart(target: Target) -> None:
    fields: dict[str, Any] = {
        "t": 0.1 + 0.2, "n": 3, "on": True, "name": "a", "gone": None, "nan": math.nan, "inf": -math.inf,
        "big": 2**53 + 1, "tiny": 5e-324,
    }  # fmt: skip
    sink = opened(target)
    sink.store([(ORIGIN, 0, 0)], [event(1, **fields)])
    assert read(target, READINGS, "device", "epoch", "sequence", "timestamp", "field", "value") == [
        ("d", 0, 1, "2020-01-01T00:00:00+00:00", field, value)
        for field, value in [("inf", -math.inf), ("n", 3.0), ("on", 1.0), ("t", 0.1 + 0.2), ("tiny", 5e-324)]
    ]
    assert read(target, ATTRIBUTES, "field", "value") == [("big", str(2**53 + 1)), ("name", "a"), ("nan", "nan")]
    assert (sink.events, sink.rows, sink.repeated, sink.redelivered) == (1, 8, 0, 0)


def test_a_redelivered_task_is_not_stored_again(target: Target) -> None:
    sink = opened(target)
    sink.store([(ORIGIN, 0, 9)], [event(n) for n in range(10)])
    # The same tasks in other company: 8 and 9 again, 10 and 11 new. A changed value would show.
    sink.store([(ORIGIN, 8, 11)], [event(n + 100, value=-1.0) for n in range(8, 12)])
    sink.store([("default.0.00000000000000aa", 8, 9)], [event(20), event(21)])
    again = opened(target)  # as another process would
    assert again.id == sink.id
    again.store([(ORIGIN, 0, 3), (ORIGIN, 11, 12)], [event(n + 200) for n in range(6)])
    new = [(110, -1.0), (111, -1.0), (205, 205.0)]
    assert values(target) == [*((n, float(n)) for n in range(10)), (20, 20.0), (21, 21.0), *new]
    assert (sink.events + again.events, sink.redelivered + again.redelivered) == (15, 7)


def test_a_second_event_of_the_same_identity_adds_nothing(target: Target) -> None:
    sink = opened(target)
    sink.store([(ORIGIN, 0, 1)], [event(1, value=1.0, note="a"), event(1, value=2.0)])
    opened(target).store([(ORIGIN, 2, 2)], [event(1, value=3.0, note="b")])
    sink.store([(ORIGIN, 3, 3)], [event(1, value=4.0)])
    assert values(target) == [(1, 1.0)]
    assert read(target, ATTRIBUTES, "sequence", "value") == [(1, "a")]
    assert (sink.events, sink.rows, sink.repeated) == (3, 2, 2)


def test_rows_of_one_window_are_summed_up_and_alerts_kept_apart(target: Target) -> None:
    sink = opened(target)

    def made(rows: Sequence[tuple[float]]) -> dict[Table, Rows]:
        return {
            WINDOWS: [("d", "t", STAMP, 60.0, len(rows), sum(v for (v,) in rows), min(rows)[0], max(rows)[0])],
            ALERTS: [("d", 0, n, STAMP, "t", value, "t above 2") for n, (value,) in enumerate(rows)],
        }

    sink.store([(ORIGIN, 0, 1)], [(1.0,), (2.5,)], made)
    sink.store([(ORIGIN, 0, 2)], [(1.0,), (2.5,), (-4.0,)], made)
    assert read(target, WINDOWS, "device", "field", "start", "seconds", "count", "sum", "min", "max") == [
        ("d", "t", "2020-01-01T00:00:00+00:00", 60.0, 3, -0.5, -4.0, 2.5)
    ]
    assert read(target, ALERTS, "sequence", "value", "reason") == [(0, 1.0, "t above 2"), (1, 2.5, "t above 2")]


def test_what_fails_stores_nothing_of_it(target: Target) -> None:
    sink = opened(target)
    sink.store([(ORIGIN, 0, 0)], [event(0)])
    with pytest.raises(Exception, match=r"(?i)too large|out of range|not fit|int64"):
        sink.store([(ORIGIN, 1, 2)], [event(1), event(2**70)])
    with pytest.raises(ValueError, match="are not the ids of 1 rows"):
        sink.store([(ORIGIN, 1, 2)], [event(1)])
    assert values(target) == [(0, 0.0)]
    assert (sink.events, sink.rows) == (1, 1)
    sink.store([(ORIGIN, 1, 1)], [event(1)])
    assert values(target) == [(0, 0.0), (1, 1.0)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(0, 12)), min_size=1, max_size=8))
def test_any_overlapping_ranges_store_each_task_once(
    any_target: Callable[[], Target], pieces: list[tuple[str, int, int]]
) -> None:
    target = any_target()
    sink = opened(target)
    seen: dict[tuple[str, int], float] = {}
    for attempt, (origin, first, more) in enumerate(pieces):
        last = first + more
        batch = [event(index, device=origin, value=float(attempt)) for index in range(first, last + 1)]
        sink.store([(origin, first, last)], batch)
        for index in range(first, last + 1):
            seen.setdefault((origin, index), float(attempt))
    assert read(target, READINGS, "device", "sequence", "value") == [(*task, v) for task, v in sorted(seen.items())]
    assert sink.events == len(seen)


def test_threads_and_processes_store_the_same_tasks_at_once(target: Target) -> None:
    sink = opened(target)
    sink.store([("x.0.parent", 0, 0)], [event(0, device="parent")])  # a child must not use this connection

    def store(device: str) -> None:
        for n in range(0, 40, 2):  # overlapping ranges of the same tasks
            sink.store([("x.0.shared", n, n + 3)], [event(m, device="shared") for m in range(n, n + 4)])
            sink.store([(f"x.0.{device}", n, n)], [event(n, device=device)])

    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            store("child")
            sink.close()
            code = 0
        finally:
            os._exit(code)
    threads = [threading.Thread(target=store, args=(f"thread-{n}",)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    stored = read(target, READINGS, "device", "sequence")
    assert stored.count(("parent", 0)) == 1
    assert [row for row in stored if row[0] == "shared"] == [("shared", n) for n in range(42)]
    assert len(stored) == 1 + 42 + 3 * 20


def test_a_database_that_was_away_is_found_again(postgres: Postgres) -> None:
    url = postgres.new_database()
    sink = opened(f"postgres:{url}")
    sink.store([(ORIGIN, 0, 0)], [event(0)])
    postgres.kill()
    try:
        with pytest.raises(SinkUnavailable, match="PostgreSQL at dbname="):
            sink.store([(ORIGIN, 1, 1)], [event(1)])
    finally:
        postgres.start()
    sink.store([(ORIGIN, 0, 1)], [event(0), event(1)])
    with psycopg.connect(url) as other:  # the connection is cut, and made anew within the call
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ttp'")
    sink.store([(ORIGIN, 1, 2)], [event(1), event(2)])
    assert values(f"postgres:{url}") == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert (sink.events, sink.redelivered) == (3, 2)


def test_an_address_of_postgres_is_checked_and_its_password_not_shown(postgres: Postgres) -> None:
    sink = PostgresSink("postgresql://me:secret@127.0.0.1:1/plant")
    assert "plant" in repr(sink)
    with pytest.raises(SinkError) as away:
        _ = sink.id
    with pytest.raises(SinkError) as wrong:
        open_sink("postgres:me:secret@host")
    for shown in (repr(sink), sink.location, str(away.value), str(wrong.value), repr(wrong.value.__cause__)):
        assert "secret" not in shown


def test_a_parquet_commit_that_was_not_finished_is_made_anew(tmp_path: Path) -> None:
    sink = ParquetSink(tmp_path)
    sink.store([(ORIGIN, 0, 0)], [event(0)])
    left = tmp_path / ".incoming"
    left.mkdir()
    (left / "alerts.parquet").write_bytes(b"PAR1")
    sink.store([(ORIGIN, 1, 1)], [event(1)])
    assert values(f"parquet:{tmp_path}") == [(0, 0.0), (1, 1.0)]
    assert sorted(path.name for path in (tmp_path / "0000000001").iterdir()) == ["readings.parquet", "tasks.parquet"]
    assert pq.read_table(tmp_path / "0000000001" / "tasks.parquet").to_pylist() == [
        {"origin": ORIGIN, "first": 1, "last": 1}
    ]


def test_a_directory_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("device,value\n")
    with pytest.raises(SinkError, match="holds files that are not ttp's"):
        ParquetSink(tmp_path)
    with pytest.raises(SinkError, match="cannot use"):
        ParquetSink(tmp_path / "a.csv")
    ours = tmp_path / "ours"
    ParquetSink(ours)
    (ours / "ttp-sink.json").write_text('{"format": 99, "id": "x"}')
    with pytest.raises(SinkError, match="has format 99"):
        ParquetSink(ours)


@pytest.fixture(params=["sqlite", "postgres", "parquet"])
def any_target(request: pytest.FixtureRequest) -> Iterator[Callable[[], Target]]:
    """Makes empty targets of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        made = 0
        database = request.getfixturevalue("postgres") if request.param == "postgres" else None

        def make() -> Target:
            nonlocal made
            made += 1
            if database is not None:
                return f"postgres:{database.new_database()}"
            return f"{request.param}:{folder}/{made}"

        yield make


@pytest.fixture
def target(any_target: Callable[[], Target]) -> Target:
    """An empty target of each kind."""
    return any_target()


def test_every_sink_is_one(any_target: Callable[[], Target]) -> None:
    sinks: list[Sink] = [opened(any_target()) for _ in range(2)]
    assert sinks[0].id != sinks[1].id
    assert {sink.kind for sink in sinks} <= {"sqlite", "postgres", "parquet"}
