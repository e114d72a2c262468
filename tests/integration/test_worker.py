"""How a worker begins, works, suffers and ends."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import ttp
from queue_stats import queue_stats
from real_server import Server
from ttp import testing
from ttp.coordination import commands
from ttp.native import encode_frame, encode_row


def pool_of(app: ttp.App, **options: float) -> ttp.WorkerPool:
    """A pool that does not end the test's process."""
    pool = ttp.WorkerPool(app, **options)  # type: ignore[arg-type]
    pool.exit_on_overdue = False
    return pool


def test_stop_gives_back_what_has_not_begun(app: ttp.App) -> None:
    started, go_on = threading.Event(), threading.Event()
    ran: list[int] = []

    @app.task
    def slow(n: int) -> None:
        started.set()
        go_on.wait()
        ran.append(n)

    slow.submit_many([(n,) for n in range(1000)])
    pool = pool_of(app)
    thread = threading.Thread(target=pool.run)
    thread.start()
    assert started.wait(10)
    pool.stop()
    go_on.set()
    thread.join(20)
    assert not thread.is_alive()
    assert 1 <= len(ran) < 1000
    assert queue_stats(app).tasks == 1000 - len(ran)
    testing.drain(app)
    assert sorted(ran) == list(range(1000))
    assert queue_stats(app).done == 1000


@pytest.mark.parametrize("kind", ["coroutines", "threads"])
def test_what_a_busy_worker_cannot_begin_goes_to_another(app: ttp.App, kind: str) -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()

    def hold() -> None:
        begun.release()
        go_on.wait()

    async def hold_async() -> None:
        begun.release()
        await asyncio.to_thread(go_on.wait)

    async def free_async() -> None:
        go_on.set()

    def free() -> None:
        go_on.set()

    tasks = (hold_async, free_async) if kind == "coroutines" else (hold, free)
    held, freeing = (app.task(name=name)(function) for name, function in zip(("held", "freeing"), tasks, strict=True))
    with testing.worker(app, threads=2, concurrency=2):
        handles = [held.submit() for _ in range(2)]
        for _ in range(2):
            assert begun.acquire(timeout=60)  # the worker is full
        handles.append(freeing.submit())
        with testing.worker(app, threads=2, concurrency=2):
            for handle in handles:
                handle.result(60)


