"""One connection: commands out, replies in. The only module that touches redis-py's connection.

Nothing is ever resent here: a fault closes the connection and raises `ServerUnavailable`, and whoever owns
the connection reconnects and sends again what was not answered. The scripts make that safe.

An error that concerns one command only is a *value* (`ReplyError`) in `read` and `call_many`, since the
replies behind it still come; `call` raises it.
"""

import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ttp.coordination import faults, preflight
from ttp.coordination.backoff import Backoff as Backoff
from ttp.coordination.commands import Command
from ttp.coordination.keys import GROUP, Keys
from ttp.coordination.replies import ReplyError as ReplyError
from ttp.coordination.replies import checked, maxmemory_policy, pairs, text
from ttp.coordination.scripts import SCRIPTS
from ttp.coordination.traffic import Traffic
from ttp.coordination.url import Target as Target
from ttp.errors import ServerRefused, ServerUnavailable
from ttp.policy import Clock

SOCKET_TIMEOUT = 10  # seconds without a byte of a reply that is due, or with a full socket while sending
READ_SIZE = 65_536  # bytes that one system call reads at most
JOINED = 32_768  # bytes of commands that go in one system call; joining more would cost more than it saves

_UNFINISHED = object()


class Connection:
    """One socket to a server. Not thread-safe: callers lock.

    Args:
        target: where the server is.
        name: what CLIENT LIST shows; no spaces.
        connect_timeout: seconds for one attempt to connect, handshake included.
        clock: what the server's time is compared with.

    Attributes:
        client_id: the server's number for this connection.
        offset_us: microseconds to add to this machine's wall clock to get the server's, once connected.
        server: its name and version, as in "valkey 9.1.2", once connected.
        traffic: where it counts.
    """

    def __init__(
        self, target: Target, *, name: str | None = None, connect_timeout: float = 5.0, clock: Clock | None = None
    ) -> None:
        self.target = target
        self.name = name
        self.client_id = 0
        self.offset_us = 0
        self.server = ""
        self.traffic = Traffic()
        self._connect_timeout = connect_timeout
        self._clock = clock or Clock()
        self._pack: Callable[[Command], bytes]
        self._raw: Any = None  # redis-py's connection; its types are partial
        self._sock: Any = None  # the same one's
        self._reader: Any = None
        self._push: type = type(None)
        self._buffer = bytearray()
        self._poller = select.poll()
        self._early: deque[Any] = deque()  # replies read before their turn
        self._awaited = 0  # replies still to come from the socket
        self._queues: set[Keys] = set()

    # connecting

    def connect(self) -> None:
        """Connect: one attempt, handshake, settings, scripts, clock.

        Raises:
            ServerUnavailable: no server there, or none that is ready; it may be worth trying again.
            ServerRefused: the server will not serve as it is set up.
        """
        self.close()
        raw = self._make()
        try:
            raw.connect()
        except Exception as error:
            raw.disconnect()
            raise faults.in_words(error, self.target) from None
        self._raw = raw
        self._take_over(raw)
        deadline = time.monotonic() + self._connect_timeout
        try:
            self._greet(raw.handshake_metadata or {}, deadline)
        except BaseException:
            self.close()
            raise

    def _make(self) -> Any:
        from redis.connection import Connection as TcpConnection  # noqa: PLC0415 - 120 ms and 20 MB: not before needed
        from redis.connection import SSLConnection, UnixDomainSocketConnection  # noqa: PLC0415

        target = self.target
        settings: dict[str, Any] = {
            "db": target.db,
            "username": target.username or None,
            "password": target.password or None,
            "client_name": self.name,
            "protocol": 3,
            "socket_connect_timeout": self._connect_timeout,
            "socket_timeout": self._connect_timeout,
            "driver_info": None,
            "maint_notifications_config": None,
            "health_check_interval": 0,
            "socket_read_size": 4096,
            "retry": None,
        }
        if target.path:
            unix: Any = UnixDomainSocketConnection
            return unix(path=target.path, **settings)
        kind: Any = SSLConnection if target.tls else TcpConnection
        return kind(host=target.host, port=target.port, **settings, **dict(target.tls_files))

    def _take_over(self, raw: Any) -> None:
        """From here on redis-py is not asked: what it does around each system call takes longer than that."""
        import hiredis  # noqa: PLC0415 - with redis-py, not before needed

        self._pack = hiredis.pack_command  # type: ignore[assignment] # its stub takes tuples of one argument
        self._push = hiredis.PushNotification
        self._reader = hiredis.Reader(replyError=raw._parser.parse_error, notEnoughData=_UNFINISHED)  # noqa: SLF001
        self._buffer = bytearray(READ_SIZE)
        self._sock = raw._get_socket()  # noqa: SLF001 - redis-py offers no other way
        self._poller = select.poll()
        self._poller.register(self._sock, select.POLLIN)
        if self.target.tls or sys.platform == "win32":
            self._sock.settimeout(SOCKET_TIMEOUT)
        else:  # by the system: Python's own time-out is a system call more each time
            self._sock.settimeout(None)
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                self._sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", SOCKET_TIMEOUT, 0))

    def _greet(self, hello: dict[Any, Any], deadline: float) -> None:
        about = {text(key): value for key, value in hello.items()}
        if text(about.get("role", "master")) != "master":
            raise ServerUnavailable(f"{self.target} is a read-only replica; give the URL of its primary")
        self.client_id = int(about.get("id", 0))
        self.server = f"{text(about.get('server', 'redis'))} {text(about.get('version', '?'))}"
        load: list[Command] = [("SCRIPT", "LOAD", script.text) for script in SCRIPTS]
        say: list[Command] = [
            ("INFO", "memory"),
            ("CONFIG", "GET", "maxmemory-policy"),
            ("COMMAND", "INFO", "XAUTOCLAIM"),
        ]
        memory, config, claims, *shas = self._ask([*say, *load], deadline)
        policy = maxmemory_policy(memory, config)
        if policy not in (None, "noeviction"):
            raise ServerRefused(
                f"{self.target} has maxmemory-policy {policy}: under memory pressure it would delete tasks."
                " Set it to noeviction."
            )
        if isinstance(claims, list) and claims[:1] == [None]:
            raise ServerRefused(f"{self.target} is {self.server}: too old, it must be Redis 6.2 or later, or Valkey")
        for script, sha in zip(SCRIPTS, shas, strict=True):
            if isinstance(sha, ReplyError):
                raise ServerRefused(f"{self.target} does not take the script {script.name}: {sha}")
            if text(sha) != script.sha:
                raise ServerRefused(f"{self.target} garbles what it is sent (script {script.name})")
        before = self._clock.time()
        (now,) = self._ask([("TIME",)], deadline)
        after = self._clock.time()
        seconds, micros = map(int, checked(now))
        local = (before + after) / 2 - self._clock.offset
        self.offset_us = seconds * 1_000_000 + micros - round(local * 1_000_000)

    def ensure_queue(self, keys: Keys, role: preflight.Role = "worker") -> None:
        """Make the queue's groups, and see that a role's commands are permitted: once for each queue and connection.

        Replies that are outstanding stay so.

        Raises:
            ServerRefused: a permission is missing, or a key belongs to something else.
        """
        if keys in self._queues:
            return
        deadline = time.monotonic() + SOCKET_TIMEOUT
        kinds: list[Command] = [("TYPE", key) for key, _ in preflight.types(keys)]
        preflight.check_types(keys, self._ask(kinds, deadline))
        streams = (*keys.streams, keys.held)
        # Asked first, since a server without memory makes none, and yet must let workers in.
        found = self._ask([("XINFO", "GROUPS", stream) for stream in streams], deadline)
        missing = [stream for stream, groups in zip(streams, found, strict=True) if not _has_group(groups)]
        make: list[Command] = [("XGROUP", "CREATE", stream, GROUP, "0", "MKSTREAM") for stream in missing]
        for stream, made in zip(missing, self._ask(make, deadline), strict=True):
            if isinstance(made, ReplyError) and made.code != "BUSYGROUP":
                kind = ServerUnavailable if made.code == "OOM" else ServerRefused
                raise kind(f"queue {keys.queue!r}: cannot make {stream}: {made}")
        probes = preflight.probes(keys, role)
        preflight.check(keys, probes, self._ask(probes, deadline))
        self._queues.add(keys)

    # talking

    def send(self, commands: Sequence[Command]) -> None:
        """Send commands in one go; each gets one reply."""
        send = self._connected().sendall
        try:
            packed = list(map(self._pack, commands))
            if len(packed) > 1 and sum(map(len, packed)) < JOINED:
                packed = [b"".join(packed)]
            for data in packed:
                send(data)
        except BlockingIOError:  # said by the system when the socket's time is up
            raise self._closed_by(TimeoutError(f"it takes nothing more for {SOCKET_TIMEOUT} s")) from None
        except Exception as error:
            raise self._closed_by(error) from None
        self._awaited += len(commands)
        self.traffic.requests += 1

    def read(self, timeout: float | None = None) -> Any:
        """The next reply. After timeout seconds (None: 10) without one the connection is closed.

        Returns:
            The reply; a command's own error is a `ReplyError`, not raised.

        Raises:
            ServerUnavailable: and the connection is closed.
        """
        return self._early.popleft() if self._early else self._receive(timeout)

    def _receive(self, timeout: float | None) -> Any:
        self._connected()
        if not self._awaited:
            raise RuntimeError("no command awaits a reply")
        try:
            reply = self._next()
            if reply is _UNFINISHED and timeout is not None and not self._arrived(timeout):
                raise TimeoutError(f"no reply within {timeout:.2g} s")
            while reply is _UNFINISHED:
                self._fill()
                reply = self._next()
        except Exception as error:
            reply = self._judge(error)
        except BaseException:  # in the midst of a reply, perhaps
            self.close()
            raise
        if isinstance(reply, Exception):
            reply = self._judge(reply)
        self._awaited -= 1
        return reply

    def _next(self) -> Any:
        """The next reply that has come; `_UNFINISHED` where none is whole."""
        reply = self._reader.gets()
        while type(reply) is self._push:  # asked for by nobody
            reply = self._reader.gets()
        return reply

    def _fill(self) -> None:
        """Take what the socket has; wait until it has something."""
        try:
            size = self._sock.recv_into(self._buffer)
        except BlockingIOError:  # likewise
            raise TimeoutError(f"no reply within {SOCKET_TIMEOUT} s") from None
        if not size:
            raise ConnectionError("the server closed the connection")
        self._reader.feed(self._buffer, 0, size)

    def _ask(self, commands: Sequence[Command], deadline: float) -> list[Any]:
        """Send and read, putting aside the replies that were outstanding before."""
        asked = time.monotonic()
        self.send(commands)
        while self._awaited > len(commands):
            self._early.append(self._receive(deadline - time.monotonic()))
        replies = [self._receive(max(0.0, deadline - time.monotonic())) for _ in commands]
        self.traffic.waited(asked)
        return replies

    def call(self, *command: str | bytes | int | memoryview, timeout: float | None = None) -> Any:
        """Send one command and return its reply; a `ReplyError` is raised. Outstanding replies stay so."""
        return checked(self.call_many([command], timeout=timeout)[0])

    def call_many(self, commands: Sequence[Command], timeout: float | None = None) -> list[Any]:
        """Send commands and return their replies, `ReplyError`s among them. Outstanding replies stay so."""
        return self._ask(commands, time.monotonic() + (SOCKET_TIMEOUT if timeout is None else timeout))

    def readable(self, timeout: float = 0.0) -> bool:
        """Whether `read` has something to say within timeout seconds: a reply, or that the server hung up."""
        return bool(self._early) or self._arrived(timeout)

    def _arrived(self, timeout: float) -> bool:
        sock = self._connected()
        if self._reader.has_data() or (self.target.tls and sock.pending()):
            return True
        return bool(self._poller.poll(max(0.0, timeout) * 1000))

    def wait(self, timeout: float | None, wake_fd: int | None = None) -> bool:
        """Wait until something can be read, or wake_fd is readable (which stays so), or timeout seconds are over.

        Returns:
            Whether something can be read from the connection.
        """
        if self.readable(0.0):
            return True
        poller = select.poll()
        poller.register(self.fileno(), select.POLLIN)
        if wake_fd is not None:
            poller.register(wake_fd, select.POLLIN)
        poller.poll(None if timeout is None else max(0.0, timeout) * 1000)
        return self.readable(0.0)

    # publish and subscribe

    def subscribe(self, channel: str) -> None:
        """Listen to a channel; from now on the connection is for `read_message` only."""
        self.send([("SUBSCRIBE", channel)])
        self._awaited -= 1  # what comes is a push, not a reply
        deadline = time.monotonic() + SOCKET_TIMEOUT
        while (push := self._pushed(deadline - time.monotonic())) is None or push[0] != b"subscribe":
            if time.monotonic() >= deadline:
                raise self._closed_by(TimeoutError("no answer to SUBSCRIBE"))

    def read_message(self, timeout: float) -> bytes | None:
        """The next message; None if there is none within timeout seconds."""
        push = self._pushed(timeout)
        return bytes(push[2]) if push is not None and push[0] == b"message" else None

    def _pushed(self, timeout: float) -> list[Any] | None:
        if not self._arrived(timeout):
            return None
        try:
            while (push := self._reader.gets()) is _UNFINISHED:
                self._fill()
        except Exception as error:
            raise checked(self._judge(error)) from None
        if isinstance(push, Exception):
            raise checked(self._judge(push))
        return list(push)

    # state

    @property
    def connected(self) -> bool:
        """Whether the connection is open, as far as is known."""
        return self._raw is not None

    @property
    def unanswered(self) -> int:
        """Replies not read yet."""
        return self._awaited + len(self._early)

    def fileno(self) -> int:
        """The socket's file descriptor."""
        return int(self._connected().fileno())

    def close(self) -> None:
        """Close the socket. What was not answered is unknown."""
        raw, self._raw = self._raw, None
        self._sock = self._reader = None
        self._early.clear()
        self._awaited = 0
        self._queues.clear()
        if raw is not None:
            raw.disconnect()

    # faults

    def _connected(self) -> Any:
        if self._sock is None:
            raise ServerUnavailable(f"not connected to {self.target}")
        return self._sock

    def _judge(self, error: Exception) -> ReplyError:
        """The command's own error; anything worse closes the connection and is raised."""
        if faults.concerns_one_command(error):
            return ReplyError(faults.full_text(error))
        raise self._closed_by(error) from None

    def _closed_by(self, error: Exception) -> ServerUnavailable:
        self.close()
        return faults.in_words(error, self.target)


def _has_group(groups: Any) -> bool:
    return isinstance(groups, list) and any(pairs(group)[b"name"] == GROUP.encode() for group in groups)
