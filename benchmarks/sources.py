"""Events from outside: JSON Lines on standard input to a batch handler, and MQTT against a receiver that only counts.

`python benchmarks/sources.py lines [EVENTS]`, `... mqtt [MESSAGES]`. Server, `ttp ingest` and worker are processes of
their own. MQTT needs mosquitto and mosquitto_pub.
"""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

from harness import HERE, Bench

sys.path.append(str(HERE.parent / "tests"))  # starts the broker

BLOCK = 20_000  # distinct lines, repeated


def line(n: int) -> bytes:
    """An event as a TelemetryHub device writes it."""
    return (
        b'{"device_id":"sensor-%d","type":"temperature","value":%.2f,"unit":"celsius","priority":"MEDIUM",'
        b'"timestamp":"2026-01-01T00:%02d:%02d.%06dZ"}\n' % (n % 1000, 20 + n % 977 / 100, n // 60 % 60, n % 60, n)
    )


def lines(bench: Bench, count: int) -> dict[str, float]:
    """Events a second from the first line to the last commit; one line goes ahead, when all runs."""
    bench.fresh()
    blocks = max(1, count // BLOCK)
    block = b"".join(map(line, range(BLOCK)))
    with bench.worker():
        command = [sys.executable, "-m", "ttp", "ingest", "--app", bench.app.name, "--json", "lines"]
        ingest = subprocess.Popen(
            command, env=bench.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert ingest.stdin is not None
        ingest.stdin.write(line(0))
        ingest.stdin.flush()
        bench.wait_for("done", 1)
        begun = time.monotonic()
        for _ in range(blocks):
            ingest.stdin.write(block)
        ingest.stdin.close()
        ended = bench.wait_for("done", blocks * BLOCK + 1)
        assert ingest.stdout is not None
        report = json.loads(ingest.stdout.read())
        ingest.wait()
    assert report["accepted"] == blocks * BLOCK + 1, report
    return {
        "events": blocks * BLOCK,
        "rate": blocks * BLOCK / (ended - begun),
        "megabytes_per_second": blocks * len(block) / (ended - begun) / 1e6,
    }


def mqtt(bench: Bench, count: int) -> dict[str, float]:
    """Messages of QoS 1 a second from mosquitto_pub, through mosquitto, until the last one is taken."""
    from real_mosquitto import Mosquitto  # noqa: PLC0415 - only here

    bench.fresh()
    file = Path(bench.app.name).with_suffix(".mqtt")
    file.write_bytes(b"".join(map(line, range(count))))
    out: dict[str, float] = {"messages": count}
    try:
        for name, receive in (("thrown_away", _throw_away), ("accepted", _ingest)):
            broker = Mosquitto()
            try:
                out[name] = count / receive(broker, bench, file, count)
            finally:
                broker.remove()
    finally:
        file.unlink()
    out["ratio"] = out["accepted"] / out["thrown_away"]
    return out


def _send(broker: object, file: Path) -> float:
    """Have the messages sent; when that began."""
    begun = time.monotonic()
    with file.open("rb") as lines_of:
        command = ["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-t", "plant/pump", "-l"]  # type: ignore[attr-defined]
        subprocess.run(command, stdin=lines_of, check=True)
    return begun


def _throw_away(broker: object, _: Bench, file: Path, count: int) -> float:
    from paho.mqtt.client import Client  # noqa: PLC0415 - only here
    from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415

    got, ready, last = 0, threading.Event(), threading.Event()

    def on_message(*_: object) -> None:
        nonlocal got
        got += 1
        if got == count:
            last.set()

    client = Client(CallbackAPIVersion.VERSION2, client_id="thrower", clean_session=False)
    client.on_message = on_message
    client.on_connect = lambda *_: client.subscribe("plant/#", 1)
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", broker.port)  # type: ignore[attr-defined]
    client.loop_start()
    ready.wait(30)
    begun = _send(broker, file)
    last.wait(300)
    seconds = time.monotonic() - begun
    client.disconnect()
    client.loop_stop()
    return seconds


def _ingest(broker: object, bench: Bench, file: Path, count: int) -> float:
    from ttp.telemetry.sources.intake import Intake  # noqa: PLC0415 - only here
    from ttp.telemetry.sources.mqtt import MqttReceiver  # noqa: PLC0415

    intake = Intake(bench.app.name, bench.url)
    receiver = MqttReceiver("127.0.0.1", ["plant/#"], port=broker.port)  # type: ignore[attr-defined]
    thread = threading.Thread(target=receiver.serve, args=(intake,))
    thread.start()
    deadline = time.monotonic() + 300
    while not intake.accepted and time.monotonic() < deadline:  # it has subscribed when a message arrives
        broker.publish("plant/probe", "0")  # type: ignore[attr-defined]
    before = intake.accepted
    begun = _send(broker, file)
    while intake.accepted < before + count and time.monotonic() < deadline:
        time.sleep(0.001)
    seconds = time.monotonic() - begun
    intake.stopping.set()
    thread.join()
    intake.close()
    return seconds


if __name__ == "__main__":
    what = {"lines": (lines, 5_000_000), "mqtt": (mqtt, 50_000)}
    chosen = sys.argv[1:2] or list(what)
    with Bench() as bench:
        for name in chosen:
            measure, default = what[name]
            count = int(sys.argv[2]) if len(sys.argv) > 2 else default
            print(json.dumps({name: measure(bench, count)}, indent=2), flush=True)
