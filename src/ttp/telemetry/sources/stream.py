"""Lines from standard input, or from TCP connections."""

import contextlib
import fcntl
import select
import socket
import threading
from collections.abc import Callable
from typing import BinaryIO

from ttp.errors import QueueFull, ServerUnavailable
from ttp.telemetry.sources.decoding import Origin
from ttp.telemetry.sources.intake import Intake
from ttp.telemetry.sources.lines import Format, Stream

CHUNK = 256 * 1024
MAX_CONNECTIONS = 256
POLL = 0.2  # seconds between two looks at `stopping`


class PipeReceiver:
    """Reads a binary file without random access, as standard input, to its end.

    It reads on while few frames wait for the server: a full queue stops the sender.
    """

    def __init__(self, file: BinaryIO, form: Format, device: str = "stdin") -> None:
        self._file = file
        self._form = form
        self._device = device

    def serve(self, intake: Intake) -> None:
        """Until the end, or `stopping` after the piece at hand."""
        stream = Stream(self._form, Origin(self._device), intake)
        read = getattr(self._file, "read1", self._file.read)
        _widen(self._file)
        ready = _readiness(self._file)
        while not intake.stopping.is_set():
            if not ready(POLL):
                continue  # a read would wait for as long as nobody writes
            if not (chunk := read(CHUNK)):
                break
            stream.feed(chunk, more=ready(0))
        stream.end()


class TcpReceiver:
    """Takes lines from TCP connections; one that has to wait for the server is not read from.

    Events that name no device belong to their sender's address.

    Attributes:
        port: the one it listens on.
    """

    def __init__(self, host: str, port: int, form: Format) -> None:
        """Listen. OSError if the address cannot be had; port 0 takes a free one."""
        self._form = form
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        self._listener.settimeout(POLL)
        self.port = int(self._listener.getsockname()[1])

    def serve(self, intake: Intake) -> None:
        """Until `stopping` is set."""
        slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        threads: list[threading.Thread] = []
        with self._listener:
            while not intake.stopping.is_set():
                if not slots.acquire(timeout=POLL):
                    continue  # further senders wait in the listener's queue
                try:
                    connection, address = self._listener.accept()
                except TimeoutError:
                    slots.release()
                    continue
                threads = [thread for thread in threads if thread.is_alive()]
                thread = threading.Thread(
                    target=self._read, args=(connection, address[0], intake, slots), name="ttp-tcp", daemon=True
                )
                threads.append(thread)
                thread.start()
        for thread in threads:
            thread.join()

    def _read(self, connection: socket.socket, device: str, intake: Intake, slots: threading.Semaphore) -> None:
        try:
            with connection:
                connection.settimeout(POLL)
                stream = Stream(self._form, Origin(device), intake)
                ready = _readiness(connection)
                while not intake.stopping.is_set():
                    try:
                        chunk = connection.recv(CHUNK)
                    except TimeoutError:
                        stream.push()
                        continue
                    except OSError:
                        stream.push()
                        raise
                    if not chunk:
                        break
                    stream.feed(chunk, more=ready(0))
                stream.end()
        except (OSError, QueueFull, ServerUnavailable):
            pass  # the sender went away, or the command ends: what was not accepted was not taken
        finally:
            slots.release()


def _readiness(file: BinaryIO | socket.socket) -> Callable[[float], bool]:
    """Tells whether a read finds something within these seconds, if only the end; so it is without a descriptor."""
    try:
        number = file.fileno()
    except OSError:
        return lambda _: True
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return lambda seconds: bool(poll.poll(seconds * 1000))


def _widen(file: BinaryIO) -> None:
    """Let a pipe hold as much as is read at once, where the system can: its two ends take turns less often."""
    with contextlib.suppress(AttributeError, OSError):
        fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, CHUNK)
