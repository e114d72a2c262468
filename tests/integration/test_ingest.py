"""Sources on real servers, fed by real senders: pipes, sockets, curl, an InfluxDB client, mosquitto_pub."""

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from real_mosquitto import Mosquitto, needs_mosquitto
from real_server import Server
from ttp import App, Batch, WorkerPool
from ttp.coordination.keys import Keys
from ttp.telemetry.device import HubDevice
from ttp.telemetry.event import Record
from ttp.telemetry.gateway import gateway_routes
from ttp.telemetry.handlers.malformed import malformed_task
from ttp.telemetry.handlers.store import STORE
from ttp.telemetry.sources.gateway import GatewaySource
from ttp.telemetry.sources.http import HttpReceiver, health_routes, influx_routes, telemetry_routes
from ttp.telemetry.sources.intake import Intake, Receiver
from ttp.telemetry.sources.lines import JSON_LINES
from ttp.telemetry.sources.mqtt import MqttReceiver
from ttp.telemetry.sources.playing import TimedReceiver
from ttp.telemetry.sources.stream import PipeReceiver, TcpReceiver

EVENT = {"device_id": "sensor-1", "type": "temperature", "value": 21.5, "unit": "celsius", "priority": "HIGH"}


def events(server: Server) -> list[Record]:
    """What arrived at the handler."""
    got: list[Record] = []
    with App("telemetry", server.url) as app:

        @app.batch(Record, name=STORE)
        def store(batch: Batch[Record]) -> None:
            got.extend(batch.rows())

        malformed_task(app)
        WorkerPool(app).run(burst=True)
    return got


@contextmanager
def serving(intake: Intake, *receivers: Receiver) -> Iterator[None]:
    """The receivers at work while the block runs; what one raises is raised."""
    failed: list[BaseException] = []

    def serve(receiver: Receiver) -> None:
        try:
            receiver.serve(intake)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=serve, args=(receiver,)) for receiver in receivers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        intake.stopping.set()
        for thread in threads:
            thread.join()
        intake.close()
    if failed:
        raise failed[0]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "not within 30 s"
        time.sleep(0.01)


def curl(port: int, path: str, *options: str, method: str = "POST") -> tuple[int, Any, dict[str, str]]:
    """(status, JSON body or text, headers) of a request by curl."""
    command = ["curl", "-s", "-i", "-X", method, f"http://127.0.0.1:{port}{path}", *options]
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    head, _, body = out.partition("\n\n") if "\r\n" not in out else out.partition("\r\n\r\n")
    status, *lines = head.splitlines()
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status.split()[1]), json.loads(body) if body.startswith(("{", "[")) else body, headers


