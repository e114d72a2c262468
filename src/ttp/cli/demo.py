"""`ttp demo`: the whole thing, live, from one command."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import typer

from ttp.app import App
from ttp.cli.output import EXIT_TERMINATED
from ttp.coordination import embedded, inspection
from ttp.errors import TtpError
from ttp.native import BACKEND, Histogram
from ttp.telemetry.event import Event, Record
from ttp.telemetry.handlers.analyze import ANALYZE
from ttp.telemetry.handlers.limits import DEFAULT_LIMITS
from ttp.telemetry.hub import Faults, Fleet, FleetConfig
from ttp.telemetry.sources.host import HostSource

QUEUES = ("default", "burst")
TURN = 0.01  # seconds
REFRESH = 0.25  # seconds
SPIKES = Faults(spike=0.001)  # something to raise alerts
DRAIN_PATIENCE = 60.0  # seconds for the rest to be done


@dataclass(slots=True)
class Look:
    """The demo at one moment."""

    at: float
    sent: int
    done: int
    waiting: int
    latency: Histogram
    memory: list[int]


def demo(
    seconds: Annotated[float, typer.Option(min=1.0, help="How long the fleet sends.")] = 12.0,
    devices: Annotated[int, typer.Option(min=1, help="Simulated devices.")] = 500,
    rate: Annotated[float, typer.Option(min=1.0, help="Events per second of the fleet.")] = 5000.0,
    burst: Annotated[int, typer.Option(min=0, help="No-op tasks at the end.")] = 2_000_000,
) -> None:
    """A simulated fleet and this machine's own metrics, through a private server and two workers, into SQLite.

    Each event is analyzed, stored, and summed up by the minute; what is out of bounds raises an alert. Then a burst
    of no-op tasks, and a summary. Exits with 0 only if everything is stored, once.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))  # all that was started is ended then too
    directory = Path(tempfile.mkdtemp(prefix="ttp-demo-"))
    os.environ["TTP_STATE_DIR"] = str(directory / "server")
    os.environ.pop("TTP_URL", None)
    try:
        with _Demo(directory) as running:
            running.send_fleet(seconds, devices, rate)
            fleet = running.look()
            took = running.send_burst(burst)
            end = running.look()
            running.stop()
            ok = _summary(running, fleet, end, burst, took)
    except (SystemExit, KeyboardInterrupt):  # nobody has been told of the database
        embedded.leave()
        shutil.rmtree(directory, ignore_errors=True)
        raise
    raise typer.Exit(0 if ok else 1)


