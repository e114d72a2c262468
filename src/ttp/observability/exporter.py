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
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from ttp.app import App
from ttp.observability.collector import PoolCollector
from ttp.observability.health import ProcessState, not_alive, not_ready
from ttp.observability.queues import QueueWatch
from ttp.worker.scoreboard import Layout, Scoreboard

REQUEST_SECONDS = 5.0  # that a client may take


@dataclass(frozen=True, slots=True)
class Settings:
    """What the pool tells its exporter.

    Attributes:
        layout: of the scoreboard, as text.
        scoreboard, listener: file descriptors.
    """

    app: str
    url: str | None
    queues: list[str]
    layout: str
    scoreboard: int
    listener: int


class Exporter:
    """Answers requests; each answer is a status, a content type and a body."""

    def __init__(self, scoreboard: Scoreboard, queues: QueueWatch) -> None:
        self._slots = scoreboard.slots()
        self._queues = queues
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(PoolCollector(scoreboard, queues))

    def answer(self, path: str, accept: str) -> tuple[HTTPStatus, str, bytes]:
        """The answer to GET path."""
        match path.partition("?")[0]:
            case "/livez":
                return _verdict("alive", not_alive(self._processes()))
            case "/readyz":
                return _verdict("ready", not_ready(self._processes(), server=self._queues.answering))
            case "/metrics":
                encode, content_type = choose_encoder(accept)
                return HTTPStatus.OK, content_type, encode(self._registry)
        return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"there are /livez, /readyz and /metrics\n"

    def _processes(self) -> list[ProcessState]:
        return [
            ProcessState(
                slot.silence(),
                bool(slot.process("serving")),
                tuple(name for name, state in slot.breakers().items() if state == "open"),
            )
            for slot in self._slots
        ]


def _verdict(word: str, reasons: list[str]) -> tuple[HTTPStatus, str, bytes]:
    body = json.dumps({word: not reasons, "reasons": reasons}) + "\n"
    return (HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK), "application/json", body.encode()


def server(listener: socket.socket, answer: Callable[[str, str], tuple[HTTPStatus, str, bytes]]) -> ThreadingHTTPServer:
    """An HTTP server on a socket that listens already."""

    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_SECONDS
        server_version = "ttp"
        sys_version = ""

        def do_GET(self) -> None:
            status, content_type, body = answer(self.path, self.headers.get("Accept", ""))
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the names that the base class looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Requests are not logged: they come every few seconds."""

    out = ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
    out.socket.close()
    out.socket = listener
    out.daemon_threads = True
    return out


def main() -> None:
    """Serve until stdin ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the pool's; this process ends after it
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s [%(process)d] %(message)s")
    settings = Settings(**json.loads(sys.stdin.readline()))
    app = App(settings.app, settings.url)
    queues = QueueWatch(app.open_connection, [app.keys(queue) for queue in settings.queues])
    queues.start()
    exporter = Exporter(Scoreboard(Layout.from_json(settings.layout), settings.scoreboard), queues)
    http = server(socket.socket(fileno=settings.listener), exporter.answer)
    threading.Thread(target=http.serve_forever, name="ttp-http", daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
