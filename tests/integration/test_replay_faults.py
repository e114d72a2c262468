"""Replays that do not go well."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest

from real_server import Server
from ttp.errors import ServerUnavailable
from ttp.telemetry.delivery import Delivery, Summary
from ttp.telemetry.recording import Recording
from ttp.telemetry.replay import open_files, replay
from ttp.telemetry.sinks.sqlite import SqliteSink


def recorded(folder: Path, rows: int) -> Path:
    path = folder / "pump.csv"
    path.write_text("timestamp,value\n" + "".join(f"2020-01-01 00:00:00,{n}\n" for n in range(rows)))
    return path


def run(path: Path, delivery: Delivery) -> Summary:
    return replay(open_files([path], on_bad=lambda row: pytest.fail(str(row))), delivery)


def stored(database: Path) -> list[float]:
    with closing(sqlite3.connect(database)) as connection:
        return [value for (value,) in connection.execute("SELECT value FROM readings ORDER BY sequence")]


def test_what_was_sent_before_a_stop_is_stored_and_the_next_run_stores_the_rest(server: Server, tmp_path: Path) -> None:
    path = recorded(tmp_path, 20_000)
    sink = SqliteSink(tmp_path / "t.db")

    def stop() -> None:
        delivery.stopping.set()

    delivery = Delivery(sink, server.url, on_stored=stop)
    summary = run(path, delivery)
    assert 0 < summary.sent <= 20_000
    assert (summary.stored, summary.left, summary.dead) == (summary.sent, 0, [])
    assert stored(sink.path) == list(range(summary.sent))
    run(path, Delivery(SqliteSink(sink.path), server.url))
    assert stored(sink.path) == list(range(20_000))


def test_events_that_the_database_refuses_are_dead_letters_and_the_run_ends(server: Server, tmp_path: Path) -> None:
    sink = SqliteSink(tmp_path / "t.db")
    with closing(sqlite3.connect(sink.path)) as connection:
        connection.execute("ALTER TABLE readings RENAME TO hidden")
    summary = run(recorded(tmp_path, 10), Delivery(sink, server.url))
    assert (summary.sent, summary.stored, summary.left) == (10, 0, 0)
    assert set(summary.dead) == {"OperationalError: no such table: readings"}
    assert len(summary.dead) == 10


@pytest.mark.slow
@pytest.mark.once
def test_a_server_that_dies_ends_the_run(server: Server, tmp_path: Path) -> None:
    path = recorded(tmp_path, 1)
    path.write_text("timestamp,value\n2020-01-01 00:00:00,0\n2020-01-01 00:00:01,1\n")
    delivery = Delivery(SqliteSink(tmp_path / "t.db"), server.url, on_stored=lambda: server.stop(signal.SIGKILL))
    recording = Recording(open_files([path], on_bad=lambda row: pytest.fail(str(row))), speed=1.0)
    with pytest.raises(ServerUnavailable):
        delivery.run(recording, clock=monotonic)


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("command", ["replay", "simulate --to", "simulate"])
def test_a_server_that_dies_under_full_speed_ends_the_command(any_server: Server, tmp_path: Path, command: str) -> None:
    name, *to = command.split()
    database = tmp_path / "t.db"
    what = [recorded(tmp_path, 1_000_000)] if name == "replay" else ["--start", "2020-01-01", "--rate", "1e6"]
    target = ["--to", f"sqlite:{database}"] if to or name == "replay" else []
    process = subprocess.Popen(
        [sys.executable, "-m", "ttp", name, *what, *target, "--url", any_server.url], stderr=subprocess.PIPE, text=True
    )
    try:
        with closing(any_server.connect()) as connection:
            while process.poll() is None and not connection.call("DBSIZE"):
                pass
        any_server.stop(signal.SIGKILL)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 3, err
    assert "Traceback" not in err


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_replay_with_what_was_sent(server: Server, tmp_path: Path, how: signal.Signals) -> None:
    path = tmp_path / "pump.csv"
    path.write_text("timestamp,value\n2020-01-01 00:00:00,0\n2020-01-01 09:00:00,1\n")
    database = tmp_path / "t.db"
    command = [sys.executable, "-c", "from ttp.cli import main; main()", "replay", str(path), "--speed", "original"]
    process = subprocess.Popen(
        [*command, "--to", f"sqlite:{database}", "--url", server.url],
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None:
        try:
            if database.exists() and stored(database):
                break
        except sqlite3.OperationalError:
            continue  # its tables are being made
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "sent 1 events, stored 1" in out
    assert "interrupted" in err
    assert stored(database) == [0.0]
