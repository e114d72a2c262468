"""What a producer promises: accepted means accepted, once, whatever the server and the process do."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import ttp
from queue_stats import queue_stats
from real_server import Server
from ttp import testing
from ttp.coordination.server_binary import ServerBinary


def test_what_is_emitted_leaves_by_itself(app: ttp.App) -> None:
    arrived = threading.Event()

    @app.task
    def note() -> None:
        arrived.set()

    with testing.worker(app):
        note.emit()
        assert arrived.wait(10)


def test_flush_means_accepted(app: ttp.App) -> None:
    task = app.remote("any")
    for n in range(50_000):
        task.emit(n, "payload")
    app.flush()
    numbers = queue_stats(app)
    assert (numbers.tasks, numbers.accepted) == (50_000, 50_000)
    assert numbers.frames < 5_000


def test_concurrent_submits_share_frames(app: ttp.App) -> None:
    task = app.remote("any")
    ready = threading.Barrier(16)

    def work() -> None:
        ready.wait()
        for n in range(200):
            task.submit(n)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = queue_stats(app)
    assert numbers.accepted == 3200
    assert numbers.frames < 3200


def test_no_server(tmp_path: os.PathLike[str]) -> None:
    with ttp.App("plant", f"unix://{tmp_path}/nothing", submit_timeout=1.0) as app:
        task = app.remote("any")
        with pytest.raises(ttp.ServerUnavailable, match=r"nothing.*not accepted"):
            task.submit(1)
        task.emit(1)
        with pytest.raises(ttp.ServerUnavailable):
            app.flush(0.2)
        with pytest.raises(ttp.ServerUnavailable):
            asyncio.run(task.asubmit(2))
        with pytest.raises(ttp.ServerUnavailable):
            app.handle("default.0.00000000000000aa.0").status()
        app.close(0.1)


def test_a_server_that_comes_late_gets_everything(binary: ServerBinary) -> None:
    server = Server(binary)
    try:
        with ttp.App("plant", server.url, submit_timeout=20.0) as app:
            task = app.remote("any")
            for n in range(1000):
                task.emit(n)
            answer: list[object] = []
            thread = threading.Thread(target=lambda: answer.append(task.submit(-1)))
            thread.start()
            server.start()
            thread.join(20)
            app.flush()
            assert answer
            assert queue_stats(app).accepted == 1001
    finally:
        server.remove()


def test_a_restart_doubles_and_loses_nothing(binary: ServerBinary) -> None:
    server = Server(binary, "--appendonly", "yes", "--appendfsync", "always")
    try:
        server.start()
        with ttp.App("plant", server.url, submit_timeout=30.0) as app:
            task = app.remote("any")
            done = threading.Event()

            def work() -> None:
                for n in range(100_000):
                    task.emit(n, "x" * 20)
                done.set()

            thread = threading.Thread(target=work)
            thread.start()
            for _ in range(3):
                server.stop(signal.SIGKILL)
                server.start()
            thread.join(60)
            assert done.is_set()
            app.flush(30)
            numbers = queue_stats(app)
            assert (numbers.accepted, numbers.tasks) == (100_000, 100_000)
    finally:
        server.remove()


def test_full_pool(server: Server) -> None:
    server.signal(signal.SIGSTOP)
    try:
        with ttp.App("plant", server.url, on_full="error") as app:
            task = app.remote("any")

            def fill() -> None:
                for n in range(1_000_000):
                    task.emit(n, "x" * 1000)

            with pytest.raises(ttp.QueueFull, match="128 frames"):
                fill()
            server.signal(signal.SIGCONT)
            app.flush(20)
            before = queue_stats(app).accepted
            task.emit(0)
            app.flush(20)
            assert queue_stats(app).accepted == before + 1
    finally:
        server.signal(signal.SIGCONT)


def test_a_deadline_that_passes_at_once_breaks_no_connection(server: Server) -> None:
    with ttp.App("plant", server.url, queue_limit=10_000) as app:
        task, link = app.remote("any"), app._producer._link
        task.emit(0)
        app.flush()
        connection = link.connection
        server.signal(signal.SIGSTOP)
        try:
            task.emit(1)
            with pytest.raises(ttp.ServerUnavailable, match="1 emitted tasks are not accepted yet"):
                app.flush(0.001)
            server.signal(signal.SIGCONT)
            app.flush(20)
            task.emit(2, "x" * 10_000)
            with pytest.raises(ttp.QueueFull):
                app.flush(0.2)
            server.signal(signal.SIGSTOP)
            with pytest.raises(ttp.QueueFull):
                app.flush(0.001)
            assert link.connection is connection
            deadline = time.monotonic() + 5
            while link.connection is connection and time.monotonic() < deadline:  # short ones add up
                with pytest.raises(ttp.TtpError):
                    app.flush(0.01)
            assert link.connection is not connection
        finally:
            server.signal(signal.SIGCONT)
        app._producer._queue_limits = app._producer._flight.limits = 1_000_000, 0
        app.flush(20)
        assert queue_stats(app).accepted == 3


def test_a_server_that_is_silent_until_a_deadline_is_given_up(server: Server) -> None:
    with ttp.App("plant", server.url) as app:
        task, link = app.remote("any"), app._producer._link
        task.emit(0)
        app.flush()
        connection = link.connection
        server.signal(signal.SIGSTOP)
        try:
            task.emit(1)
            with pytest.raises(ttp.ServerUnavailable, match="no reply within"):
                app.flush(0.2)
            assert link.connection is not connection
        finally:
            server.signal(signal.SIGCONT)
        app.flush(20)
        assert queue_stats(app).accepted == 2


def test_a_full_queue_answers_and_takes_again(app: ttp.App, monkeypatch: pytest.MonkeyPatch) -> None:
    @app.task
    def eat(data: bytes) -> None: ...

    producer = app._producer
    producer._queue_limits = producer._flight.limits = 100_000, 0
    monkeypatch.setattr(producer, "submit_timeout", 2.0)
    accepted = 0

    def fill() -> None:
        nonlocal accepted
        while True:
            eat.submit(b"x" * 20_000)
            accepted += 1

    with pytest.raises(ttp.QueueFull, match="limit of 100,000 bytes") as full:
        fill()
    assert accepted == 4
    assert queue_stats(app).accepted == 4
    doubtful = "may still be accepted" in str(full.value)  # it was on the wire just then
    ttp.WorkerPool(app).run(burst=True)
    monkeypatch.setattr(producer, "submit_timeout", 5.0)
    handle = eat.submit(b"x")
    testing.drain(app)
    assert handle.result(20) is None
    assert queue_stats(app).done == 5 + doubtful


def test_a_fork_starts_a_producer_of_its_own(app: ttp.App) -> None:
    task = app.remote("any")
    task.submit(1)
    for n in range(100):
        task.emit(n)  # some of these are still open when the child is born: they are the parent's
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            task.submit(2)
            task.emit(3)
            app.flush()
            code = 0
        finally:
            os._exit(code)
    app.flush()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert queue_stats(app).accepted == 103


def test_what_a_process_sends_that_a_handler_forked_does_not_wait_for_its_task(app: ttp.App) -> None:
    ran: list[str] = []

    @app.task
    def mark(who: str) -> None:
        ran.append(who)

    @app.task(retry=ttp.RetryPolicy(max_attempts=1))
    def parent() -> None:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                mark.submit("submitted")
                mark.emit("emitted")
                app.flush()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        mark.emit("with the parent")
        raise ValueError("which fails")

    parent.submit()
    testing.drain(app)
    assert sorted(ran) == ["emitted", "submitted"]


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1, 1e17])
def test_a_delay_that_is_none_is_refused_before_anything_is_sent(app: ttp.App, seconds: float) -> None:
    task = app.remote("any")
    with pytest.raises(ValueError, match="delay must be 0 to"):
        task.options(delay=seconds)
    task.submit(1)
    assert queue_stats(app).accepted == 1


def test_what_is_left_is_sent_at_exit(server: Server) -> None:
    program = """
        import ttp
        app = ttp.App("plant")
        task = app.remote("any")
        for n in range(10_000):
            task.emit(n)
    """
    environment = os.environ | {"TTP_URL": server.url, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env=environment, check=True)
    with ttp.App("plant", server.url) as app:
        assert queue_stats(app).accepted == 10_000


def test_what_is_left_is_sent_at_exit_though_nothing_was_connected_before(server: Server) -> None:
    program = """
        import ttp
        from ttp.producer.flusher import Flusher
        Flusher._run = lambda flusher: None  # it does not get its turn any more
        app = ttp.App("plant")
        app.remote("any").emit(1)
    """
    environment = os.environ | {"TTP_URL": server.url, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env=environment, check=True)
    with ttp.App("plant", server.url) as app:
        assert queue_stats(app).accepted == 1


def test_a_url_that_is_none_is_told_at_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="it must begin redis://"):
        ttp.App("plant", "localhost:6379")
    monkeypatch.setenv("TTP_URL", "localhost:6379")
    app = ttp.App("plant")
    with pytest.raises(ttp.ServerRefused, match=r"\$TTP_URL: .* it must begin redis://"):
        app.remote("any").submit(1)
    app.close()
    assert not any(record.exc_info for record in caplog.records)


def test_close_says_what_was_not_accepted(tmp_path: os.PathLike[str], caplog: pytest.LogCaptureFixture) -> None:
    app = ttp.App("plant", f"unix://{tmp_path}/nothing")
    app.remote("any").emit(1)
    with caplog.at_level(logging.ERROR):
        app.close(timeout=0.1)
    assert "1 tasks not accepted" in caplog.text


def test_in_an_event_loop_a_full_pool_does_not_block(server: Server) -> None:
    server.signal(signal.SIGSTOP)

    async def fill(own: ttp.App) -> None:
        task = own.remote("any")
        for n in range(1_000_000):
            task.emit(n, "x" * 1000)

    try:
        with ttp.App("plant", server.url, submit_timeout=60.0) as own:
            begun = time.monotonic()
            with pytest.raises(ttp.QueueFull):
                asyncio.run(fill(own))
            assert time.monotonic() - begun < 30
            server.signal(signal.SIGCONT)
    finally:
        server.signal(signal.SIGCONT)
