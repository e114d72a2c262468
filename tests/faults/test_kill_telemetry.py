"""kill -9 at the worst moment: between the database's commit and the server's. Recorded telemetry, exact to the digit.

The five tasks of the platform take in every recorded file. Ten workers kill themselves right after a sink has
stored a batch, before the batch is committed on the server; the server is killed once, and PostgreSQL too.
"""

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import ttp
from real_postgres import NO_POSTGRES, PROGRAMS, Postgres
from real_server import BINARIES, Server, running
from sink_reader import Target, read
from ttp.coordination import inspection
from ttp.native import BACKEND
from ttp.telemetry.replay import open_files
from ttp.telemetry.sinks.tables import ALERTS, READINGS, WINDOWS

DATA = Path(os.environ.get("TTP_DATA") or Path(__file__).parents[3] / "shared" / "data")
DEATHS = 10
MACHINE = "machine_temperature_system_failure"

WORKER = """
    import os, signal, ttp
    from ttp.telemetry.handlers.limits import Limit
    from ttp.telemetry.handlers.platform import telemetry_tasks
    from ttp.telemetry.sinks import open_sink

    sink = open_sink(os.environ["TARGET"])
    stores, store = 0, sink.store

    def store_and_die(ranges, rows, *split):
        global stores
        before = sink.redelivered
        store(ranges, rows, *split)
        stores += 1
        # Never over tasks that have seen a worker die: the third death would make them dead letters.
        if stores >= int(os.environ["DIE_AFTER"]) and sink.redelivered == before:
            os.kill(os.getpid(), signal.SIGKILL)

    if "DIE_AFTER" in os.environ:
        sink.store = store_and_die
    app = ttp.App("plant")
    limits = [
        Limit("value", below=40.0, device="machine_temperature_system_failure"),
        Limit("CO2", above=1000.0),
        Limit("Light", above=365.125),
    ]
    telemetry_tasks(app, sink, limits=limits, window=3600.0)
    ttp.WorkerPool(app).run()
"""


