"""Serves health and metrics of a worker pool over HTTP: `python -m ttp.observability.exporter`, a process of its own.

A process, because handlers in plain Python keep the interpreter for themselves: a thread beside them would answer
when they let it. It reads the workers' counters in the memory that they share, and ends with the pool.

Its settings come as one line of JSON on stdin, which the pool keeps open as long as it lives.
"""

import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ttp.app import App
from ttp.observability import http, logs
from ttp.observability.collector import PoolCollector, QueueCollector
from ttp.observability.health import ProcessState, not_alive, not_ready
from ttp.observability.queues import QueueWatch
from ttp.observability.task_metrics import TaskMetrics
from ttp.worker.scoreboard import Layout, Scoreboard, Slot


@dataclass(frozen=True, slots=True)
class Settings:
    """What the pool tells its exporter.

    Attributes:
        layout: of the scoreboard, as text.
        scoreboard, listener: file descriptors.
        log_format: as the pool's.
    """

    app: str
    url: str | None
    queues: list[str]
    layout: str
    scoreboard: int
    listener: int
    log_format: logs.LogFormat


def states(slots: Sequence[Slot]) -> list[ProcessState]:
    """How the processes of a pool are."""
    return [
        ProcessState(
            slot.silence(),
            bool(slot.process("serving")),
            tuple(name for name, state in slot.breakers().items() if state == "open"),
        )
        for slot in slots
    ]


def main() -> None:
    """Serve until stdin ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the pool's; this process ends after it
    settings = Settings(**json.loads(sys.stdin.readline()))
    logs.set_up(settings.log_format, logging.WARNING, sys.stderr)
    app = App(settings.app, settings.url)
    queues = QueueWatch(app.open_connection, [app.keys(queue) for queue in settings.queues])
    queues.start()
    scoreboard = Scoreboard(Layout.from_json(settings.layout), settings.scoreboard)
    slots = scoreboard.slots()
    endpoints = http.Endpoints(
        PoolCollector(scoreboard),
        QueueCollector(queues),
        not_alive=lambda: not_alive(states(slots)),
        not_ready=lambda: not_ready(states(slots), server=queues.answering),
        tasks=TaskMetrics(scoreboard),
    )
    http.serve(socket.socket(fileno=settings.listener), endpoints.answer)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
