"""What the processes of `ttp chaos overload` are: `python -m ttp.chaos.overload_process DIRECTORY ROLE …`.

Role `worker`: does at most 2,000 tasks a second until the overload is over. Role `producer POLICY SECONDS`: offers ten
times as many, then waits until all are accepted, and says what became of them.
"""

import contextlib
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ttp.app import App
from ttp.chaos.ledgers import ExecutionLedger
from ttp.chaos.memory import peak, resident
from ttp.errors import QueueFull, ServerUnavailable
from ttp.worker.pool import WorkerPool

QUEUE_LIMIT = 4 << 20  # bytes
STORE_LIMIT = 16 << 20  # bytes
RESEND_LIMIT = 4 << 20  # bytes
WORK = 0.0005  # seconds a task takes while the overload lasts
OFFERED = 20_000  # tasks a second
PAYLOAD = bytes(500)
OVER = "over"  # a file of this name: the overload is over
PATIENCE = 90.0  # seconds
WAITS = {"block": PATIENCE, "error": 0.01, "drop_oldest": 0.01, "store": 0.01}  # seconds, in `emit`


def work_off(directory: Path) -> None:
    """Serve until SIGTERM."""
    app, executed, over = App("chaos"), ExecutionLedger(directory), directory / OVER

    @app.task(name="work")
    def work(n: int, _payload: bytes) -> None:
        executed.write(n)
        if not over.exists():
            time.sleep(WORK)

    (directory / "worker").write_text(json.dumps({"resident": resident()}))
    WorkerPool(app, queues=["default"]).run()
    app.close()


def overload(directory: Path, policy: Any, seconds: float) -> None:
    """Offer tasks for so many seconds, then wait until none is left here."""
    store = directory / "store" if policy == "store" else None
    app = App(
        "chaos",
        on_full=policy,
        queue_limit=QUEUE_LIMIT,
        submit_timeout=WAITS[policy],
        store=store,
        store_limit=STORE_LIMIT,
        resend_limit=RESEND_LIMIT,
    )
    work = app.remote("work")
    work.emit(0, PAYLOAD)
    app.flush(PATIENCE)  # everything is loaded
    begun, before = time.monotonic(), resident()
    taken, offered, refused = 1, 1, 0
    while (elapsed := time.monotonic() - begun) < seconds:
        if offered >= elapsed * OFFERED:
            time.sleep(0.001)
            continue
        offered += 1
        try:
            work.emit(taken, PAYLOAD)
            taken += 1
        except QueueFull:
            refused += 1
    (directory / OVER).touch()
    deadline = time.monotonic() + PATIENCE
    while not _empty(app) and time.monotonic() < deadline:
        with contextlib.suppress(QueueFull, ServerUnavailable):
            app.flush(1.0)
    said = {"offered": offered, "taken": taken, "refused": refused, "elapsed": elapsed}
    memory = {"resident": before, "peak": peak()}
    (directory / "sent").write_text(json.dumps(said | memory | asdict(app.sending)))
    app.close()


def _empty(app: App) -> bool:
    """All that was emitted is accepted or dropped."""
    return app.sending.accepted + app.sending.dropped >= app.sending.submitted and (
        app.sending.forwarded == app.sending.stored
    )


if __name__ == "__main__":
    if sys.argv[2] == "worker":
        work_off(Path(sys.argv[1]))
    else:
        overload(Path(sys.argv[1]), sys.argv[3], float(sys.argv[4]))