def test_command_reads_standard_input_and_files(server: Server, tmp_path: Path) -> None:
    lines = [json.dumps({"device": "d", "seq": i, "v": i}) for i in range(5000)]
    lines[100:100] = ["{broken", '{"v":NaN}']
    ttp = [sys.executable, "-m", "ttp", "ingest", "--json", "--dead-letters", "--url", server.url]
    done = subprocess.run([*ttp, "lines"], input="\n".join(lines), capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["accepted"] == 5000
    assert report["refused"] == {"not_json": 1, "not_finite": 1}
    assert "{broken" in done.stderr

    file = tmp_path / "pump.csv"
    file.write_text("timestamp,value\n2026-01-01,1\n2026-01-01,oops\n2025-12-31,3\n")
    done = subprocess.run([*ttp, "files", file], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["refused"] == {"bad_row": 1}

    got = events(server)
    assert Counter(r.fields["v"] for r in got if r.device == "d") == Counter(range(5000))
    # Repeated and backward timestamps are events like any other: the number of the row tells them apart.
    assert [(r.sequence, r.fields["value"]) for r in got if r.device == "pump"] == [(1, 1.0), (3, 3.0)]
    with App("telemetry", server.url) as app:
        dead = {letter.args[0]: letter for letter in app.dead_letters()}
    assert dead.keys() == {"not_json", "not_finite", "bad_row"}
    assert dead["not_json"].args[2] == "'{broken'"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", ["pipe", "terminal"])
def test_a_signal_ends_lines_that_do_not_come(server: Server, how: signal.Signals, kind: str) -> None:
    reading, writing = os.pipe() if kind == "pipe" else reversed(os.openpty())
    command = [sys.executable, "-m", "ttp", "ingest", "--json", "--url", server.url, "lines"]
    process = subprocess.Popen(command, stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.close(reading)
    try:
        os.write(writing, b'{"v":1}\n{broken\n')
        assert process.stderr is not None
        assert "not_json" in process.stderr.readline()
        with closing(server.connect()) as connection:
            wait_for(lambda: connection.call("XLEN", Keys("telemetry", "default").stream(1)))  # it reads on
        process.send_signal(how)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
        os.close(writing)
    assert process.returncode == 0, err
    report = json.loads(out)
    assert (report["accepted"], report["refused"]) == (1, {"not_json": 1})


def test_tcp(server: Server) -> None:
    intake = Intake(url=server.url)
    receiver = TcpReceiver("127.0.0.1", 0, JSON_LINES)
    with serving(intake, receiver):
        senders = [socket.create_connection(("127.0.0.1", receiver.port)) for _ in range(3)]
        for number, sender in enumerate(senders):
            sender.sendall(b'{"v":%d}\nnope\n{"v":' % number)
        wait_for(lambda: intake.accepted == 3)  # none waits for the other's unfinished line
        for sender in senders:
            sender.sendall(b"9}")
            sender.close()
        wait_for(lambda: intake.accepted == 6)
        assert intake.refused == {"not_json": 3}
    assert Counter(r.fields["v"] for r in events(server)) == Counter([0, 1, 2, 9, 9, 9])


def test_a_line_in_a_pipe_does_not_wait_for_the_next(server: Server) -> None:
    intake = Intake(url=server.url)
    reading, writing = os.pipe()
    with (
        os.fdopen(reading, "rb") as source,
        os.fdopen(writing, "wb", buffering=0) as sender,
        serving(intake, PipeReceiver(source, JSON_LINES)),
    ):
        for number in range(3):
            sender.write(b'{"v":%d}\n{"v":' % number)
            wait_for(lambda: intake.accepted == number + 1)  # noqa: B023 - it is called here
            sender.write(b"x\n")
        for number in range(3, 10_000):
            sender.write(b'{"v":%d}\n' % number)
        sender.write(b'{"v":10000}')
        sender.close()
        wait_for(lambda: intake.accepted == 10_001)
    assert intake.refused == {"not_json": 3}
    assert [r.fields["v"] for r in events(server)] == list(range(10_001))


def test_gateway_interface_by_curl(server: Server) -> None:
    intake = Intake(url=server.url)
    device = HubDevice(interval_ms=10)
    receiver = HttpReceiver("127.0.0.1", 0, gateway_routes(device), telemetry_routes, health_routes)
    port = receiver.port
    with serving(intake, receiver, TimedReceiver(device)):
        assert curl(port, "/health", method="GET")[:2] == (200, {"status": "ok"})
        status = curl(port, "/status", method="GET")[1]
        assert (status["state"], status["latest_sample"]) == ("Idle", None)
        assert curl(port, "/start")[:2] == (200, {"ok": True})
        wait_for(lambda: intake.accepted >= 3)
        status = curl(port, "/status", method="GET")[1]
        assert status["state"] == "Measuring"
        assert status["latest_sample"].keys() == {"seq", "value", "unit"}
        assert curl(port, "/reset")[0] == 400
        assert curl(port, "/stop")[1] == {"ok": True}
        assert curl(port, "/reset")[1]["ok"] is False
        assert curl(port, "/metrics", method="GET")[1]["samples_processed"] >= 3

        one = json.dumps(EVENT)
        code, said, _ = curl(port, "/telemetry", "-H", "Content-Type: application/json", "-d", one)
        assert (code, said["ok"], said["message"]) == (200, True, "Telemetry received")
        assert curl(port, "/telemetry", "-d", f"[{one},{one}]")[1]["accepted"] == 2
        code, said, _ = curl(port, "/telemetry", "--data-binary", f"{one}\nnope\n{one}\n")
        assert (code, said["accepted"], said["refused"]) == (400, 2, 1)
        assert curl(port, "/telemetry", "-d", '{"invalid_field":"bad_data"}')[0] == 400
        assert curl(port, "/telemetry")[1] == {"error": "Empty request body"}
        assert curl(port, "/telemetry", "-d", "{")[0] == 400
    got = [record for record in events(server) if record.device == "sensor-1"]
    assert [record.fields["temperature"] for record in got] == [21.5] * 5
    assert len({(record.epoch, record.sequence) for record in got}) == 5


def test_a_gateway_is_polled(server: Server) -> None:
    now = [1_767_225_600.0]
    device = HubDevice(clock=lambda: now[0])
    intake = Intake(url=server.url)
    receiver = HttpReceiver("127.0.0.1", 0, gateway_routes(device))
    bad: list[str] = []
    source = GatewaySource(
        f"http://127.0.0.1:{receiver.port}", device="hub", interval=0.1, on_bad=bad.append, clock=lambda: now[0]
    )
    got: list[Record] = []

    def step() -> None:
        list(device.due())
        got.extend(source.due())
        now[0] += 0.1

    with serving(intake, receiver):
        step()
        assert got == []  # it is idle
        device.start()
        for _ in range(3):
            step()
        device.command("CALIBRATE")
        for _ in range(2):
            step()
    epoch = got[0].epoch
    places = [(record.epoch, record.sequence) for record in got]
    assert places == [(epoch, 0), (epoch, 1), (epoch, 2), (epoch + 1, 0), (epoch + 1, 1)]
    assert bad == []
    step()
    assert len(bad) == 1  # the gateway is gone: counted, and asked again
    assert len(got) == 5


def test_influx_client_and_curl(server: Server, tmp_path: Path) -> None:
    pytest.importorskip("influxdb_client")
    intake = Intake(url=server.url)
    receiver = HttpReceiver("127.0.0.1", 0, influx_routes, health_routes)
    script = """
import sys
from influxdb_client import InfluxDBClient, Point, WriteOptions
from influxdb_client.client.write_api import SYNCHRONOUS
with InfluxDBClient(url=sys.argv[1], token="t", org="o", enable_gzip=True) as client:
    with client.write_api(write_options=SYNCHRONOUS) as api:
        api.write("bucket", record=[Point("cpu").tag("host", "web").field("user", i / 4) for i in range(1000)])
"""
    with serving(intake, receiver):
        subprocess.run([sys.executable, "-c", script, f"http://127.0.0.1:{receiver.port}"], check=True, timeout=60)
        assert intake.accepted == 1000
        body = "# a comment\nm v=1 1\nm v=x 2\nm v=3 3\n"
        code, said, _ = curl(receiver.port, "/write?db=d&precision=s", "--data-binary", body)
        assert code == 400
        assert "dropped=1" in said["error"]
        assert curl(receiver.port, "/write?db=d", "--data-binary", "m v=4")[0] == 204
        assert curl(receiver.port, "/write?precision=h", "--data-binary", "m v=4")[0] == 400
        assert curl(receiver.port, "/write", "-H", "Content-Encoding: gzip", "-d", "no")[0] == 400
        assert intake.refused == {"not_line_protocol": 1}
        path = tmp_path / "body.gz"
        packed = partial(
            curl, receiver.port, "/write?db=d", "-H", "Content-Encoding: gzip", "--data-binary", f"@{path}"
        )
        path.write_bytes(gzip.compress(b"m v=5\nm v=") + gzip.compress(b"6\n") + bytes(8))
        assert packed()[0] == 204
        path.write_bytes(gzip.compress(b"m v=7\n" + b"#" * (4 << 20)))
        assert packed()[:2] == (413, {"error": "more than 4,194,304 bytes"})
        path.write_bytes(gzip.compress(b"m v=8\n")[:-4])
        assert packed()[:2] == (400, {"error": "gzip is cut off"})
    got = events(server)
    assert sum(float(r.fields["cpu.user"] or 0) for r in got if r.device == "web") == sum(range(1000)) / 4
    assert sorted(float(r.fields["m.v"] or 0) for r in got if r.device == "m") == [1.0, 3.0, 4.0, 5.0, 6.0]


def test_senders_by_http_hear_that_the_server_is_away(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ttp.telemetry.sources.http.PATIENCE", 0.2)
    intake = Intake(url=server.url)
    receiver = HttpReceiver("127.0.0.1", 0, telemetry_routes)
    numbered = json.dumps({**EVENT, "epoch": 1, "sequence": 1})
    with serving(intake, receiver):
        server.stop()
        code, _, headers = curl(receiver.port, "/telemetry", "-d", numbered)
        assert (code, headers["retry-after"]) == (503, "1")
        server.start()
        wait_for(lambda: curl(receiver.port, "/telemetry", "-d", numbered)[0] == 200)
    # At least once, and numbered: a sink stores it once.
    assert {(record.epoch, record.sequence) for record in events(server)} == {(1, 1)}


def test_senders_by_http_hear_that_the_queue_is_full(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ttp.telemetry.sources.http.PATIENCE", 0.2)
    monkeypatch.setattr("ttp.telemetry.sources.intake.App", partial(App, queue_limit=1))
    intake = Intake(url=server.url)
    receiver = HttpReceiver("127.0.0.1", 0, telemetry_routes)
    with serving(intake, receiver):
        hints: set[str] = set()

        def full() -> bool:  # a server that is slow to answer is a 503
            code, _, headers = curl(receiver.port, "/telemetry", "-d", json.dumps(EVENT))
            hints.add(headers["retry-after"])
            return code == 429

        for _ in range(3):
            wait_for(full)
        assert hints == {"1"}
        intake.app.close(0)


@needs_mosquitto
def test_mqtt_messages_are_acknowledged_when_they_are_accepted(server: Server) -> None:
    broker = Mosquitto()
    try:
        first, topics = Intake(url=server.url), ["plant/#"]
        with serving(first, MqttReceiver("127.0.0.1", topics, port=broker.port)):
            # Until it has subscribed nothing is kept for it.

            def heard() -> bool:
                broker.publish("plant/probe", "0")
                return first.accepted > 0

            wait_for(heard)
            broker.publish("plant/pump-1", *(f'{{"n":{n}}}' for n in range(100)), "nope")
            wait_for(lambda: first.refused["not_json"])  # the last one
        assert [r.fields["n"] for r in events(server) if r.device == "plant/pump-1"] == list(range(100))
        broker.publish("plant/pump-2", '{"n":1}', '{"n":2}')  # nobody listens: the broker keeps them
        server.stop()
        second = Intake(url=server.url)
        with serving(second, MqttReceiver("127.0.0.1", topics, port=broker.port)):
            server.start()
            wait_for(lambda: second.accepted == 2)
        third = Intake(url=server.url)
        with serving(third, MqttReceiver("127.0.0.1", topics, port=broker.port)):
            broker.publish("plant/pump-3", "3")
            wait_for(lambda: third.accepted)
            assert third.accepted == 1  # what was acknowledged is not sent again
        got = [r.fields["n"] for r in events(server) if r.device == "plant/pump-2"]
        assert got == [1, 2]
    finally:
        broker.remove()
