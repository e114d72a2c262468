"""The REST interface of a TelemetryHub gateway, before a simulated device."""

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from ttp.telemetry.device import HubDevice
from ttp.telemetry.sources.http import Routes
from ttp.telemetry.sources.intake import Intake

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route


def gateway_routes(device: HubDevice, *, clock: Callable[[], float] = monotonic) -> Routes:
    """`/status`, `/start`, `/stop`, `/reset` and `/metrics` with the names and codes of the gateway's own code.

    Of `/metrics`, what there is no such thing of here is 0: a queue between device and server, a thread pool.
    """
    began = clock()

    def routes(intake: Intake) -> "list[Route]":
        from starlette.responses import JSONResponse  # noqa: PLC0415 - an extra
        from starlette.routing import Route  # noqa: PLC0415

        def status() -> JSONResponse:
            latest = device.latest
            sample = latest and {"seq": latest.sequence, "value": latest.value, "unit": latest.unit}
            counts = {"samples_processed": intake.accepted, "samples_dropped": device.errors}
            pool = {"pool_jobs_processed": 0, "pool_jobs_queued": 0, "pool_num_threads": 0}
            return JSONResponse({"state": device.state, "latest_sample": sample, "metrics": {**counts, **pool}})

        def start() -> JSONResponse:
            device.start()
            return JSONResponse({"ok": True})

        def stop() -> JSONResponse:
            device.stop()
            return JSONResponse({"ok": True})

        def reset() -> JSONResponse:
            if device.state == "Measuring":
                return JSONResponse({"error": "Cannot reset while measuring. Stop gateway first."}, 400)
            if not device.reset():
                return JSONResponse({"ok": False, "message": "Device not in SafeState/Error"}, 400)
            return JSONResponse({"ok": True, "message": "Device reset to Idle"})

        def metrics() -> JSONResponse:
            numbers: dict[str, Any] = {
                "samples_processed": intake.accepted,
                "samples_dropped": device.errors,
                "queue_depth": 0,
                "latency_p99_ms": 0.0,
                "uptime_seconds": int(clock() - began),
                "thread_pool": {"jobs_processed": 0, "jobs_queued": 0, "avg_processing_ms": 0.0, "num_threads": 0},
            }
            return JSONResponse(numbers)

        def route(path: str, answer: "Callable[[], JSONResponse]", method: str) -> Route:
            async def endpoint(_: "Request") -> "JSONResponse":
                return answer()

            return Route(path, endpoint, methods=[method])

        return [
            route("/status", status, "GET"),
            route("/metrics", metrics, "GET"),
            route("/start", start, "POST"),
            route("/stop", stop, "POST"),
            route("/reset", reset, "POST"),
        ]

    return routes
