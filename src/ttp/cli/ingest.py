"""`ttp ingest`: events from elsewhere into the queue."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from ttp.cli.http import Http, endpoints
from ttp.cli.live import live_line, stop_on_interrupt
from ttp.cli.output import AppName, Json, QueueName, Url, complain, print_json, usage
from ttp.errors import QueueFull, ServerUnavailable
from ttp.telemetry.delivery import CONNECT_TIMEOUT
from ttp.telemetry.device import HubDevice
from ttp.telemetry.gateway import gateway_routes
from ttp.telemetry.replay import open_files
from ttp.telemetry.sources.gateway import GatewaySource
from ttp.telemetry.sources.host import HostSource
from ttp.telemetry.sources.http import HttpReceiver, health_routes, influx_routes, telemetry_routes
from ttp.telemetry.sources.intake import Intake, Malformed, Receiver
from ttp.telemetry.sources.line_protocol import LineProtocol
from ttp.telemetry.sources.lines import JSON_LINES, Format
from ttp.telemetry.sources.mqtt import PORT, MqttReceiver
from ttp.telemetry.sources.playing import FileReceiver, TimedReceiver
from ttp.telemetry.sources.record_file import BadRow
from ttp.telemetry.sources.stream import PipeReceiver, TcpReceiver

app = typer.Typer(no_args_is_help=True, help="Events from elsewhere, to the task telemetry.store.")

Kind = Annotated[Literal["json", "influx"], typer.Option("--format", help="JSON Lines or Influx line protocol.")]
Count = Annotated[int | None, typer.Option(min=1, help="Events; default: until Ctrl-C.")]


@dataclass
class _Target:
    """Where events go, and how the end is told."""

    intake: Intake
    queue: str
    json: bool
    http: str | None


@app.callback()
def ingest(
    context: typer.Context,
    app_name: AppName = "telemetry",
    queue_name: QueueName = "default",
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="Send what is no event to the task telemetry.malformed.")
    ] = False,
    url: Url = None,
    as_json: Json = False,
    http: Http = None,
) -> None:
    """Take events, until they end or Ctrl-C, and report what was accepted and refused."""
    intake = Intake(app_name, url, queue=queue_name, dead_letters=dead_letters, on_sample=complain)
    context.obj = _Target(intake, queue_name, as_json, http)


@app.command()
def lines(
    context: typer.Context,
    tcp: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Listen there instead of reading standard input.")
    ] = None,
    kind: Kind = "json",
) -> None:
    """Lines from standard input or TCP connections."""
    form: Format = JSON_LINES if kind == "json" else LineProtocol()
    if tcp is None:
        _run(context, PipeReceiver(sys.stdin.buffer, form))
        return
    with _usable():
        receiver = TcpReceiver(*_address(tcp), form)
        complain(f"listening on port {receiver.port}")
        _run(context, receiver)


@app.command()
def files(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", exists=True, dir_okay=False)],
) -> None:
    """CSV and JSON Lines files; the same file gives the same events every time."""
    target: _Target = context.obj

    def refuse(row: BadRow) -> None:
        target.intake.refuse(Malformed("bad_row", str(row)), b"")

    with _usable():
        _run(context, FileReceiver(open_files(paths, on_bad=refuse)))


@app.command()
def http(
    context: typer.Context,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT")] = "127.0.0.1:8080",
) -> None:
    """HTTP: POST /telemetry (JSON), /write and /api/v2/write (Influx line protocol)."""
    with _usable():
        receiver = HttpReceiver(*_address(listen), telemetry_routes, influx_routes, health_routes)
        complain(f"listening on port {receiver.port}")
        _run(context, receiver)


@app.command()
def mqtt(
    context: typer.Context,
    broker: Annotated[str, typer.Argument(metavar="HOST[:PORT]")],
    topic: Annotated[list[str], typer.Option(help="Topic filter; may be repeated.")],
    client_id: Annotated[str, typer.Option(help="Under which the broker keeps the session.")] = "ttp-ingest",
    qos: Annotated[int, typer.Option(min=0, max=2)] = 1,
    username: Annotated[str | None, typer.Option()] = None,
    password: Annotated[str | None, typer.Option(envvar="TTP_MQTT_PASSWORD", help="Better in the environment.")] = None,
    tls: Annotated[bool, typer.Option("--tls")] = False,
) -> None:
    """MQTT: JSON payloads of one event each, acknowledged when the server has accepted them."""
    with _usable():
        host, port = _address(broker, PORT)
        _run(
            context,
            MqttReceiver(
                host, topic, port=port, client_id=client_id, qos=qos, username=username, password=password, tls=tls
            ),
        )


@app.command()
def gateway(
    context: typer.Context,
    gateway_url: Annotated[str, typer.Argument(metavar="URL", help="As http://127.0.0.1:8080.")],
    interval: Annotated[float, typer.Option(help="Seconds between two requests.")] = 0.1,
    device: Annotated[str | None, typer.Option(help="Name of the device; default: the gateway's address.")] = None,
) -> None:
    """The samples of a TelemetryHub gateway."""
    target: _Target = context.obj

    def refuse(reason: str) -> None:
        target.intake.refuse(Malformed("no_sample", reason), b"")

    with _usable():
        _run(context, TimedReceiver(GatewaySource(gateway_url, device=device, interval=interval, on_bad=refuse)))


@app.command()
def host(
    context: typer.Context,
    interval: Annotated[float, typer.Option(help="Seconds between two readings.")] = 1.0,
    count: Count = None,
) -> None:
    """This machine's metrics."""
    with _usable():
        _run(context, TimedReceiver(HostSource(interval=interval, count=count)))


