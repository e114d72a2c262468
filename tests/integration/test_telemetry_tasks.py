"""The five tasks of a telemetry platform on a real server."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from sink_reader import read
from ttp import App
from ttp.telemetry.handlers.alert import Alert
from ttp.telemetry.handlers.limits import Limit, Limits
from ttp.telemetry.handlers.platform import telemetry_tasks
from ttp.telemetry.handlers.webhook import webhook
from ttp.telemetry.sinks.sqlite import SqliteSink
from ttp.telemetry.sinks.tables import ALERTS, ATTRIBUTES, READINGS, WINDOWS
from ttp.testing import drain

EVENTS: list[tuple[str, int, int, str, dict[str, Any]]] = [
    ("a", 1, 0, "2026-01-01T00:00:10+00:00", {"temperature": 80.0, "humidity": 95, "unit": "x"}),
    ("a", 1, 1, "2026-01-01T01:00:59.5+01:00", {"temperature": 80.5, "humidity": 96}),
    ("a", 1, 2, "2026-01-01 00:01:00", {"temperature": -20.5, "motion": True, "note": None}),
    ("b", 1, 0, "2026-01-01T00:00:00Z", {"voltage": 2.7, "current": 2.5, "temperature": float("nan")}),
    ("b", 1, 1, "2026-01-01T00:00:00Z", {"state": "idle"}),
]


def test_events_become_readings_windows_and_alerts(app: App, tmp_path: Path) -> None:
    sink = SqliteSink(tmp_path / "t.db")
    told: list[Alert] = []
    analyze = telemetry_tasks(app, sink, notify=told.append)
    for event in EVENTS:
        analyze.emit(*event)
    analyze.emit("c", 1, 0, "yesterday", {"temperature": 99.0})
    drain(app)
    sink.close()
    target = f"sqlite:{tmp_path}/t.db"
    start, next_start = "2026-01-01T00:00:00+00:00", "2026-01-01T00:01:00+00:00"
    assert read(target, WINDOWS, "device", "field", "start", "seconds", "count", "sum", "min", "max") == [
        ("a", "humidity", start, 60.0, 2, 191.0, 95.0, 96.0),
        ("a", "motion", next_start, 60.0, 1, 1.0, 1.0, 1.0),
        ("a", "temperature", start, 60.0, 2, 160.5, 80.0, 80.5),
        ("a", "temperature", next_start, 60.0, 1, -20.5, -20.5, -20.5),
        ("b", "current", start, 60.0, 1, 2.5, 2.5, 2.5),
        ("b", "voltage", start, 60.0, 1, 2.7, 2.7, 2.7),
    ]
    alerts = [
        ("a", 1, "humidity", 96.0, "humidity above 95"),
        ("a", 1, "temperature", 80.5, "temperature above 80"),
        ("a", 2, "temperature", -20.5, "temperature below -20"),
        ("b", 0, "current", 2.5, "current above 2"),
        ("b", 0, "voltage", 2.7, "voltage below 2.8"),
    ]
    assert read(target, ALERTS, "device", "sequence", "field", "value", "reason") == alerts
    assert sorted((a.device, a.sequence, a.field, a.value, a.reason) for a in told) == alerts
    assert len(read(target, READINGS, "value")) == 8
    assert read(target, ATTRIBUTES, "device", "field", "value") == [
        ("a", "unit", "x"), ("b", "temperature", "nan"), ("b", "state", "idle"),
    ]  # fmt: skip
    (letter,) = app.dead_letters()
    assert letter.reason == "Rejected: not an ISO 8601 timestamp: 'yesterday'"


def test_alerts_are_posted_again_until_somebody_hears_them(app: App, tmp_path: Path) -> None:
    posts: list[tuple[str, dict[str, Any]]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            posts.append((self.headers["Idempotency-Key"], body))
            self.send_response(503 if len(posts) == 1 else 204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - its name

    with HTTPServer(("127.0.0.1", 0), Hook) as hook:
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        sink = SqliteSink(tmp_path / "t.db")
        analyze = telemetry_tasks(
            app,
            sink,
            limits=[Limit("co2", above=1000.0, device="a")],
            notify=webhook(f"http://127.0.0.1:{hook.server_port}/alerts"),
        )
        for device in "ab":
            analyze.emit(device, 0, 7, "2026-01-01T00:00:00Z", {"co2": 1000.5})
        drain(app)
        hook.shutdown()
        sink.close()
    assert posts[0] == posts[1]
    (_, body), (key, _) = posts
    assert key.startswith("default.0.")
    assert (body["device"], body["sequence"], body["reason"]) == ("a", 7, "co2 above 1000")


def test_the_first_limit_that_is_broken_makes_the_alert() -> None:
    limits = Limits([Limit("t", above=10.0, device="pump"), Limit("t", above=20.0), Limit("v", below=1.0)])
    assert limits.broken_by("pump", {"t": 30.0, "v": 1.0, "x": 5.0}) == [("t", 30.0, "t above 10")]
    assert limits.broken_by("fan", {"t": 20.0}) == []
    assert limits.broken_by("fan", {"t": 20.5, "v": 0.5}) == [("t", 20.5, "t above 20"), ("v", 0.5, "v below 1")]
    assert not limits.concern({"x": 1.0})


def test_a_webhook_speaks_http_only() -> None:
    with pytest.raises(ValueError, match="http:// or https://"):
        webhook("file:///etc/passwd")
