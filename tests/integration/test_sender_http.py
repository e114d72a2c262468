"""`--http` of `ttp simulate` and `ttp ingest`: health and metrics of processes that send."""

import json
import socket
import subprocess
import sys
import urllib.request

import pytest

from http_worker import free_port, get, http_command, samples, until
from real_server import Server

EVENT = {"device_id": "sensor-1", "type": "temperature", "value": 21.5, "unit": "celsius", "priority": "HIGH"}
SIMULATE = ("simulate", "--rate", "200")

pytestmark = pytest.mark.once


def metric(port: int, name: str, **labels: str) -> float:
    """Its value; 0 where there is none."""
    return samples(get(port, "/metrics")[1]).get((name, tuple(sorted(labels.items()))), 0.0)


def test_a_simulated_fleet_shows_what_it_sends(any_server: Server) -> None:
    with http_command(*SIMULATE, "--url", any_server.url) as port:
        until(lambda: get(port, "/readyz")[0] == 200)
        until(lambda: metric(port, "ttp_producer_accepted_total", app="telemetry") > 100)
        until(lambda: metric(port, "ttp_queue_accepted_total", queue="default") > 100)
        seen = samples(get(port, "/metrics")[1])
        app = (("app", "telemetry"),)
        assert seen["ttp_producer_submitted_total", app] >= seen["ttp_producer_accepted_total", app]
        assert seen["ttp_producer_requests_total", app] > 0
        any_server.stop()
        until(lambda: get(port, "/readyz")[0] == 503)
        assert get(port, "/livez")[0] == 200
        any_server.start()
        until(lambda: get(port, "/readyz")[0] == 200)


def test_an_intake_shows_what_it_takes(any_server: Server) -> None:
    events = free_port()
    command = "ingest", "--url", any_server.url, "http", "--listen", f"127.0.0.1:{events}"
    with http_command(*command) as port:
        body = json.dumps([EVENT] * 3).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{events}/telemetry", body, {"Content-Type": "application/json"}
        )
        until(lambda: get(events, "/health")[0] == 200)
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status < 300
        assert metric(port, "ttp_producer_accepted_total", app="telemetry") == 3
        until(lambda: metric(port, "ttp_queue_tasks", queue="default") == 3)
        assert metric(port, "ttp_producer_round_trip_seconds_count", app="telemetry") > 0


@pytest.mark.parametrize(
    "command", [SIMULATE, ("ingest", "lines"), ("simulate", "--json")], ids=["simulate", "ingest", "json"]
)
def test_what_cannot_be_served_is_refused(command: tuple[str, ...]) -> None:
    name, *rest = command
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-m", "ttp", name, "--http", address, *rest],
            env={"TTP_URL": "unix:///nowhere"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 2
    assert ("sends nothing" if "--json" in command else "pick another port") in done.stderr