class Fleet:
    """Two workers. The first ten that are started kill themselves."""

    def __init__(self, url: str, target: Target) -> None:
        self._environment = os.environ | {"TTP_URL": url, "TARGET": target, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._started = self.deaths = 0
        self.workers = [self._spawn(), self._spawn()]

    def _spawn(self) -> subprocess.Popen[bytes]:
        mortal = {"DIE_AFTER": str(3 + self._started)} if self._started < DEATHS else {}
        self._started += 1
        return subprocess.Popen([sys.executable, "-c", textwrap.dedent(WORKER)], env=self._environment | mortal)

    def tend(self) -> None:
        """Replace who has died."""
        for n, worker in enumerate(self.workers):
            if (code := worker.poll()) is not None:
                assert code == -signal.SIGKILL
                self.deaths += 1
                self.workers[n] = self._spawn()

    def tend_until(self, reached: Callable[[], bool]) -> None:
        """Replace who dies until this is true."""
        while not reached():
            self.tend()
            time.sleep(0.02)

    def stop(self) -> None:
        """End them in good order."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            assert worker.wait(60) == 0

    def kill_all(self) -> None:
        """End what is left of them."""
        for worker in self.workers:
            worker.kill()
            worker.wait()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that keeps its data through a SIGKILL."""
    with running(BINARIES[0], "--appendonly", "yes", "--aof-use-rdb-preamble", "no") as server:
        yield server


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of its own, to be killed."""
    if PROGRAMS is None:
        pytest.skip(NO_POSTGRES)
    running = Postgres()
    try:
        yield running
    finally:
        running.remove()


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(
    not (DATA / "expected.json").is_file(), reason=f"no recorded data in {DATA}: set TTP_DATA to where it is"
)
@pytest.mark.skipif(BACKEND != "native", reason="what is tested are transactions, which are the same for both backends")
@pytest.mark.parametrize("kind", ["sqlite", "postgres", "parquet"])
def test_recorded_telemetry_is_exact_after_kills_between_two_commits(
    kind: str, server: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    database: Postgres | None = request.getfixturevalue("postgres") if kind == "postgres" else None
    target = f"{kind}:{tmp_path}/sink" if database is None else f"postgres:{database.new_database()}"
    expected: dict[str, Any] = json.loads((DATA / "expected.json").read_text())
    paths = [DATA / folder / name for folder in ("nab", "occupancy") for name in expected[folder]]
    files = open_files(paths, on_bad=lambda row: pytest.fail(str(row)))
    with ttp.App("plant", server.url) as app:
        analyze = app.remote("telemetry.analyze")
        fleet = Fleet(server.url, target)
        request.addfinalizer(fleet.kill_all)
        for n, file in enumerate(files):
            for event in file:
                analyze.emit(event.device, event.epoch, event.sequence, event.timestamp, event.fields)
            app.flush(60)
            if n == 1:
                fleet.tend_until(lambda: fleet.deaths >= 3)
                server.stop(signal.SIGKILL)
                server.start()
            if n == 3 and database is not None:
                fleet.tend_until(lambda: fleet.deaths >= 6)
                database.kill()
                database.start()
        connection = app.open_connection(10.0)

        def drained() -> bool:
            stats = inspection.stats_reply(connection.call_many(inspection.stats(app.keys("default"))))
            return fleet.deaths == DEATHS and not stats.tasks and not stats.waiting

        fleet.tend_until(drained)
        connection.close()
        fleet.stop()
        assert [letter.reason for letter in app.dead_letters()] == []
    check_readings(target, expected)
    check_windows(target, expected)
    check_alerts(target, expected)


def series(expected: dict[str, Any]) -> dict[tuple[str, str], tuple[int, Decimal]]:
    """(device, field) → rows, and the exact sum of their values."""
    found = {
        (Path(name).stem, "value"): (facts["rows"], Decimal(facts["sum_exact_decimal"]))
        for name, facts in expected["nab"].items()
    }
    for name, facts in expected["occupancy"].items():
        for column in facts["columns"][1:-1]:
            found[Path(name).stem, column] = facts["rows"], Decimal(facts[column]["sum_exact_decimal"])
        found[Path(name).stem, "Occupancy"] = facts["rows"], Decimal(facts["occupied_rows"])
    return found


def check_readings(target: Target, expected: dict[str, Any]) -> None:
    """Every reading, once, bit for bit."""
    sums: dict[tuple[str, str], tuple[int, Decimal]] = {}
    for device, field, value in read(target, READINGS, "device", "field", "value"):
        rows, total = sums.get((device, field), (0, Decimal(0)))
        sums[device, field] = rows + 1, total + Decimal(repr(value))
    assert sums == series(expected)


def check_windows(target: Target, expected: dict[str, Any]) -> None:
    """Nothing but the ids of tasks keeps a reading from being summed up twice here."""
    counts: Counter[tuple[str, str]] = Counter()
    sums: dict[tuple[str, str], list[float]] = {}
    for device, field, count, total in read(target, WINDOWS, "device", "field", "count", "sum"):
        counts[device, field] += count
        sums.setdefault((device, field), []).append(total)
    facts = series(expected)
    assert counts == {name: rows for name, (rows, _) in facts.items()}
    for name, (_, total) in facts.items():
        assert math.fsum(sums[name]) == pytest.approx(float(total), rel=1e-12)
    hours = [row for row in read(target, WINDOWS, "device", "field") if row[1] == "CO2"]
    assert Counter(device for device, _ in hours) == {"datatraining": 137, "datatest": 45}


def check_alerts(target: Target, expected: dict[str, Any]) -> None:
    """The anomalies of the data's description, and those of the machine where somebody has labelled them."""
    alerts = read(target, ALERTS, "device", "timestamp", "reason")
    assert Counter((device, reason) for device, _, reason in alerts) == {
        (MACHINE, "value below 40"): 399,
        ("datatraining", "CO2 above 1000"): 974,
        ("datatest", "CO2 above 1000"): 595,
        ("datatraining", "Light above 365.125"): 1720 + 90,
        ("datatest", "Light above 365.125"): 969 + 54,
    }
    labels = json.loads((DATA / "nab" / "labels" / "combined_windows.json").read_text())
    (windows,) = [spans for name, spans in labels.items() if Path(name).stem == MACHINE]
    inside = [
        sum(begin[:19] <= at.replace("T", " ")[:19] <= end[:19] for device, at, _ in alerts if device == MACHINE)
        for begin, end in windows
    ]
    assert inside == [0, 24, 0, 375]
