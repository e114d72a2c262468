"""The server goes back, as in a failover: what it had accepted is sent again while the producer lives."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import ttp
from ttp.chaos.proxy import Proxy
from ttp.chaos.server import Server
from ttp.coordination import inspection
from ttp.coordination.server_binary import ServerBinary
from ttp.native import FrameView

TASKS = 3000


def poll(condition: Callable[[], bool]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never comes about"
        time.sleep(0.01)


class Pair:
    """A primary behind a proxy, and the replica that takes its place."""

    def __init__(self, binary: ServerBinary, directory: Path) -> None:
        self.primary, self.replica = (Server(binary, directory / name) for name in ("primary", "replica"))
        self.primary.start()
        self.replica.start()
        self.proxy = Proxy(self.primary.port)
        self.url = f"redis://127.0.0.1:{self.proxy.port}/0"
        self.orders = self.replica.connect()
        self.orders.call("REPLICAOF", "127.0.0.1", self.primary.port)

    def part(self, app: ttp.App) -> None:
        """The replica gets all there is, and nothing more."""
        look = self.primary.connect()
        keys = app.keys("default")
        want = look.call_many(inspection.stats(keys))
        poll(lambda: self.orders.call_many(inspection.stats(keys)) == want)
        self.orders.call("REPLICAOF", "NO", "ONE")
        look.close()

    def fail_over(self) -> None:
        """The replica is where the URL leads now; all connections break."""
        self.proxy.reroute(self.replica.port, black_hole=False)

    def numbers(self, app: ttp.App) -> list[int]:
        """First arguments of the tasks that are ready on the replica, in order."""
        entries = self.orders.call("XRANGE", app.keys("default").stream(1), "-", "+")
        frames = [FrameView(fields[fields.index(b"f") + 1]) for _, fields in entries]
        return [frame.arguments(row)[0][0] for frame in frames for row in range(len(frame))]

    def close(self) -> None:
        self.proxy.close()
        self.primary.kill()
        self.replica.kill()


@pytest.fixture
def pair(binary: ServerBinary, tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(binary, tmp_path)
    yield pair
    pair.close()


@contextmanager
def app_of(pair: Pair, tmp_path: Path, kind: str) -> Iterator[ttp.App]:
    options = {"plain": {}, "named": {"producer": "p"}, "stored": {"on_full": "store", "store": tmp_path / "store"}}
    app = ttp.App("plant", pair.url, **options[kind])  # type: ignore[arg-type]
    yield app
    app.close(1.0)


@pytest.mark.parametrize("kind", ["plain", "named", "stored"])
def test_an_idle_producer_notices(pair: Pair, tmp_path: Path, kind: str) -> None:
    with app_of(pair, tmp_path, kind) as app:
        note = app.remote("note")
        for n in range(1000):
            note.emit(n)
        app.flush(60)
        pair.part(app)
        for n in range(1000, TASKS):
            note.emit(n)
        app.flush(60)
        pair.fail_over()
        poll(lambda: app.sending.resent == TASKS - 1000)
        assert pair.numbers(app) == list(range(TASKS))
        assert (app.sending.accepted, app.sending.lost) == (TASKS, 0)
        if kind == "named":
            assert app.position(note) == TASKS


def test_what_is_emitted_meanwhile_comes_after(pair: Pair, tmp_path: Path) -> None:
    with app_of(pair, tmp_path, "plain") as app:
        note = app.remote("note")
        note.emit(0)
        app.flush(60)
        pair.part(app)
        note.emit(1)
        app.flush(60)
        pair.fail_over()
        note.emit(2)
        app.flush(60)
        assert pair.numbers(app) == [0, 1, 2]


def test_above_the_limit_the_rest_is_sent_again_and_the_loss_is_told(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    app = ttp.App("plant", pair.url, resend_limit=20_000)
    note = app.remote("note")
    note.emit(0, "")
    app.flush(60)
    pair.part(app)
    for n in range(1, 5):
        note.emit(n, "x" * 9000)
        app.flush(60)
    pair.fail_over()
    poll(lambda: app.sending.resent == 2)
    assert pair.numbers(app) == [0, 3, 4]
    assert app.sending.lost == 2
    assert "has lost 2 accepted tasks" in caplog.text
    app.close(1.0)
