"""on_full="store" on real servers: what is emitted while there is none is executed once, in order, whoever dies."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import ttp
from queue_stats import queue_stats
from real_server import Server
from ttp import testing
from ttp.coordination.server_binary import ServerBinary
from ttp.native import FrameView

EVENTS = 60_000
TEN_MINUTES = 6_000_000  # events, at 10,000 a second; here at full speed

PRODUCER = """
    import os, signal, sys
    import ttp
    app = ttp.App("plant", on_full="store", store=sys.argv[1])
    tasks = [app.remote("note", queue=queue) for queue in ("left", "right")]
    for n in range(int(sys.argv[2]), int(sys.argv[3])):
        tasks[n % 2].emit(n)
    try:
        app.flush(float(sys.argv[4]))
    except ttp.ServerUnavailable:
        pass
    print(app.sending.stored, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def server(binary: ServerBinary) -> Iterator[Server]:
    """One that does not run yet."""
    server = Server(binary)
    yield server
    server.remove()


def queued(app: ttp.App, queue: str = "default") -> list[int]:
    """First arguments of all tasks that are ready, in the order in which workers get them."""
    connection = app.open_connection(5.0)
    try:
        entries = connection.call("XRANGE", app.keys(queue).stream(1), "-", "+")
    finally:
        connection.close()
    frames = [FrameView(dict(zip(fields[::2], fields[1::2], strict=True))[b"f"]) for _, fields in entries]
    return [frame.arguments(row)[0][0] for frame in frames for row in range(len(frame))]


def produce(server: Server, folder: Path, start: int, stop: int, patience: float) -> int:
    """A process that emits these numbers, and is killed; how many it stored."""
    environment = os.environ | {"TTP_URL": server.url, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", textwrap.dedent(PRODUCER), *map(str, (folder, start, stop, patience))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return int(done.stdout)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("events", [EVENTS, pytest.param(TEN_MINUTES, marks=pytest.mark.slow)])
def test_what_a_killed_producer_has_stored_is_executed_once_and_in_order(
    server: Server, tmp_path: Path, events: int, request: pytest.FixtureRequest
) -> None:
    """Two processes emit without a server and are killed; a third sends on; a fourth has nothing left to send."""
    if events == TEN_MINUTES and "slow" not in str(request.config.getoption("markexpr")):
        pytest.skip("six million events: run it with -m slow")
    half = events // 2
    assert produce(server, tmp_path / "store", 0, half, 0.01) == half
    assert produce(server, tmp_path / "store", half, events, 0.01) == events - half
    server.start()
    produce(server, tmp_path / "store", events, events + 10, 300.0)
    ran: list[int] = []
    with ttp.App("plant", server.url, on_full="store", store=tmp_path / "store") as app:
        app.flush(300)
        assert app.sending.accepted == 0
        assert queued(app, "left") == list(range(0, events + 10, 2))
        assert queued(app, "right") == list(range(1, events + 10, 2))
        app.task(name="note")(ran.append)
        testing.drain(app, queues=["left", "right"])
    assert sorted(ran) == list(range(events + 10))
    assert not list(tmp_path.glob("store/*/*.journal"))


def test_a_server_that_goes_and_comes(server: Server, tmp_path: Path) -> None:
    """One process: its frames on the wire, in the pool and behind are all there once, in order."""
    server._settings = ("--appendonly", "yes", "--appendfsync", "always")
    server.start()
    ran: list[int] = []
    with ttp.App("plant", server.url, on_full="store", store=tmp_path / "store") as app:
        note = app.task(name="note")(ran.append)
        for n in range(40_000):
            if n % 10_000 == 5_000:
                server.stop(signal.SIGKILL)
            if n % 10_000 == 9_000:
                server.start()
            note.emit(n)
        app.flush(60)
        assert app.sending.stored > 0
        assert app.sending.accepted == 40_000
        assert queued(app) == list(range(40_000))
        testing.drain(app)
    assert sorted(ran) == list(range(40_000))


def test_a_full_queue_fills_the_store_and_then_the_pool(server: Server, tmp_path: Path) -> None:
    server.start()
    url, folder = server.url, tmp_path / "store"
    with ttp.App(
        "plant", url, on_full="store", store=folder, store_limit=4 << 20, queue_limit=100_000, submit_timeout=0.05
    ) as app:
        note = app.remote("note")
        emitted = 0

        def fill() -> None:
            nonlocal emitted
            while True:
                note.emit(emitted, "x" * 1000)
                emitted += 1

        with pytest.raises(ttp.QueueFull, match="at its limit of 4,194,304 bytes"):
            fill()
        counts = app.sending
        assert counts.refused_store == 1
        assert counts.stored > 3000
        with pytest.raises(ttp.QueueFull):
            app.flush(0.1)
        ran: list[int] = []

        def run(n: int, _: str) -> None:
            ran.append(n)

        app.task(name="note")(run)
        with testing.worker(app):
            app.flush(60)
        testing.drain(app)
        # Where all stalls for longer than the worker's grace, it ends before it has committed: a frame runs again.
        assert set(ran) == set(range(emitted))
        assert queue_stats(app).done == emitted
        assert app.sending.forwarded == app.sending.stored


def test_delays_count_from_the_call(server: Server, tmp_path: Path) -> None:
    with ttp.App("plant", server.url, on_full="store", store=tmp_path / "store") as app:
        app.remote("note").options(delay=3600.0).emit(1)
        with pytest.raises(ttp.ServerUnavailable):
            app.flush(0.05)
        app.clock.offset += 3000.0
        server.start()
        app.flush(60)
        numbers = queue_stats(app)
        assert (numbers.tasks, numbers.delayed_frames) == (0, 1)
        connection = app.open_connection(5.0)
        ((_, due),) = connection.call("ZRANGE", app.keys("default").delayed, 0, 0, "WITHSCORES")
        connection.close()
        assert due / 1000 - app.clock.time() == pytest.approx(600, abs=60)


def test_submit_is_not_stored(server: Server, tmp_path: Path) -> None:
    with ttp.App("plant", server.url, on_full="store", store=tmp_path / "store", submit_timeout=0.05) as app:
        with pytest.raises(ttp.ServerUnavailable, match="not accepted"):
            app.remote("note").submit(1)
        server.start()
        app.flush(60)
        assert queue_stats(app).accepted == 0
        assert app.sending.refused_server == 1


def test_closing_keeps_what_is_left(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = ttp.App("plant", server.url, on_full="store", store=tmp_path / "store")
    app.remote("note").emit(1)
    app.close(0.05)
    assert "1 tasks wait in the store" in caplog.text
    server.start()
    with ttp.App("plant", server.url, on_full="store", store=tmp_path / "store") as later:
        later.flush(60)
        assert queue_stats(later).accepted == 1


def test_a_folder_in_use_is_refused_at_the_first_call(server: Server, tmp_path: Path) -> None:
    first = ttp.App("plant", server.url, on_full="store", store=tmp_path / "store")
    second = ttp.App("plant", server.url, on_full="store", store=tmp_path / "store")
    server.start()
    first.remote("note").emit(1)
    with pytest.raises(ttp.StoreUnavailable, match="in use by process"):
        second.remote("note").emit(2)
    first.flush(60)
    first.close()
    second.flush(60)
    assert queue_stats(second).accepted == 2
    second.close()


@pytest.mark.parametrize("options", [{"store_limit": 1000}, {"store_fsync": "sometimes"}])
def test_options_that_cannot_be(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="store_"):
        ttp.App("plant", on_full="store", **options)  # type: ignore[arg-type]
