"""The task that makes dead letters of what was no event, so that one can look at it."""

from ttp.app import App
from ttp.errors import Reject
from ttp.producer import LocalTask

MALFORMED = "telemetry.malformed"


def malformed_task(app: App, *, queue: str = "default") -> LocalTask[[str, str, str], None]:
    """Register the task `telemetry.malformed`, called with reason, detail and the escaped text of a line."""

    @app.task(name=MALFORMED, queue=queue)
    def malformed(reason: str, detail: str, text: str) -> None:  # noqa: ARG001 - stays in the dead letter's arguments
        raise Reject(f"{reason}: {detail}")

    return malformed
