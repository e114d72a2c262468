"""`ttp replay`, `simulate`, `dead` and `doctor` on real servers."""

import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from real_postgres import Postgres
from real_server import Server
from sink_reader import read
from ttp import App, Reject, WorkerPool
from ttp.cli import main
from ttp.telemetry.handlers.store import store_task
from ttp.telemetry.sinks.sqlite import SqliteSink
from ttp.telemetry.sinks.tables import READINGS

DATA = Path(os.environ.get("TTP_DATA") or Path(__file__).parents[3] / "shared" / "data")
needs_data = pytest.mark.skipif(
    not (DATA / "expected.json").is_file(), reason=f"no recorded data in {DATA}: set TTP_DATA to where it is"
)


class Done(NamedTuple):
    """What a command has printed."""

    stdout: str
    stderr: str


Ttp = Callable[..., Done]


@pytest.fixture
def ttp(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], server: Server) -> Ttp:
    """Runs a command on the server, in this process; its exit code must be the given one."""
    monkeypatch.setenv("TTP_URL", server.url)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str | Path, code: int = 0) -> Done:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["ttp", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        done = Done(*capsys.readouterr())
        assert (ended.value.code or 0) == code, done.stderr
        return done

    return run


def exact_sums(database: Path) -> dict[tuple[str, str], tuple[int, Decimal]]:
    """(device, field) → number of rows and the exact sum of their values, as they are printed."""
    sums: dict[tuple[str, str], tuple[int, Decimal]] = {}
    with closing(sqlite3.connect(database)) as connection:
        for device, field, value in connection.execute("SELECT device, field, value FROM readings"):
            rows, total = sums.get((device, field), (0, Decimal(0)))
            sums[device, field] = rows + 1, total + Decimal(repr(value))
    return sums


def recorded() -> tuple[list[Path], dict[tuple[str, str], tuple[int, Decimal]]]:
    """Every data file, and what has to be in the database."""
    expected: dict[str, Any] = json.loads((DATA / "expected.json").read_text())
    files = [DATA / "nab" / name for name in expected["nab"]]
    files += [DATA / "occupancy" / name for name in expected["occupancy"]]
    sums = {
        (Path(name).stem, "value"): (facts["rows"], Decimal(facts["sum_exact_decimal"]))
        for name, facts in expected["nab"].items()
    }
    for name, facts in expected["occupancy"].items():
        for column in facts["columns"][1:-1]:
            sums[Path(name).stem, column] = facts["rows"], Decimal(facts[column]["sum_exact_decimal"])
        sums[Path(name).stem, "Occupancy"] = facts["rows"], Decimal(facts["occupied_rows"])
    return files, sums


@needs_data
def test_every_recorded_file_is_stored_exactly(ttp: Ttp, tmp_path: Path) -> None:
    files, expected = recorded()
    database = tmp_path / "all.db"
    done = json.loads(ttp("replay", *files, "--to", f"sqlite:{database}", "--json").stdout)
    assert exact_sums(database) == expected
    assert done["sent"] == done["stored"] == 110_531
    assert (done["bad_rows"], done["dead"], done["already_there"]) == (0, 0, 0)
    assert done["rows"] == sum(rows for rows, _ in expected.values())

    again = json.loads(ttp("replay", *files, "--to", f"sqlite:{database}", "--json").stdout)
    assert (again["rows"], again["already_there"]) == (0, done["rows"])
    assert exact_sums(database) == expected


@needs_data
@pytest.mark.once
@pytest.mark.parametrize("kind", ["postgres", "parquet"])
def test_two_recorded_files_are_stored_exactly_in_other_sinks(
    ttp: Ttp, tmp_path: Path, postgres: Postgres, kind: str
) -> None:
    target = f"postgres:{postgres.new_database()}" if kind == "postgres" else f"parquet:{tmp_path}/sink"
    files, expected = recorded()
    files = [file for file in files if file.stem in ("machine_temperature_system_failure", "datatraining")]
    for run in range(2):
        done = json.loads(ttp("replay", *files, "--to", target, "--json").stdout)
        assert (done["stored"], done["rows"]) == (22_695 + 8_143, 0 if run else 22_695 + 6 * 8_143)
    sums: dict[tuple[str, str], tuple[int, Decimal]] = {}
    for device, field, value in read(target, READINGS, "device", "field", "value"):
        rows, total = sums.get((device, field), (0, Decimal(0)))
        sums[device, field] = rows + 1, total + Decimal(repr(value))
    assert sums == {key: value for key, value in expected.items() if key in sums}
    assert len(sums) == 1 + 6


@needs_data
@pytest.mark.once
def test_a_replay_that_was_killed_is_completed_by_the_next(ttp: Ttp, server: Server, tmp_path: Path) -> None:
    files, expected = recorded()
    database = tmp_path / "all.db"
    command = [sys.executable, "-c", "from ttp.cli import main; main()", "replay", *map(str, files)]
    process = subprocess.Popen([*command, "--to", f"sqlite:{database}", "--url", server.url], stderr=subprocess.DEVNULL)
    stored = 0
    while not 0 < stored < 110_531 and process.poll() is None:
        if database.exists():
            with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
                exists = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'stored_tasks'").fetchone()
                if exists:
                    (stored,) = connection.execute("SELECT count(*) FROM stored_tasks").fetchone()
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it had ended before it was killed"
    assert sum(rows for rows, _ in exact_sums(database).values()) < sum(rows for rows, _ in expected.values())
    ttp("replay", *files, "--to", f"sqlite:{database}")
    assert exact_sums(database) == expected


def test_bad_rows_are_reported_by_line_and_fail_only_when_strict(ttp: Ttp, tmp_path: Path) -> None:
    path = tmp_path / "pump.csv"
    path.write_text(f"timestamp,value,note\n2020-01-01,1.5,a\n2020-01-02,x,b\n2020-01-03,2.5,{'c' * 140_000}\n")
    for strict, code in [([], 0), (["--strict"], 1)]:
        database = tmp_path / f"{code}.db"
        done = ttp("replay", path, "--to", f"sqlite:{database}", *strict, code=code)
        assert f"{path}:3: value is not a number: 'x'" in done.stderr
        assert f"{path}:4: " in done.stderr  # larger than a task may be
        assert "2 rows did not parse" in done.stderr
        assert exact_sums(database) == {("pump", "value"): (1, Decimal("1.5"))}


def test_wrong_calls_say_what_is_wrong(ttp: Ttp, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    calls: list[tuple[list[str | Path], int, str]] = [
        (["replay", path, "--to", f"sqlite:{tmp_path}/t.db"], 2, "no timestamp column"),
        (["replay", tmp_path / "none.csv", "--to", "sqlite:t.db"], 2, "does not exist"),
        (["simulate", "--faults", "often"], 2, "faults"),
        (["simulate", "--types", "noise"], 2, "noise"),
        (["simulate", "--app", "a:b"], 2, "app name 'a:b': use 1 to 64 of"),
        (["simulate", "--queue", "a b"], 2, "queue name 'a b': use 1 to 64 of"),
        (["simulate", "--duration", "inf"], 2, "duration and rate must be finite"),
        (["simulate", "--start", "2500-01-01"], 2, "within a year from now"),
        (["simulate", "--start", "noon"], 2, "start: Invalid isoformat"),
        (["ingest", "--queue", "a/b", "host"], 2, "queue name 'a/b': use 1 to 64 of"),
        (["ingest", "--app", "", "lines"], 2, "app name '': use 1 to 64 of"),
        (["ingest", "host", "--interval", "1e12"], 2, "at most a year"),
        (["replay", path, "--to", f"sqlite:{tmp_path}/t.db", "--speed", "1e-12"], 2, "speed must be"),
        (["replay", pipe, "--to", f"sqlite:{tmp_path}/t.db"], 2, "no regular file"),
        (["ingest", "files", pipe], 2, "no regular file"),
        (["dead", "retry"], 2, "give ids, or --all"),
        (["doctor", "--url", "http://x"], 2, "redis://"),
        (["doctor", "--url", f"unix://{tmp_path}/none"], 3, "no connection"),
        (["dead", "ls", "--url", f"unix://{tmp_path}/none"], 3, "no connection"),
    ]
    for arguments, code, words in calls:
        done = ttp(*arguments, code=code)
        assert words in " ".join(done.stderr.replace("│", " ").split())
    path.write_text("timestamp,value\n2020-01-01,1\n")
    for target, words in [
        ("t.db", "expected sqlite:PATH"),
        ("postgrs://u:secret@h/d", "unknown target 'postgrs'"),
        (f"sqlite:{tmp_path}/none/t.db", "unable to open"),
    ]:
        assert words in ttp("replay", path, "--to", target, code=1).stderr
    target = f"sqlite:{tmp_path}/t.db"
    assert "no connection" in ttp("replay", path, "--to", target, "--url", "redis://127.0.0.1:1", code=3).stderr


def test_a_fleet_is_printed_stored_and_replayed_with_the_same_rows(ttp: Ttp, tmp_path: Path) -> None:
    fleet = ["simulate", "--start", "2026-01-01T00:00:00+00:00", "--count", "500", "--seed", "7", "--faults", "0.02"]
    printed = ttp(*fleet, "--json").stdout
    assert printed == ttp(*fleet, "--json").stdout
    ttp(*fleet, "--to", f"sqlite:{tmp_path}/direct.db")
    log = tmp_path / "fleet.jsonl"
    log.write_text(printed)
    done = json.loads(ttp("replay", log, "--to", f"sqlite:{tmp_path}/replayed.db", "--json").stdout)
    events = [json.loads(line) for line in printed.splitlines()]
    assert done["sent"] == done["stored"] == len(events)
    assert exact_sums(tmp_path / "direct.db") == exact_sums(tmp_path / "replayed.db")
    identities = {(event["device_id"], event["epoch"], event["sequence"]) for event in events}
    with closing(sqlite3.connect(tmp_path / "direct.db")) as connection:
        stored = set(connection.execute("SELECT DISTINCT device, epoch, sequence FROM attributes"))
    assert stored == identities  # each event has a unit


def test_events_that_are_sent_are_stored_by_a_worker_elsewhere(ttp: Ttp, server: Server, tmp_path: Path) -> None:
    fleet = ["simulate", "--start", "2026-01-01T00:00:00+00:00", "--count", "200"]
    assert "sent 200 events to task telemetry.store of app telemetry" in ttp(*fleet).stdout
    sink = SqliteSink(tmp_path / "t.db")
    with App("telemetry", server.url) as app:
        store_task(app, sink)
        WorkerPool(app).run(burst=True)
    sink.close()
    assert sink.events == 200
    assert sum(rows for rows, _ in exact_sums(sink.path).values()) == 200


def test_host_metrics(ttp: Ttp, tmp_path: Path) -> None:
    (line,) = ttp("simulate", "--source", "host", "--count", "1", "--json").stdout.splitlines()
    assert json.loads(line)["memory.total"] > 0


def test_arguments_that_json_does_not_have_are_text(ttp: Ttp, server: Server) -> None:
    with App("plant", server.url) as app:

        @app.task(name="fail")
        def fail(value: object) -> None:
            raise Reject("no")

        fail.submit({b"\xff": math.nan, 1: [-math.inf, b"raw", 0.5]})
        WorkerPool(app).run(burst=True)

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    for command in ("ls", "show"):
        (letter,) = json.loads(ttp("dead", command, "--json").stdout, parse_constant=refuse)
        assert letter["args"] == [{"b'\\xff'": "nan", "1": ["-inf", "b'raw'", 0.5]}]


def test_doctor_and_dead_letters(ttp: Ttp, server: Server) -> None:
    empty = json.loads(ttp("doctor", "--json", "--durability", "memory").stdout)
    assert (empty["queues"], empty["workers"]) == ([], [])
    assert empty["server"]["embedded"] is False
    assert empty["durability"]["level"] == "memory"
    assert "no dead letters" in ttp("dead", "ls").stdout

    with App("plant", server.url) as app:

        @app.task(name="fail")
        def fail(n: int) -> None:
            raise Reject(f"no\x1b[31m {n}")

        ids = [fail.submit(n).id for n in range(3)]
        WorkerPool(app).run(burst=True)

    letters = json.loads(ttp("dead", "ls", "--json").stdout)
    assert [letter["id"] for letter in letters] == ids
    assert [letter["args"] for letter in letters] == [[0], [1], [2]]
    assert {(letter["app"], letter["task"]) for letter in letters} == {("plant", "fail")}
    shown = ttp("dead", "show", ids[1], "--app", "plant").stdout
    assert "\\x1b[31m 1" in shown
    assert "\x1b" not in shown
    assert "no dead letters" in ttp("dead", "ls", "--queue", "other").stdout
    assert "no dead letter" in ttp("dead", "drop", "x", code=1).stderr

    assert "dropped 1 " in ttp("dead", "drop", ids[0]).stdout
    assert "retried 2 " in ttp("dead", "retry", "--all").stdout
    assert json.loads(ttp("dead", "ls", "--json").stdout) == []
    report = json.loads(ttp("doctor", "--json", "--durability", "memory", code=1).stdout)
    (queue,) = report["queues"]
    assert (queue["app"], queue["queue"], queue["tasks"], queue["dead_frames"]) == ("plant", "default", 2, 0)
    assert "2 tasks and no worker" in ttp("doctor", code=1).stdout
