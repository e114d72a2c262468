"""The examples that end in a sink or in alerts do what they say."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from real_mosquitto import Mosquitto, needs_mosquitto
from real_postgres import Postgres
from real_server import Server
from sink_reader import read
from ttp.telemetry.sinks.tables import ALERTS, READINGS
from ttp.telemetry.sources.intake import Intake
from ttp.telemetry.sources.mqtt import MqttReceiver

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


@needs_mosquitto
def test_mqtt_is_stored_in_postgres(server: Server, postgres: Postgres) -> None:
    pytest.importorskip("paho.mqtt")
    target = f"postgres:{postgres.new_database()}"
    broker, intake = Mosquitto(), Intake(url=server.url)
    try:
        receiver = MqttReceiver("127.0.0.1", ["plant/#"], port=broker.port)
        thread = threading.Thread(target=receiver.serve, args=(intake,))
        thread.start()
        try:
            deadline = time.monotonic() + 60
            while not intake.accepted:  # until it has subscribed nothing is kept for it
                assert time.monotonic() < deadline
                broker.publish("plant/probe", "0")
            before = intake.accepted
            broker.publish("plant/pump", *(f'{{"n":{n}}}' for n in range(50)))
            while intake.accepted < before + 50:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            intake.stopping.set()
            thread.join()
            intake.close()
    finally:
        broker.remove()
    run(server, "-m", "ttp", "worker", "examples.mqtt_to_postgres:app", "--burst", TELEMETRY=target)
    assert [value for device, value in read(target, READINGS, "device", "value") if device == "plant/pump"] == [
        float(n) for n in range(50)
    ]


def test_anomalies_in_arrays_are_alerts(server: Server) -> None:
    pytest.importorskip("numpy")
    told = run(server, "examples/anomalies.py").splitlines()
    assert sorted(told) == ["pump-1: 95.0 is out of the ordinary", "pump-2: -40.0 is out of the ordinary"]
