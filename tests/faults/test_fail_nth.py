"""Every send and every receive of one submit-commit cycle fails once: nothing is lost, doubled or leaked."""

import socket
import threading
from dataclasses import dataclass
from typing import Any, Literal

import pytest

import ttp
from real_server import BINARIES, Server, running
from ttp import testing
from ttp.coordination import inspection
from ttp.coordination.connection import Connection

Kind = Literal["send", "receive"]
TASKS = 3


@dataclass
class Fault:
    """The nth operation of a kind fails, whichever connection it is on."""

    kind: Kind
    nth: int
    happened: bool = False

    def hits(self, kind: Kind) -> bool:
        if kind == self.kind:
            self.nth -= 1
            self.happened |= self.nth == 0
        return kind == self.kind and self.nth == 0


class FailingSocket:
    """A socket that is cut by the fault: half of what is sent arrives, nothing of what is received."""

    def __init__(self, real: socket.socket, fault: Fault) -> None:
        self._real = real
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def sendall(self, data: bytes) -> None:
        if self._fault.hits("send"):
            self._real.sendall(data[: len(data) // 2])
            self._cut()
        self._real.sendall(data)

    def recv_into(self, buffer: Any, *arguments: int) -> int:
        if self._fault.hits("receive"):
            self._real.recv(1 << 20)  # what has arrived is lost
            self._cut()
        return self._real.recv_into(buffer, *arguments)

    def _cut(self) -> None:
        self._real.shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError("cut by the test")


def cycle(server: Server, name: str, fault: Fault) -> None:
    """Submit, run, retry once, commit with children, and read the results."""
    threads = set(threading.enumerate())
    with ttp.App(name, server.url) as app:

        @app.task(name="child")
        def child(_number: int) -> None: ...

        @app.task(name="parent", retry=ttp.RetryPolicy(max_attempts=2, base_delay=0.001))
        def parent(number: int) -> int:
            child.emit(number)
            if number == 0 and ttp.current_task().attempt == 1:
                raise ValueError("once more")
            return number * number

        handles = [parent.submit(number) for number in range(TASKS)]
        testing.drain(app)
        assert [handle.result(10) for handle in handles] == [0, 1, 4], fault
        pool = app._producer._pool
        assert pool.available == pool.capacity, fault
    fault.nth = -1  # what looks now is not to fail
    connection = server.connect()
    try:
        found = inspection.stats_reply(connection.call_many(inspection.stats(app.keys("default"))))
        held = connection.call("XPENDING", app.keys("default").held, "g")
    finally:
        connection.close()
    assert (found.accepted, found.done, found.retried, found.dead) == (2 * TASKS, 2 * TASKS, 1, 0), fault
    assert (found.tasks, found.bytes, found.waiting, found.frames, held[0]) == (0, 0, 0, 0, 0), fault
    assert set(threading.enumerate()) <= threads, fault


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["send", "receive"])
def test_each_fails_once(monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    fault = Fault(kind, -1)
    make = Connection._make

    def failing(self: Connection) -> Any:
        raw = make(self)
        connect = raw._connect
        raw._connect = lambda: FailingSocket(connect(), fault)
        return raw

    with running(BINARIES[0]) as server:
        monkeypatch.setattr(Connection, "_make", failing)
        for nth in range(1, 1000):
            fault.nth, fault.happened = nth, False
            cycle(server, f"plant{nth}", fault)
            if not fault.happened:  # the cycle has no more of them
                break
        assert nth > 10
