"""The examples that end in a sink do what they say."""

import os
import subprocess
import sys
from pathlib import Path

from real_postgres import Postgres
from real_server import Server
from sink_reader import read
from ttp.telemetry.sinks.tables import ALERTS, READINGS

ROOT = Path(__file__).parents[2]


def run(server: Server, *command: str, **environment: str) -> str:
    """Run a program of the examples' directory; returns what it printed."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"TTP_URL": server.url} | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_the_host_is_stored_in_postgres(server: Server, postgres: Postgres) -> None:
    url = postgres.new_database()
    assert "sent 10 events, stored 10 as" in run(server, "examples/host_to_postgres.py", url)
    stored = read(f"postgres:{url}", READINGS, "sequence", "field")
    assert [sequence for sequence, field in stored if field == "memory.total"] == [*range(1, 11)]


def test_the_platform_tells_of_alerts(server: Server, tmp_path: Path) -> None:
    target = f"sqlite:{tmp_path}/t.db"
    run(server, "-m", "examples.alerts", TELEMETRY=target)
    told = run(server, "-m", "ttp", "worker", "examples.alerts:app", "--burst", TELEMETRY=target).splitlines()
    alerts = read(target, ALERTS, "device", "reason", "value")
    assert sorted(told) == sorted(f"ALERT {device}: {reason} ({value:g})" for device, reason, value in alerts)
    assert {reason for _, reason, _ in alerts} >= {"humidity above 95", "co2 above 1500"}
