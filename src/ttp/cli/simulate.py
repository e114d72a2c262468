"""`ttp simulate`: a fleet of devices, or this machine, as a source of events."""

import json
import math
import sys
import threading
import time
from datetime import datetime
from typing import Annotated, Literal

import typer

from ttp.app import App
from ttp.cli.http import Http, endpoints
from ttp.cli.live import live_line, stop_on_interrupt
from ttp.cli.output import AppName, QueueName, Url, complain, usage
from ttp.errors import QueueFull
from ttp.telemetry.delivery import CONNECT_TIMEOUT, Delivery, play
from ttp.telemetry.event import Event, Record
from ttp.telemetry.handlers.store import STORE
from ttp.telemetry.hub import SENSORS, Faults, Fleet, FleetConfig
from ttp.telemetry.sinks import open_sink
from ttp.telemetry.sources import MAX_INTERVAL, Source
from ttp.telemetry.sources.host import HostSource

FLEET_RATE = 1000.0
HOST_RATE = 1.0


def simulate(
    devices: Annotated[int, typer.Option(min=1, help="Simulated devices.")] = 100,
    rate: Annotated[
        float | None, typer.Option(help="Events per second of all together; default: 1000, of the host 1.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed and start give the same events.")] = 0,
    types: Annotated[str, typer.Option(help="Sensor types, comma-separated; default: all.")] = "",
    faults: Annotated[
        str, typer.Option(help="none, a probability for all, or some: spike=0.01,reboot=0.001.")
    ] = "none",
    duration: Annotated[float | None, typer.Option(min=0, help="Seconds; default: until Ctrl-C.")] = None,
    count: Annotated[int | None, typer.Option(min=0, help="Events, those lost to faults included.")] = None,
    source: Annotated[Literal["fleet", "host"], typer.Option(help="Simulated devices, or this machine.")] = "fleet",
    start: Annotated[str | None, typer.Option(help="ISO time of the first event; default: now.")] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET",
            help="Store the events too, in the command: sqlite:PATH, postgres:URL or parquet:DIR.",
        ),
    ] = None,
    app_name: AppName = "telemetry",
    queue_name: QueueName = "default",
    url: Url = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the events as JSON Lines instead of sending them.")
    ] = False,
    http: Http = None,
) -> None:
    """Send events of a simulated fleet or of this machine, each when it is due.

    They go to the task telemetry.store(device, epoch, sequence, timestamp, fields) of an app, for its workers
    (examples/telemetry.py). With --start in the past, the fleet catches up at full speed.
    """
    try:
        if rate is None:
            rate = FLEET_RATE if source == "fleet" else HOST_RATE
        if duration is not None:
            if not math.isfinite(duration * rate):
                raise ValueError(f"duration and rate must be finite numbers, not {duration:g} and {rate:g}")
            within = math.ceil(duration * rate)
            count = within if count is None else min(count, within)
        origin = _host(rate, count) if source == "host" else _fleet(devices, rate, seed, types, faults, start, count)
    except ValueError as error:
        usage(str(error))
    if as_json:
        if http is not None:
            usage("--http shows what is sent, and --json sends nothing")
        _print(origin)
    elif to is not None:
        _store(origin, to, url, http)
    else:
        _send(origin, app_name, queue_name, url, http)


def _fleet(
    devices: int, rate: float, seed: int, types: str, faults: str, start: str | None, count: int | None
) -> Source[Event]:
    return Fleet(
        FleetConfig(
            devices=devices,
            rate=rate,
            seed=seed,
            types=tuple(name.strip() for name in types.split(",")) if types else tuple(SENSORS),
            faults=Faults.parse(faults),
            start=None if start is None else _moment(start),
            count=count,
        )
    )


def _moment(text: str) -> float:
    """Seconds since 1970 of an ISO time. ValueError if it is none, or nobody can wait for it."""
    try:
        moment = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise ValueError(f"start: {error}") from None
    if moment > time.time() + MAX_INTERVAL:
        raise ValueError(f"start must be within a year from now, not {text}")
    return moment


def _host(rate: float, count: int | None) -> Source[Record]:
    return HostSource(interval=1 / rate if rate > 0 else 0, count=count)


def _print(origin: Source[Event] | Source[Record]) -> None:
    def show(event: Event | Record) -> None:
        sys.stdout.write(json.dumps(event.to_json(), ensure_ascii=False) + "\n")

    stopping = threading.Event()
    with stop_on_interrupt(stopping):
        play(origin, show, clock=time.time, stopping=stopping, pause=sys.stdout.flush)


def _store(origin: Source[Event] | Source[Record], to: str, url: str | None, http: str | None) -> None:
    sink = open_sink(to)
    delivery = Delivery(sink, url)
    with (
        endpoints(delivery.app, http, [delivery.queue]),
        stop_on_interrupt(delivery.stopping),
        live_line(lambda: f"sent {delivery.sent:,} events, stored {sink.events:,}"),
    ):
        summary = delivery.run(origin, clock=time.time)
    typer.echo(f"sent {summary.sent:,} events, stored {summary.stored:,} as {summary.rows:,} rows in {sink.location}")
    if summary.repeated:
        typer.echo(f"{summary.repeated:,} rows were there already: same device, epoch, sequence and field")
    if summary.left:
        complain(f"{summary.left:,} events are still queued: a run with the same database stores them")
    if summary.dead:
        complain(f"{len(summary.dead):,} events could not be stored, the first because of {summary.dead[0]}")
        raise typer.Exit(1)


def _send(origin: Source[Event] | Source[Record], app_name: str, queue: str, url: str | None, http: str | None) -> None:
    sent = 0
    stopping = threading.Event()
    app = App(app_name, url)
    with (
        app,
        endpoints(app, http, [queue]),
        stop_on_interrupt(stopping),
        live_line(lambda: f"sent {sent:,} events"),
    ):
        app.open_connection(CONNECT_TIMEOUT).close()  # no server: better now than after the first events
        normal = app.remote(STORE, queue=queue)
        high = normal.options(priority="high")

        def emit(event: Event | Record) -> None:
            nonlocal sent
            urgent = isinstance(event, Event) and event.priority == "high"
            record = event.record() if isinstance(event, Event) else event
            task = high if urgent else normal
            try:
                task.emit(record.device, record.epoch, record.sequence, record.timestamp, record.fields)
            except QueueFull:
                app.open_connection(CONNECT_TIMEOUT).close()  # no server any more: that is why
                raise
            sent += 1

        play(origin, emit, clock=time.time, stopping=stopping)
        app.flush()
    typer.echo(f"sent {sent:,} events to task {STORE} of app {app_name}, queue {queue}")
