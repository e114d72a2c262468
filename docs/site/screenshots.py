"""`make screenshots`: the status page of a fleet at work, as docs/images/status-page-*.png.

A private server, `ttp simulate`, two workers of the app below, `ttp ui`, and a real Chromium that looks at it.
"""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import ttp
from ttp.coordination import inspection
from ttp.telemetry.handlers.store import store_task
from ttp.telemetry.sinks.sqlite import SqliteSink

HERE = Path(__file__).resolve()
IMAGES = HERE.parents[1] / "images"
SECONDS = 60  # of history in the charts
LOOKS = {"light": (1160, 1300, False), "dark": (1160, 1300, True), "phone": (390, 1394, True)}

app = ttp.App("plant", retry=ttp.RetryPolicy(max_attempts=2, base_delay=2.0))
if database := os.environ.get("TELEMETRY_DB"):  # in a worker
    store_task(app, SqliteSink(database))


@app.task(name="calibrate", queue="models", breaker=ttp.CircuitBreaker("historian"))
def calibrate(sensor: str, reading: dict[str, object]) -> None:
    """Refuse what the sensor cannot have seen."""
    if reading["quality"] == "suspect":
        raise ttp.Reject(f"{sensor}: {reading['celsius']} °C is beyond the sensor's range")


@app.task(name="locate", queue="models", breaker=ttp.CircuitBreaker("maps", min_calls=1))
def locate(sensor: str) -> None:
    """Call a service that is down."""
    raise ConnectionError(f"maps does not answer about {sensor}")


def models(turn: int) -> None:
    """What comes beside the events of the fleet, once a second."""
    for n in range(60):
        calibrate.emit(f"pump-{n}", {"celsius": 71.5, "quality": "good"})
    if turn % 15 == 5:
        calibrate.emit(f"pump-{turn}", {"celsius": 181.5, "at": "2026-11-03T08:15:00Z", "quality": "suspect"})
    if turn > SECONDS - 12 and turn % 3 == 0:
        locate.emit(f"pump-{turn}")


def _accepted(queue: str) -> int:
    """Tasks that it has taken so far."""
    connection = app.open_connection(5)
    try:
        return inspection.stats_reply(connection.call_many(inspection.stats(app.keys(queue)))).accepted
    finally:
        connection.close()


def main() -> None:
    """Start all, wait for the charts to fill, take the pictures."""
    sys.path.insert(0, str(HERE.parents[2] / "tests"))
    from http_worker import free_port  # noqa: PLC0415
    from real_browser import NO_BROWSER, PROGRAM, Browser  # noqa: PLC0415
    from real_server import BINARIES, Server  # noqa: PLC0415
    from status_page import StatusPage  # noqa: PLC0415

    if PROGRAM is None:
        raise SystemExit(NO_BROWSER)
    with tempfile.TemporaryDirectory(prefix="ttp-screenshots-") as directory, ExitStack() as stack:
        port = free_port()
        server = Server(BINARIES[0], "--bind", "127.0.0.1", "--port", str(port))  # its address is in the pictures
        stack.callback(server.remove)
        server.start()
        os.environ["TTP_URL"] = f"redis://localhost:{port}"
        os.environ["TELEMETRY_DB"] = f"{directory}/events.sqlite"
        stack.enter_context(app)
        ttp_command = [sys.executable, "-m", "ttp"]
        for command in (
            ["worker", "screenshots:app", "--queues", "default,models"],
            ["worker", "screenshots:app", "--queues", "default,models"],
            ["simulate", "--app", "plant", "--devices", "200", "--rate", "2000"],
        ):
            process = subprocess.Popen([*ttp_command, *command], cwd=HERE.parent)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        models(0)
        app.flush()
        while not all(_accepted(queue) for queue in ("default", "models")):  # a page finds queues twice a minute
            time.sleep(0.1)
        page = stack.enter_context(StatusPage(str(app.server), "--allow-actions"))
        stack.callback(page.stop)
        for turn in range(SECONDS):
            models(turn)
            time.sleep(1)
        browser = Browser()
        stack.callback(browser.close)
        for name, (width, height, dark) in LOOKS.items():
            browser.look(width, height, dark=dark)
            browser.open(page.url)
            browser.wait("document.querySelectorAll('#run-chart .line').length >= 2")
            browser.wait("document.querySelectorAll('#letters li').length > 0")
            if name == "light":
                browser.click("#letters summary")
                browser.wait("!!document.querySelector('.letter .retry')")
            browser.run("scrollTo(0, 0)")
            browser.picture(IMAGES / f"status-page-{name}.png", height if name == "phone" else None)


if __name__ == "__main__":
    main()
