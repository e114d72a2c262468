"""A private server for whoever has set no URL: a real one, started when needed, ended with its last user.

Every user process holds the FIFO of the state directory open for writing. The server's parent, a shell in a
session of its own, reads it, and ends the server at end-of-file: when the last user has closed it, by
whatever death. Who joins writes a token into the FIFO; that the shell then makes the file of that name proves
that it is not about to end the server, since it reads on while the FIFO is open.

The shell and the server inherit a file lock from the process that started them. It is free again when both are
gone, so there is one server for a directory, whoever was killed when.
"""

import fcntl
import hashlib
import os
import secrets
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ttp.coordination.server_binary import ServerBinary, choose
from ttp.coordination.url import Target
from ttp.errors import ServerUnavailable

PATIENCE = 60.0  # seconds for a server to start (it may have much to load) or to end
ORPHANED = 2.0  # seconds after which a server that nobody would end is ended
PAUSE = 0.003
MAX_SOCKET_PATH = 100  # bytes; systems allow 103 to 107

_SHELL = r"""
exec 3<&0 </dev/null
(
    "$@" 3<&- &
    server=$!
    (
        while read -r token; do : >"$token"; done
        kill "$server"
    ) <&3 &
    reader=$!
    exec 3<&-
    wait "$server"
    kill "$reader" 2>/dev/null
) &
"""


@dataclass(frozen=True, slots=True)
class _Place:
    """The files of one state directory."""

    directory: Path
    socket: Path

    @property
    def fifo(self) -> Path:
        return self.directory / "users"

    @property
    def lock(self) -> Path:
        return self.directory / "lock"

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    @property
    def record(self) -> Path:
        return self.directory / "server"

    @property
    def data(self) -> Path:
        return self.directory / "data"


_guard = threading.Lock()
_held: dict[Path, int] = {}  # state directory → FIFO open for writing, for as long as this process lives


def _after_fork() -> None:
    # The child has the FIFO open too; only a lock that another thread held must not stay locked.
    global _guard  # noqa: PLW0603
    _guard = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def ensure(state_dir: str | os.PathLike[str] | None = None) -> Target:
    """Where the embedded server is; starts it if it does not run. It runs until its last user ends.

    Cheap once it runs: call it before every connect, and a server that died is started again.

    Args:
        state_dir: where data, socket and log are; None: $TTP_STATE_DIR, else ``ttp`` in the user's state directory.

    Raises:
        ServerUnavailable: TTP_EMBEDDED=0 forbids it, there is no server program, or it does not start.
    """
    if os.environ.get("TTP_EMBEDDED") == "0":
        raise ServerUnavailable(
            "no server: no URL is set, and TTP_EMBEDDED=0 forbids to start one. Set TTP_URL (redis://host:6379/0)"
        )
    try:
        place = _place(state_dir)
        with _guard:
            held = _held.get(place.directory)
            if held is None or not _answers(place.socket):
                _held[place.directory] = _join(place, announce=held is None)
                if held is not None:
                    os.close(held)
    except OSError as error:
        if isinstance(error, ServerUnavailable):
            raise
        raise ServerUnavailable(f"cannot use the state directory: {error}. TTP_STATE_DIR names another one") from error
    return Target.of_socket(place.socket)


def leave(state_dir: str | os.PathLike[str] | None = None) -> None:
    """Stop being a user of the embedded server, before this process ends."""
    with _guard:
        held = _held.pop(state_directory(state_dir), None)
    if held is not None:
        os.close(held)


def state_directory(state_dir: str | os.PathLike[str] | None = None) -> Path:
    """Where this user's state lies: as given, else $TTP_STATE_DIR, else ``ttp`` in the user's state directory."""
    chosen = state_dir or os.environ.get("TTP_STATE_DIR")
    if not chosen:
        chosen = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "ttp"
    return Path(chosen).expanduser().resolve()


def _place(state_dir: str | os.PathLike[str] | None) -> _Place:
    directory = _private(state_directory(state_dir))
    path = directory / "socket"
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        # Everybody who uses this directory must come to the same name, so nothing random.
        digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
        base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        if len(base) > MAX_SOCKET_PATH // 2:
            base = "/tmp"  # noqa: S108 - a directory of our own in it, owner and mode checked
        path = _private(Path(base) / f"ttp-{os.getuid()}-{digest}") / "socket"
    return _Place(directory, path)


