"""Starts the process that serves health and metrics beside a worker pool."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from ttp.app import App
from ttp.observability.listener import listen
from ttp.observability.logs import LogFormat
from ttp.worker.scoreboard import Layout, Scoreboard


@contextmanager
def exporter(
    app: App, address: str, *, queues: Sequence[str] | None, processes: int, log_format: LogFormat = "console"
) -> Iterator[Scoreboard]:
    """Serve a pool's health and metrics while it runs; yields where its processes are to count.

    Raises:
        ValueError: bad or busy address, or prometheus-client is not installed.
    """
    handlers = app.handlers.values()
    layout = Layout.of(handlers, processes)
    with listen(address) as listener, _shared_memory() as memory:
        memory.truncate(layout.size)
        settings = {
            "app": app.name,
            "url": app.url,
            "queues": list(queues or sorted({handler.queue for handler in handlers})),
            "layout": layout.to_json(),
            "scoreboard": memory.fileno(),
            "listener": listener.fileno(),
            "log_format": log_format,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "ttp.observability.exporter"],
            stdin=subprocess.PIPE,
            pass_fds=(memory.fileno(), listener.fileno()),
            start_new_session=True,  # a Ctrl-C is the pool's
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(settings).encode() + b"\n")
        process.stdin.flush()
        try:
            yield Scoreboard(layout, memory.fileno())
        finally:
            process.stdin.close()  # its sign to end
            process.wait()


def _shared_memory() -> BinaryIO:
    """A file to be mapped. On Linux no file system holds it: that of a container may be read-only."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("ttp-scoreboard"), "w+b")
    return tempfile.TemporaryFile(prefix="ttp-scoreboard-")
