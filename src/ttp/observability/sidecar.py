"""Starts the process that serves health and metrics beside a worker pool."""

import importlib.util
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ttp.app import App
from ttp.worker.scoreboard import Layout, Scoreboard

BACKLOG = 64  # clients that wait to be accepted


def listen(address: str) -> socket.socket:
    """A listening socket at HOST:PORT, or at PORT of the loopback.

    Raises:
        ValueError: the address is wrong, or not to be had.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or int(port) > 65_535:
        raise ValueError(f"--http takes HOST:PORT or PORT, not {address!r}")
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ValueError(f"--http: {host!r} is no address of this machine ({error.strerror})") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ValueError(f"--http: cannot listen on {host} port {port}: {error.strerror}; pick another port") from None
    return listener


@contextmanager
def exporter(app: App, address: str, *, queues: Sequence[str] | None, processes: int) -> Iterator[Scoreboard]:
    """Serve a pool's health and metrics while it runs; yields where its processes are to count.

    Raises:
        ValueError: bad or busy address, or prometheus-client is not installed.
    """
    if importlib.util.find_spec("prometheus_client") is None:
        raise ValueError("--http needs prometheus-client: install ttp with its extra [metrics]")
    handlers = app.handlers.values()
    layout = Layout.of(handlers, processes)
    with listen(address) as listener, tempfile.TemporaryFile(prefix="ttp-scoreboard-") as memory:
        memory.truncate(layout.size)
        settings = {
            "app": app.name,
            "url": app.url,
            "queues": list(queues or sorted({handler.queue for handler in handlers})),
            "layout": layout.to_json(),
            "scoreboard": memory.fileno(),
            "listener": listener.fileno(),
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