class _Demo:
    """Server, workers and producer of one run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.database = directory / "demo.sqlite"
        self.sent = 0
        self._app = App("demo")
        self._analyze = self._app.remote(ANALYZE)
        self._urgent = self._analyze.options(priority="high")
        self._noop = self._app.remote("demo.noop", queue="burst")
        self._connection = self._app.open_connection(10.0)
        command = [sys.executable, "-m", "ttp.telemetry.demo_worker", str(directory)]
        # One writer to the database, one worker for the burst. They end when this process does, by whatever death.
        self._workers = [
            subprocess.Popen([*command, queue], stdin=subprocess.PIPE)  # noqa: S603 - this package itself
            for queue in QUEUES
        ]
        self._before: Look | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._connection.close()
        self._app.close()

    def stop(self) -> None:
        """End the workers, in good order."""
        for worker in self._workers:
            worker.stdin.close()  # type: ignore[union-attr]  # there is one
        for worker in self._workers:
            worker.wait(30)

    def send_fleet(self, seconds: float, devices: int, rate: float) -> None:
        """Fleet and host, each event when it is due; then wait until all are stored."""
        while len(list(self.directory.glob("worker-*.json"))) < len(QUEUES):
            self._check_workers()
            time.sleep(TURN)
        fleet = Fleet(FleetConfig(devices=devices, rate=rate, seed=1, faults=SPIKES, count=round(seconds * rate)))
        host = HostSource(interval=0.5, count=max(1, round(seconds * 2)))
        with _live(lambda: self._lines(f"{devices} devices and this host: {rate:,.0f} events/s")) as refresh:
            while (at := min((d for d in (fleet.next_due, host.next_due) if d is not None), default=None)) is not None:
                refresh()
                # As a gateway would: what came in a moment goes out together, and shares frames and transactions.
                time.sleep(max(TURN, min(at - time.time(), REFRESH)))
                for event in fleet.due():
                    self._emit(event)
                for record in host.due():
                    self._emit(record)
            self._drain("default")

    def _emit(self, event: Event | Record) -> None:
        record = event.record() if isinstance(event, Event) else event
        task = self._urgent if isinstance(event, Event) and event.priority == "high" else self._analyze
        task.emit(record.device, record.epoch, record.sequence, record.timestamp, record.fields)
        self.sent += 1

    def send_burst(self, count: int) -> float:
        """Emit no-op tasks as fast as one thread can, and wait until all are done. Seconds for all of it."""
        emit = self._noop.emit
        with _live(lambda: self._lines(f"a burst of {count:,} no-op tasks")) as refresh:
            began = time.perf_counter()
            for number in range(count):
                emit(number)
            self._drain("burst")
            took = time.perf_counter() - began
            refresh()
        return took

    def _drain(self, queue: str) -> None:
        self._app.flush(DRAIN_PATIENCE)
        deadline = time.monotonic() + DRAIN_PATIENCE
        while (stats := self._stats(queue)).tasks or stats.waiting:
            if time.monotonic() > deadline:
                raise TtpError(f"{stats.tasks} tasks of queue {queue} were not done within {DRAIN_PATIENCE:.0f} s")
            self._check_workers()
            time.sleep(0.005)

    def _check_workers(self) -> None:
        if any(worker.poll() is not None for worker in self._workers):
            raise TtpError("a worker process of the demo has ended; its message says why")

    def _stats(self, queue: str) -> inspection.Stats:
        return inspection.stats_reply(self._connection.call_many(inspection.stats(self._app.keys(queue))))

    def look(self) -> Look:
        """The numbers now; those of the workers are half a second old at most."""
        latency, memory = Histogram(), []
        for file in self.directory.glob("worker-*.json"):
            numbers = json.loads(file.read_text())
            memory.append(numbers["rss"])
            for value, weight in numbers["wait"]:
                latency.record(value, weight)
        both = [self._stats("default"), self._stats("burst")]
        done, waiting = sum(s.done for s in both), sum(s.tasks for s in both)
        return Look(time.monotonic(), self.sent, done, waiting, latency, memory)

    def _lines(self, what: str) -> str:
        now, before = self.look(), self._before
        self._before = now
        rate = 0.0 if before is None else (now.done - before.done) / max(now.at - before.at, 1e-3)
        memory = ", ".join(f"{rss / 2**20:.0f} MB" for rss in now.memory) or "starting"
        pace = f"{rate:>12,.0f}/s" if rate else ""
        return (
            f"[bold]{what}[/]\n"
            f"  [bright_black]done[/]      [bold cyan]{now.done:>12,}[/]   [bold green]{pace}[/]\n"
            f"  [bright_black]queued[/]    [bold cyan]{now.waiting:>12,}[/]\n"
            f"  [bright_black]waited[/]    {_percentiles(now.latency)}\n"
            f"  [bright_black]workers[/]   {memory}"
        )


def _summary(running: _Demo, fleet: Look, end: Look, burst: int, took: float) -> bool:
    """Print what came of it; True if all is as it should be."""
    stored = _look_into(running.database)
    lost = max(0, running.sent - stored.events)
    executed = end.done - fleet.done
    alerts = ", ".join(f"{reason} ({count:,})" for reason, count in stored.alerts.items())
    query = "SELECT device, reason, value FROM alerts LIMIT 5"
    typer.echo(
        f"\nevents    sent {running.sent:,}, stored {stored.events:,}, lost {lost:,}, doubled {stored.doubled:,}"
        f"\n          {stored.readings:,} readings, summed up in {stored.windows:,} windows of a minute"
        f"\n          waited {_percentiles(fleet.latency)} from emit to a worker"
        f"\nalerts    {stored.alerts.total():,} of {stored.out_of_bounds:,} readings out of bounds: {alerts or 'none'}"
        f"\nburst     {executed:,} of {burst:,} no-op tasks in {took:.2f} s: {executed / took:,.0f} tasks/s,"
        f" one producer, one worker, {BACKEND} core"
        f"\nmemory    workers {', '.join(f'{rss / 2**20:.0f} MB' for rss in end.memory)}"
        f"\ndatabase  {running.database}"
        f'\n          sqlite3 {running.database} "{query}"'
    )
    whole = running.sent == stored.events and stored.doubled == 0
    return whole and stored.alerts.total() == stored.out_of_bounds and executed == burst


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is in the database.

    Attributes:
        events: of different identity.
        doubled: readings summed up more than once, or not at all.
        out_of_bounds: readings that must have raised an alert.
        alerts: how many, by reason.
    """

    events: int
    readings: int
    windows: int
    doubled: int
    out_of_bounds: int
    alerts: Counter[str]


def _look_into(database: Path) -> _Stored:
    with contextlib.closing(sqlite3.connect(database)) as connection:

        def number(query: str, *values: object) -> int:
            return int(connection.execute(query, values).fetchone()[0])

        identities = "SELECT device, epoch, sequence FROM readings UNION SELECT device, epoch, sequence FROM attributes"
        readings = number("SELECT count(*) FROM readings")
        broken = "SELECT count(*) FROM readings WHERE field = ? AND (value < ? OR value > ?)"
        return _Stored(
            events=number(f"SELECT count(*) FROM ({identities})"),  # noqa: S608
            readings=readings,
            windows=number("SELECT count(*) FROM windows"),
            doubled=abs(number("SELECT coalesce(sum(count), 0) FROM windows") - readings),
            out_of_bounds=sum(number(broken, limit.field, limit.below, limit.above) for limit in DEFAULT_LIMITS),
            alerts=Counter(dict(connection.execute("SELECT reason, count(*) FROM alerts GROUP BY reason"))),
        )


def _percentiles(latency: Histogram) -> str:
    p50, p99, p999 = (latency.percentile(q) / 1e6 for q in (50, 99, 99.9))
    return f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, p99.9 {p999:.2f} ms" if latency.count else "-"


@contextlib.contextmanager
def _live(lines: Callable[[], str]) -> Iterator[Callable[[], None]]:
    """Show lines that change, in the markup of rich, and what they were at the end; yields what refreshes them."""
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    shown = ""
    at = 0.0

    def refresh() -> None:
        nonlocal shown, at
        if time.monotonic() - at >= REFRESH:
            shown, at = lines(), time.monotonic()
            live.update(shown, refresh=True)

    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False) as live:
        yield refresh
        at = 0.0
        refresh()
    if not console.is_terminal:  # there, Live ends its last line itself
        console.line()
