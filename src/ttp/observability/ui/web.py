"""The status page over HTTP: state as JSON and as a stream of events, dead letters, and the two actions on them."""

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ttp.coordination.connection import Connection
from ttp.coordination.discovery import find_queues
from ttp.dead_letters import DeadLetter
from ttp.errors import ServerUnavailable, TtpError
from ttp.observability.ui import letters
from ttp.observability.ui.guard import Guard
from ttp.observability.ui.monitor import Monitor

STATIC = Path(__file__).parent / "static"
MOST_LETTERS = 500
PATIENCE = 5.0  # seconds for a connection to the server
GRACE = 2  # seconds that requests get at the end


class Page:
    """The page and what it asks for.

    Args:
        open_connection: seconds → a connected `Connection`.
        app: show this app only; None: all.
        allow_actions: dead letters may be retried and dropped.
    """

    def __init__(
        self, monitor: Monitor, open_connection: Callable[[float], Connection], *, app: str | None, allow_actions: bool
    ) -> None:
        self._monitor = monitor
        self._open = open_connection
        self._app = app
        self._allow_actions = allow_actions
        self._ending = asyncio.Event()

    def asgi(self, token: str | None) -> Starlette:
        """The application, behind its guard."""
        return Starlette(
            routes=[
                Route("/", self._index),
                Route("/api/state", self._state),
                Route("/api/events", self._events),
                Route("/api/dead", self._letters),
                Route("/api/dead/{app}/{id}", self._letter),
                Route("/api/dead/{app}/{id}/{action}", self._act, methods=["POST"]),
                Mount("/static", StaticFiles(directory=STATIC)),
            ],
            middleware=[Middleware(Guard, token=token)],
            exception_handlers={letters.NoLetter: _missing, ServerUnavailable: _unavailable, TtpError: _conflict},
        )

    def end(self) -> None:
        """End the streams, so that the server can."""
        self._ending.set()

    async def _index(self, _: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def _state(self, _: Request) -> Response:
        return _json(self._shown())

    async def _events(self, _: Request) -> Response:
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[str]:
        """First the last minutes, then what is new; a browser that is slow misses some, one that leaves ends it."""
        loop, fresh = asyncio.get_running_loop(), asyncio.Event()
        forget = self._monitor.listen(lambda: _tell(loop, fresh.set))
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            yield f"retry: 1000\nevent: history\ndata: {json.dumps(self._monitor.history())}\n\n"
            while not self._ending.is_set():
                yield f"data: {json.dumps(self._shown())}\n\n"
                fresh.clear()
                waiting = asyncio.ensure_future(fresh.wait())
                await asyncio.wait([waiting, ending], return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
        finally:
            forget()
            ending.cancel()

    def _shown(self) -> dict[str, Any]:
        return {**self._monitor.state, "allow_actions": self._allow_actions, "app": self._app}

    def _letters(self, request: Request) -> Response:
        text = request.query_params.get("limit", "50")
        limit = min(int(text), MOST_LETTERS) if text.isascii() and text.isdigit() else 50
        with closing(self._open(PATIENCE)) as connection:
            queues = [keys for keys in find_queues(connection) if self._app in (None, keys.app)]
            return _json(letters.listed(connection, queues, limit))

    def _letter(self, request: Request) -> Response:
        with closing(self._open(PATIENCE)) as connection:
            return _json(letters.described(self._find(connection, request)))

    def _act(self, request: Request) -> Response:
        if not self._allow_actions:
            return _json({"error": "This page is read-only: start `ttp ui` with --allow-actions."}, 403)
        action = request.path_params["action"]
        if action not in ("retry", "drop"):
            return _json({"error": "There are retry and drop."}, 404)
        with closing(self._open(PATIENCE)) as connection:
            letter = self._find(connection, request)
            letter.retry() if action == "retry" else letter.drop()
        return _json({"done": action})

    def _find(self, connection: Connection, request: Request) -> DeadLetter:
        app = request.path_params["app"]
        if self._app not in (None, app):
            raise letters.NoLetter(f"this page shows app {self._app} only")
        return letters.find(connection, app, request.path_params["id"])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        TtpError: the address cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        why = error.strerror or str(error)
        raise TtpError(f"cannot listen on {host}:{port}: {why}; choose another with --host or --port") from None


def serve(page: Page, listener: socket.socket, token: str | None) -> None:
    """Serve until SIGINT or SIGTERM."""
    config = uvicorn.Config(page.asgi(token), log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE)
    _Server(page, config).run([listener])


class _Server(uvicorn.Server):
    def __init__(self, page: Page, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._page = page

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but a signal is a good end: it is not raised again."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._page.end()
        await super().shutdown(sockets)


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(what)


def _json(value: Any, status: int = 200) -> Response:
    # Escaped to ASCII: names and payloads may hold what is no valid UTF-8.
    return Response(json.dumps(value), status, media_type="application/json")


def _missing(_: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, 404)


def _conflict(_: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, 409)


def _unavailable(_: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, 503)
