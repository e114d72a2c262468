"""Looks at a server once a second, and remembers the last minutes: what the status page shows."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ttp.coordination import discovery, inspection
from ttp.coordination.connection import Connection
from ttp.coordination.discovery import WorkerSeen
from ttp.coordination.inspection import Stats
from ttp.coordination.keys import Keys
from ttp.errors import TtpError
from ttp.observability.ui.letters import clipped

log = logging.getLogger("ttp.ui")

LOOK = 1.0  # seconds between two looks
SCAN = 30.0  # seconds between two searches for queues: each goes through all keys of the server
MINUTES = 5
SILENT = 3.0  # seconds without a beat after which a worker is shown as silent; it beats four times a second
MOST_NAME = 120  # characters of what a worker says of itself: it is sent to each browser once a second
_RATES = ("accepted", "done", "retried", "dead")
_TIMES = ("p50_us", "p99_us", "run_p50_us", "run_p99_us")


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one time (monotonic seconds)."""

    at: float
    queues: dict[Keys, Stats]
    workers: list[WorkerSeen]


class Monitor:
    """A thread with a connection of its own.

    Args:
        open_connection: seconds → a connected `Connection`.
        name: of the server, for the page.
        app: show this app only; None: all.
    """

    def __init__(self, open_connection: Callable[[float], Connection], name: str, app: str | None = None) -> None:
        self._open = open_connection
        self._app = app
        self._connection: Connection | None = None
        self._queues: list[Keys] = []
        self._scan_at = 0.0
        self._last: Look | None = None
        self._beats: dict[tuple[Keys, str], tuple[int, float]] = {}
        self._points: deque[list[float | None]] = deque(maxlen=round(MINUTES * 60 / LOOK))
        self._listeners: set[Callable[[], None]] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="ttp-monitor", daemon=True)
        self.state: dict[str, Any] = {"server": {"url": name, "up": None, "error": "", "name": ""}}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()
        if self._connection is not None:
            self._connection.close()

    def history(self) -> list[list[float | None]]:
        """[seconds since 1970, accepted/s, done/s, dead/s, wait p50, wait p99, run p50, run p99], oldest first.

        Times in microseconds, None where nothing ran.
        """
        return list(self._points)

    def listen(self, heard: Callable[[], None]) -> Callable[[], None]:
        """Call this after each look, from the monitor's thread; the returned function ends that."""
        self._listeners.add(heard)
        return lambda: self._listeners.discard(heard)

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def _work(self) -> None:
        while not self._stopping.is_set():
            about = {"url": self.state["server"]["url"], "up": True, "error": "", "name": ""}
            try:
                self._look(about)
            except TtpError as error:
                self._drop()
                self.state = {**self.state, "server": {**about, "up": False, "error": str(error)}}
            except Exception as error:
                log.exception("monitor")
                self._drop()
                self.state = {
                    **self.state,
                    "server": {**about, "up": False, "error": f"{type(error).__name__}: see the log"},
                }
            for heard in list(self._listeners):
                heard()
            self._stopping.wait(LOOK)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._last = None
        self._scan_at = 0.0

    def _look(self, about: dict[str, Any]) -> None:
        if self._connection is None:
            self._connection = self._open(LOOK)
        connection, now = self._connection, time.monotonic()
        if now >= self._scan_at:
            found = discovery.find_queues(connection)
            self._queues = [keys for keys in found if self._app in (None, keys.app)]
            self._scan_at = now + (SCAN if self._queues else LOOK)
        queues = {keys: inspection.stats_reply(connection.call_many(inspection.stats(keys))) for keys in self._queues}
        look = Look(now, queues, discovery.workers(connection, self._queues))
        about["name"] = connection.server
        self.state = self._described(look, self._last or look, about)
        self._last = look

    def _described(self, look: Look, before: Look, about: dict[str, Any]) -> dict[str, Any]:
        seconds = look.at - before.at
        queues = [_queue(keys, stats, before.queues.get(keys, stats), seconds) for keys, stats in look.queues.items()]
        workers = self._workers(look, before, seconds)
        totals = {name: sum(queue[name] for queue in queues) for name in ("tasks", "waiting", "dead_frames", *_RATES)}
        rates = {name: sum(queue["rates"][name] for queue in queues) for name in _RATES}
        times = {name: max((w[name] for w in workers if w[name] is not None), default=None) for name in _TIMES}
        if seconds:
            now = round(time.time(), 1)
            self._points.append([now, rates["accepted"], rates["done"], rates["dead"], *times.values()])
        return {
            "server": about,
            "totals": totals,
            "rates": rates,
            **times,
            "queues": queues,
            "workers": workers,
            "breakers": _breakers(look.workers),
            "point": self._points[-1] if self._points else None,
        }

    def _workers(self, look: Look, before: Look, seconds: float) -> list[dict[str, Any]]:
        earlier = {(worker.keys, worker.name): worker.report.get("tasks") for worker in before.workers}
        beats, self._beats = self._beats, {}
        out: dict[str, dict[str, Any]] = {}
        for worker in look.workers:
            key = (worker.keys, worker.name)
            count, since = beats.get(key, (worker.beats, look.at))
            since = since if count == worker.beats else look.at
            self._beats[key] = (worker.beats, since)
            report = worker.report
            tasks, old = report.get("tasks"), earlier.get(key)
            rate = None
            if isinstance(tasks, int) and isinstance(old, int) and seconds:
                rate = max(0.0, (tasks - old) / seconds)
            row = out.setdefault(
                worker.name,
                {
                    "name": clipped(worker.name, MOST_NAME),
                    "queues": [],
                    "state": _state(worker, look.at - since, busy=bool(rate or report.get("in_hand"))),
                    "rate": rate,
                    **{name: _text(report.get(name)) for name in ("version", "core")},
                    **{name: _number(report.get(name)) for name in ("started_at", "in_hand", *_TIMES)},
                },
            )
            row["queues"].append(f"{worker.keys.app}/{worker.keys.queue}")
        return list(out.values())


def _queue(keys: Keys, stats: Stats, before: Stats, seconds: float) -> dict[str, Any]:
    names = ("tasks", "bytes", "waiting", "delayed_frames", "dead_frames", *_RATES)
    new = {name: getattr(stats, name) - getattr(before, name) for name in _RATES}
    return {
        "app": keys.app,
        "queue": keys.queue,
        **{name: getattr(stats, name) for name in names},
        "rates": {name: max(0.0, count / seconds) if seconds else 0.0 for name, count in new.items()},
    }


def _state(worker: WorkerSeen, silence: float, *, busy: bool) -> str:
    if worker.connected is False:
        return "lost"
    if silence > SILENT:
        return "silent"
    return "working" if busy else "idle"


def _breakers(workers: Sequence[WorkerSeen]) -> list[dict[str, Any]]:
    """Name, worst state, and in how many workers it is in that state."""
    seen: dict[str, dict[str, str]] = {}
    for worker in workers:
        told = worker.report.get("breakers")
        for name, state in told.items() if isinstance(told, dict) else ():
            seen.setdefault(clipped(str(name), MOST_NAME), {})[worker.name] = str(state)
    out = []
    for name, states in sorted(seen.items()):
        worst = next((s for s in ("open", "half_open") if s in states.values()), "closed")
        out.append({"name": name, "state": worst, "workers": list(states.values()).count(worst), "of": len(states)})
    return out


def _text(value: Any) -> str | None:
    return clipped(value, MOST_NAME) if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) else None
