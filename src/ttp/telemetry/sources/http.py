"""Events by HTTP: `POST /telemetry` in JSON, `/write` and `/api/v2/write` in Influx line protocol.

A full queue is answered with 429, a server that is away with 503, both with Retry-After.
"""

import gzip
import io
import threading
import zlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ttp.errors import QueueFull, ServerUnavailable, TtpError
from ttp.telemetry.event import Record
from ttp.telemetry.sources.decoding import Origin, parse_json, record_of
from ttp.telemetry.sources.intake import Intake, Malformed
from ttp.telemetry.sources.line_protocol import LineProtocol
from ttp.telemetry.sources.lines import JSON_LINES, read_lines

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

MAX_BODY = 4 * 1024 * 1024  # bytes, unpacked
PATIENCE = 5.0  # seconds that a request waits for the server
RETRY_AFTER = "1"  # seconds
POLL = 0.2  # seconds between two looks at `stopping`
LINES = ("application/x-ndjson", "application/jsonl", "application/json-lines")

Routes = Callable[[Intake], "list[Route]"]
Answer = Callable[[bytes, "Request"], "Response"]


class HttpReceiver:
    """Serves routes until the intake stops.

    Attributes:
        port: the one it listens on.
    """

    def __init__(self, host: str, port: int, *routes: Routes) -> None:
        """Listen. TtpError without Starlette and uvicorn, OSError if the address cannot be had."""
        try:
            import starlette  # noqa: F401, PLC0415 - an extra
            import uvicorn  # noqa: F401, PLC0415
        except ImportError:
            raise TtpError("HTTP needs Starlette and uvicorn: pip install 'ttp[http]'") from None
        import socket  # noqa: PLC0415

        self._routes = routes
        self._listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1024
        )
        self.port = int(self._listener.getsockname()[1])

    def serve(self, intake: Intake) -> None:
        """Until `stopping` is set."""
        import uvicorn  # noqa: PLC0415
        from starlette.applications import Starlette  # noqa: PLC0415

        app = Starlette(routes=[route for routes in self._routes for route in routes(intake)])
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        # In a thread of its own: in the main thread it would take the signals.
        thread = threading.Thread(target=server.run, args=([self._listener],), name="ttp-http")
        thread.start()
        while thread.is_alive() and not intake.stopping.wait(POLL):
            pass
        server.should_exit = True
        thread.join()
        self._listener.close()


def telemetry_routes(intake: Intake) -> "list[Route]":
    """`POST /telemetry`: one event, an array of events, or JSON Lines; an event has to name its device."""
    from starlette.responses import JSONResponse  # noqa: PLC0415

    origin = Origin("")

    def answer(body: bytes, request: "Request") -> "Response":
        if not body.strip():
            return JSONResponse({"error": "Empty request body"}, 400)
        refused: list[str] = []
        accepted = _take(body, request.headers.get("content-type", ""), origin, intake, refused)
        said: dict[str, Any] = {"ok": not refused, "accepted": accepted, "refused": len(refused)}
        if refused:
            return JSONResponse({**said, "error": refused[0]}, 400)
        return JSONResponse({**said, "message": "Telemetry received"})

    return [_post("/telemetry", answer)]


def influx_routes(intake: Intake) -> "list[Route]":
    """What clients of InfluxDB 1 and 2 write to. Good lines of a body are taken, whatever the others are."""
    from starlette.responses import JSONResponse, Response  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    origin = Origin("")

    def answer(body: bytes, request: "Request") -> Response:
        try:
            form = LineProtocol(request.query_params.get("precision", "ns"))
        except ValueError as error:
            return JSONResponse({"code": "invalid", "message": str(error), "error": str(error)}, 400)
        refused: list[str] = []
        intake.send(read_lines(body, form, origin, _Noting(intake, refused)), patience=PATIENCE)
        if refused:
            text = f"partial write: {refused[0]} dropped={len(refused)}"
            return JSONResponse({"code": "invalid", "message": text, "error": text}, 400)
        return Response(status_code=204)

    async def ping(_: "Request") -> Response:
        return Response(status_code=204, headers={"X-Influxdb-Version": "ttp"})

    return [_post("/write", answer), _post("/api/v2/write", answer), Route("/ping", ping, methods=["GET", "HEAD"])]


def health_routes(_: Intake) -> "list[Route]":
    """`GET /health`."""
    from starlette.responses import JSONResponse  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    async def health(_: "Request") -> JSONResponse:
        return JSONResponse({"status": "ok"})

    return [Route("/health", health)]


class _Noting:
    """An intake that notes, beside, why this request's lines were refused."""

    def __init__(self, intake: Intake, refused: list[str]) -> None:
        self._intake = intake
        self._refused = refused

    def refuse(self, error: Malformed, raw: bytes) -> None:
        self._refused.append(f"{error.reason}: {error}")
        self._intake.refuse(error, raw)


def _take(body: bytes, kind: str, origin: Origin, intake: Intake, refused: list[str]) -> int:
    """Have the events in a body accepted, and count them; why the others are none goes into `refused`."""
    noting = _Noting(intake, refused)
    if not kind.startswith(LINES):
        try:
            value = parse_json(body)
        except Malformed as error:
            if error.reason != "not_json" or b"\n" not in body.strip():
                noting.refuse(error, body)
                return 0
        else:
            records: list[Record] = []
            for item in value if isinstance(value, list) else [value]:
                try:
                    records.append(record_of(item, origin))
                except Malformed as error:
                    noting.refuse(error, repr(item).encode("utf-8", "backslashreplace"))
            return intake.take(records, patience=PATIENCE)
    return intake.send(read_lines(body, JSON_LINES, origin, noting), patience=PATIENCE)


def _post(path: str, answer: Answer) -> "Route":
    """A route whose body is read within its limits; unpacked and answered in a thread, where that may take long."""
    from starlette.concurrency import run_in_threadpool  # noqa: PLC0415
    from starlette.responses import JSONResponse  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    too_long = JSONResponse({"error": f"more than {MAX_BODY:,} bytes"}, 413)

    def answered(body: bytes, request: "Request") -> "Response":
        busy = {"Retry-After": RETRY_AFTER}
        try:
            body = _unpacked(body, request.headers.get("content-encoding", "identity"))
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        if len(body) > MAX_BODY:
            return too_long
        try:
            return answer(body, request)
        except QueueFull as error:
            return JSONResponse({"error": str(error)}, 429, busy)
        except ServerUnavailable:
            return JSONResponse({"error": "no answer from the server"}, 503, busy)

    async def endpoint(request: "Request") -> "Response":
        body = await _read(request)
        return too_long if body is None else await run_in_threadpool(answered, body, request)

    handler: Callable[[Request], Awaitable[Response]] = endpoint
    return Route(path, handler, methods=["POST"])


async def _read(request: "Request") -> bytes | None:
    """The body, or None if it is too long."""
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_BODY:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def _unpacked(body: bytes, encoding: str) -> bytes:
    """The body itself, or a byte more of it than it may have. ValueError if there is none."""
    if encoding in {"", "identity"}:
        return body
    if encoding != "gzip":
        raise ValueError(f"content encoding {encoding!r} is not supported; gzip is")
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(body)).read(MAX_BODY + 1)
    except EOFError:
        raise ValueError("gzip is cut off") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"not gzip: {error}") from None