def test_grace_over_the_running_task_and_what_waits_behind_it_go_back_too(
    app: ttp.App, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ttp.worker.watchdog.SLOW", 3600.0)  # else what waits has gone back before grace is over
    started, go_on = threading.Event(), threading.Event()
    attempts: list[int] = []

    @app.task
    def stuck() -> str:
        attempts.append(ttp.current_task().attempt)
        started.set()
        go_on.wait()
        return "done"

    @app.task(priority="low")  # read with the other, and run after it
    def behind() -> str:
        return "done too"

    waiting, handle = behind.submit(), stuck.submit()
    over = threading.Event()
    pool = pool_of(app, grace=0.05)
    pool._overdue = over.set  # type: ignore[method-assign]
    thread = threading.Thread(target=pool.run)
    thread.start()
    assert started.wait(10)
    pool.stop()
    assert over.wait(10)
    assert queue_stats(app).tasks == 2
    connection = server.connect()
    left = connection.call("XPENDING", app.keys("default").stream(2), "g")[0]
    connection.close()
    go_on.set()
    thread.join(20)
    assert left == 0
    testing.drain(app)
    assert (handle.result(20), waiting.result(5)) == ("done", "done too")
    assert attempts == [1, 1]
    assert queue_stats(app).done == 2


@pytest.mark.parametrize("slow", [0, 50], ids=["first", "middle"])
def test_what_waits_behind_a_slow_task_is_shared(app: ttp.App, server: Server, slow: int) -> None:
    others = threading.Event()
    ran: list[int] = []

    @app.task(retry=ttp.RetryPolicy(max_attempts=1))
    def uneven(n: int) -> int:
        if n == slow:
            assert others.wait(60)
        ran.append(n)
        if len(ran) == 99:
            others.set()
        return n

    handles = uneven.submit_many([(n,) for n in range(100)])
    # One task waits for all others: they can only run if the other worker gets the rest of its frame, and the frames
    # behind it (the first task is often sent in a frame of its own).
    with testing.worker(app), testing.worker(app):
        assert [h.result(70) for h in handles] == list(range(100))
    assert sorted(ran) == list(range(100))
    assert ran[-1] == slow


def test_results_and_children_of_a_running_frame_are_committed_before_it_ends(app: ttp.App) -> None:
    go_on = threading.Event()

    @app.task
    def parent(n: int) -> int:
        child.emit(n)
        if n == 2:
            go_on.wait(20)
        return n

    @app.task(queue="others")
    def child(n: int) -> None: ...

    handles = parent.submit_many([(n,) for n in range(3)])
    with testing.worker(app, queues=["default"]):
        assert handles[1].result(10) == 1
        assert handles[2].status() == "queued"
        go_on.set()
        assert handles[2].result(10) == 2
    assert queue_stats(app, "others").tasks == 3


def test_large_results_are_committed_as_they_come(app: ttp.App) -> None:
    @app.task
    def large(n: int) -> bytes:
        return bytes([n % 256]) * 100_000

    handles = large.submit_many([(n,) for n in range(60)])
    testing.drain(app)
    assert all(h.result(10) == bytes([n]) * 100_000 for n, h in enumerate(handles))


def test_a_corrupt_frame_is_buried_and_the_worker_goes_on(app: ttp.App) -> None:
    @app.task
    def add(a: int, b: int) -> int:
        return a + b

    sound = encode_frame([encode_row([1, 2])], name=add.name, queue="default", fid=7, producer=bytes(12))
    keys = app.keys("default")
    connection = app.open_connection(5.0)
    connection.ensure_queue(keys)
    previous = None
    for fid, frame in enumerate([sound[:40], sound[:-1], sound[:70] + b"\xff" + sound[71:], b"x"], 100):
        say = commands.submit(
            keys, priority=1, chain="c", prev=previous, fid=fid, due_ms=None, tasks=1, limit=1 << 30, frame=frame
        )
        assert commands.submit_reply(connection.call(*say))[0] == "OK"
        previous = fid
    connection.close()
    handle = add.submit(3, 4)
    testing.drain(app)
    assert handle.result(20) == 7
    letters = list(app.dead_letters())
    assert len(letters) == 4
    assert all("CorruptFrame" in letter.reason and "sha256" in letter.reason for letter in letters)
    with pytest.raises(ttp.TtpError, match="cannot be read"):
        letters[0].retry()
    for letter in letters:
        letter.drop()
    assert list(app.dead_letters()) == []
    assert queue_stats(app).tasks == 0


def test_an_undecodable_task_dies_alone(app: ttp.App) -> None:
    @app.task
    def echo(x: object) -> object:
        return x

    rows = [encode_row([1]), b"\x91\xc1", encode_row([3])]
    frame = encode_frame(rows, name=echo.name, queue="default", fid=99, producer=bytes(12), flags=1)
    keys = app.keys("default")
    connection = app.open_connection(5.0)
    connection.ensure_queue(keys)
    say = commands.submit(
        keys, priority=1, chain="c", prev=None, fid=99, due_ms=None, tasks=3, limit=1 << 30, frame=frame,
        results_ttl_ms=60_000,
    )  # fmt: skip
    connection.call(*say)
    connection.close()
    testing.drain(app)
    assert app.handle("default.0.0000000000000063.2").result(20) == 3
    with pytest.raises(ttp.TaskFailed, match="CorruptFrame"):
        app.handle("default.0.0000000000000063.1").result(20)


def test_an_unencodable_result_is_a_failure(app: ttp.App) -> None:
    calls: list[int] = []

    @app.task
    def odd() -> object:
        calls.append(1)
        return object()

    handle = odd.submit()
    testing.drain(app)
    with pytest.raises(ttp.TaskFailed, match="SerializationError"):
        handle.result(20)
    assert calls == [1]


def test_it_reconnects_and_loses_nothing(app: ttp.App, server: Server) -> None:
    @app.task
    def double(n: int) -> int:
        return 2 * n

    with testing.worker(app):
        assert double.submit(1).result(10) == 2
        killer = server.connect()
        for _ in range(5):
            killer.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            handles = double.submit_many([(n,) for n in range(500)])
            killer.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert [h.result(20) for h in handles] == [2 * n for n in range(500)]
        killer.close()
    numbers = queue_stats(app)
    assert (numbers.done, numbers.tasks) == (2501, 0)


SCRIPT = """
    import os, signal, sys, ttp
    app = ttp.App("plant")

    @app.task
    def poison(n: int) -> int:
        if n == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        return n

    @app.task
    def endless() -> None:
        print("running", flush=True)
        while True:
            pass

    @app.task
    def pid() -> int:
        return os.getpid()

    def main(**options):
        ttp.WorkerPool(app, **options).run()
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A module with tasks that do harm."""
    (tmp_path / "harm.py").write_text(textwrap.dedent(SCRIPT))
    return tmp_path


def spawn(script: Path, server: Server, options: str) -> subprocess.Popen[str]:
    """A worker process."""
    return subprocess.Popen(
        [sys.executable, "-c", f"import harm; harm.main({options})"],
        cwd=script,
        env=os.environ | {"TTP_URL": server.url, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_poison_is_found_and_its_neighbours_finish(app: ttp.App, server: Server, script: Path) -> None:
    handles = app.remote("poison").submit_many([(n,) for n in range(40)])
    worker = spawn(script, server, "processes=2, lease=0.1")
    try:
        assert [h.result(90) for n, h in enumerate(handles) if n != 13] == [n for n in range(40) if n != 13]
        with pytest.raises(ttp.ResultTimeout):
            handles[13].result(0.01)
        letters: list[ttp.DeadLetter] = []
        waiting = threading.Event()
        while not letters:
            letters = list(app.dead_letters())
            waiting.wait(0.05)
        assert [letter.args for letter in letters] == [(13,)]
        assert letters[0].reason == "WorkerLost: 3 workers died while it ran"
    finally:
        worker.terminate()
        assert worker.wait(30) == 0
        assert worker.stdout is not None
        worker.stdout.close()


def test_signals(app: ttp.App, server: Server, script: Path) -> None:
    app.remote("endless").submit()
    worker = spawn(script, server, "grace=0.2")
    assert worker.stdout is not None
    with worker.stdout:
        assert worker.stdout.readline() == "running\n"
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    assert queue_stats(app).tasks == 1
    worker = spawn(script, server, "grace=100")
    assert worker.stdout is not None
    with worker.stdout:
        assert worker.stdout.readline() == "running\n"
        worker.send_signal(signal.SIGINT)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) in (128 + signal.SIGINT, 128 + signal.SIGTERM)


def test_processes_are_replaced_and_follow_their_supervisor(app: ttp.App, server: Server, script: Path) -> None:
    worker = spawn(script, server, "processes=2")
    task = app.remote("pid")
    seen: set[int] = set()
    while len(seen) < 2:
        seen.add(task.submit().result(20))
    os.kill(victim := min(seen), signal.SIGKILL)
    while len(seen - {victim}) < 2:
        seen.add(task.submit().result(20))
    worker.kill()
    worker.wait(10)
    connection = app.open_connection(5.0)
    waiting = threading.Event()
    while any(
        name.endswith(tuple("0123456789abcdef")) and str(pid) in name for pid in seen for name in names(connection)
    ):
        waiting.wait(0.05)  # until the server has seen the orphans go
    connection.close()
    assert worker.stdout is not None
    worker.stdout.close()


def names(connection: object) -> frozenset[str]:
    """Who is connected."""
    return commands.client_names_reply(connection.call(*commands.client_names())) or frozenset()  # type: ignore[attr-defined]