@app.command()
def hub(
    context: typer.Context,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT")] = "127.0.0.1:8080",
    interval_ms: Annotated[int, typer.Option(help="Between two samples, 10 to 10000.")] = 100,
    read_error: Annotated[float, typer.Option(help="Probability that a sample cannot be read.")] = 0.0,
    name: Annotated[str, typer.Option("--device")] = "hub-1",
) -> None:
    """A simulated TelemetryHub gateway with its REST interface: its device's samples, and what is sent to it."""
    with _usable():
        device = HubDevice(name, interval_ms=interval_ms, read_error=read_error)
        receiver = HttpReceiver(*_address(listen), gateway_routes(device), telemetry_routes, health_routes)
        complain(f"listening on port {receiver.port}; POST /start starts the device")
        _run(context, receiver, TimedReceiver(device))


@contextmanager
def _usable() -> Iterator[None]:
    """Arguments that cannot be used end in a usage error."""
    try:
        yield
    except ServerUnavailable:
        raise
    except (ValueError, OSError) as error:
        usage(str(error))


def _address(text: str, port: int | None = None) -> tuple[str, int]:
    name, _, number = text.rpartition(":") if ":" in text or port is None else (text, "", str(port))
    if not name or not number.isdigit() or int(number) > 65_535:
        raise ValueError(f"an address is HOST:PORT, not {text!r}")
    return name.strip("[]"), int(number)


def _run(context: typer.Context, *receivers: Receiver) -> None:
    """Serve until the first receiver ends, and say what became of the events."""
    target: _Target = context.obj
    intake = target.intake
    beside = [threading.Thread(target=receiver.serve, args=(intake,), daemon=True) for receiver in receivers[1:]]
    interrupted = False
    with (
        endpoints(intake.app, target.http, [target.queue]),
        stop_on_interrupt(intake.stopping),
        live_line(lambda: f"accepted {intake.accepted:,} events"),
    ):
        intake.app.open_connection(CONNECT_TIMEOUT).close()  # no server: better now than after the first events
        for thread in beside:
            thread.start()
        try:
            receivers[0].serve(intake)
        except (QueueFull, ServerUnavailable):
            if not intake.stopping.is_set():
                raise
            interrupted = True
        intake.stopping.set()
        for thread in beside:
            thread.join()
        intake.close()
    if target.json:
        print_json({"accepted": intake.accepted, "refused": dict(intake.refused), "samples": intake.samples})
    else:
        refused = ", ".join(f"{count:,} {reason}" for reason, count in intake.refused.most_common()) or "none"
        typer.echo(f"accepted {intake.accepted:,} events; refused: {refused}")
    if interrupted:
        complain("interrupted while waiting for the server: what was read last may not be accepted")
        raise typer.Exit(1)