def _private(directory: Path) -> Path:
    """The directory, made if need be; nobody else may look into it."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ServerUnavailable(f"{directory} is not a directory of this user. TTP_STATE_DIR names another one")
    if stat.S_IMODE(found.st_mode) & 0o077:
        directory.chmod(0o700)
    return directory


def _join(place: _Place, *, announce: bool) -> int:
    """Become a user of the running server, or start one. Returns the FIFO, open for writing."""
    begun = time.monotonic()
    deadline = begun + PATIENCE
    started = False
    while True:
        lock = os.open(place.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            writer = _greet(place, deadline)
        else:
            if started:
                raise ServerUnavailable(f"the embedded server ended at once; see {place.log}: {_last_line(place.log)}")
            writer = _start(place, lock)
            started = True
        finally:
            os.close(lock)  # a server that was started has its own copy
        if writer is not None:
            if _ready(place, deadline):
                if announce:
                    what = "started" if started else "joined"
                    print(f"ttp: {what} the embedded server in {place.directory} ({_recorded(place)})", file=sys.stderr)  # noqa: T201
                return writer
            os.close(writer)
        if time.monotonic() >= deadline:
            raise ServerUnavailable(f"the embedded server in {place.directory} neither serves nor ends")
        if time.monotonic() >= begun + ORPHANED and not _has_reader(place.fifo):
            _say(place.socket, b"SHUTDOWN\r\n")  # its shell was killed
        time.sleep(PAUSE)


def _greet(place: _Place, deadline: float) -> int | None:
    """Join the users of a server that runs; None if it is ending."""
    try:
        writer = os.open(place.fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # nobody reads it
        return None
    token = place.directory / f"joined.{secrets.token_hex(8)}"
    try:
        os.write(writer, f"{token.name}\n".encode())
        while _has_reader(place.fifo) and time.monotonic() < deadline:
            if token.exists():
                return writer
            time.sleep(PAUSE)
    except OSError:  # the reader went away, or does not come to reading
        pass
    finally:
        token.unlink(missing_ok=True)
    os.close(writer)
    return None


def _has_reader(fifo: Path) -> bool:
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def _start(place: _Place, lock: int) -> int:
    """Start shell and server, which inherit the lock. Returns the FIFO, open for writing."""
    binary = choose(_recorded(place), place.directory)
    place.record.write_text(f"{binary}\n")
    place.data.mkdir(mode=0o700, exist_ok=True)
    place.socket.unlink(missing_ok=True)
    for token in place.directory.glob("joined.*"):
        token.unlink(missing_ok=True)
    if not place.fifo.is_fifo():
        os.mkfifo(place.fifo, 0o600)
    # The shell inherits the reading end: if this process dies now, it reads end-of-file and ends the server.
    reader = os.open(place.fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(place.fifo, os.O_WRONLY)
    os.set_blocking(reader, True)
    kept = fcntl.fcntl(lock, fcntl.F_DUPFD_CLOEXEC, 10)  # out of the way of the numbers that the shell uses
    try:
        with place.log.open("wb") as log:
            subprocess.run(  # noqa: S603
                ["/bin/sh", "-c", _SHELL, "ttp-embedded", *_command(binary, place)],
                cwd=place.directory,
                stdin=reader,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(kept,),
                check=True,
            )
    finally:
        os.close(kept)
        os.close(reader)
    return writer


def _command(binary: ServerBinary, place: _Place) -> list[str]:
    settings = {
        "port": "0",
        "unixsocket": str(place.socket),
        "unixsocketperm": "700",
        "dir": str(place.data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-use-rdb-preamble": "no",  # so that other servers can read it
        "auto-aof-rewrite-min-size": "512mb",  # at full rate the default, 64 MB, has it fork more than once a second
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return [str(binary.path), *(word for name, value in settings.items() for word in (f"--{name}", value))]


def _ready(place: _Place, deadline: float) -> bool:
    """Wait until the server answers; False if it ended."""
    while not _answers(place.socket):
        if not _has_reader(place.fifo) or time.monotonic() >= deadline:
            return False
        time.sleep(PAUSE)
    return True


def _answers(path: Path) -> bool:
    """Whether a server serves behind the socket."""
    reply = _say(path, b"PING\r\n")
    return bool(reply) and not reply.startswith(b"-LOADING")


def _say(path: Path, command: bytes) -> bytes:
    """The first bytes of the reply; none if there is no server."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5.0)
        try:
            sock.connect(str(path))
            sock.sendall(command)
            return sock.recv(64)
        except OSError:
            return b""


def _recorded(place: _Place) -> str:
    return place.record.read_text().strip() if place.record.exists() else ""


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "(empty)"
