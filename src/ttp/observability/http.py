"""Health and metrics over HTTP: GET /livez, /readyz and /metrics."""

import json
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ttp.observability.task_metrics import TaskMetrics

REQUEST_SECONDS = 5.0  # that a client may take

Answer = tuple[HTTPStatus, str, bytes]  # status, content type, body


class Endpoints:
    """What is answered.

    Args:
        not_alive: why this should be restarted; empty if not.
        not_ready: why it does not work as it should; empty if it does.
        tasks: metrics beside those of the collectors.
    """

    def __init__(
        self,
        *collectors: Collector,
        not_alive: Callable[[], list[str]],
        not_ready: Callable[[], list[str]],
        tasks: TaskMetrics | None = None,
    ) -> None:
        self._tasks = tasks
        self._not_alive = not_alive
        self._not_ready = not_ready
        self._registry = CollectorRegistry(auto_describe=False)
        for collector in collectors:
            self._registry.register(collector)

    def answer(self, path: str, accept: str) -> Answer:
        """The answer to GET path."""
        match path.partition("?")[0]:
            case "/livez":
                return _verdict("alive", self._not_alive())
            case "/readyz":
                return _verdict("ready", self._not_ready())
            case "/metrics":
                encode, content_type = choose_encoder(accept)
                openmetrics = content_type.startswith("application/openmetrics-text")
                tasks = self._tasks.text(openmetrics=openmetrics) if self._tasks is not None else b""
                return HTTPStatus.OK, content_type, tasks + encode(self._registry)  # whose end is that of all
        return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"there are /livez, /readyz and /metrics\n"


def _verdict(word: str, reasons: list[str]) -> Answer:
    body = json.dumps({word: not reasons, "reasons": reasons}) + "\n"
    return (HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK), "application/json", body.encode()


def serve(listener: socket.socket, answer: Callable[[str, str], Answer]) -> ThreadingHTTPServer:
    """Answer, in threads, on a socket that listens already, until `shutdown` of what this returns."""

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
    threading.Thread(target=out.serve_forever, args=(0.05,), name="ttp-http", daemon=True).start()
    return out
