"""A worker that is stopped while its server is away ends, rather than wait for a server that may never come."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import ttp
from real_server import Server
from ttp.worker.wire import Wire


def test_a_stopped_worker_ends_without_a_server(server: Server) -> None:
    with ttp.App("plant", server.url) as app:

        @app.task
        def work() -> None: ...

        pool = ttp.WorkerPool(app)
        thread = threading.Thread(target=pool.run, daemon=True)
        thread.start()
        assert pool.ready.wait(10)
        look = server.connect()
        deadline = time.monotonic() + 10
        while b"cmd=xreadgroup" not in look.call("CLIENT", "LIST"):
            assert time.monotonic() < deadline, "it never reads"
        server.signal(signal.SIGSTOP)  # the read stays on the wire
        pool.stop()
        server.stop(signal.SIGKILL)
        look.close()
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_stopped_worker_waits_no_longer_than_its_grace_for_a_server_to_commit_to(
    server: Server, threads: int
) -> None:
    gone = threading.Event()
    with ttp.App("plant", server.url) as app:

        @app.task
        def last() -> None:
            server.stop(signal.SIGKILL)  # what came of this cannot be committed
            gone.set()

        last.submit()
        pool = ttp.WorkerPool(app, threads=threads, grace=0.5)
        pool.exit_on_overdue = False
        thread = threading.Thread(target=pool.run, daemon=True)
        thread.start()
        assert gone.wait(20)
        pool.stop()
        thread.join(20)
        assert not thread.is_alive()


ENDLESS = """
import os, signal, sys, threading, ttp

app = ttp.App("plant", sys.argv[1])

@app.task
def endless() -> None:
    os.kill(int(sys.argv[2]), signal.SIGKILL)  # the server
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait()

endless.submit()
ttp.WorkerPool(app, threads=int(sys.argv[3]), grace=0.5).run()
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_a_worker_ends_with_its_grace_though_neither_handler_nor_server_answers(
    server: Server, threads: int, tmp_path: Path
) -> None:
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    command = [sys.executable, str(script), server.url, str(server.pid), str(threads)]
    where = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=where, timeout=60, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


IDLE_THREADS = """
from ttp.worker.runners import ThreadRunner
from ttp.worker.vital import Vital

ThreadRunner(16, ended=print, relieve=print, vital=Vital()).close()
"""


def test_threads_that_run_nothing_are_gone_when_the_interpreter_ends() -> None:
    """One that waited in the native queue was ended by force then, and the process with it."""
    done = subprocess.run([sys.executable, "-c", IDLE_THREADS], timeout=60, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_connection_that_broke_is_not_connected(server: Server) -> None:
    wire = Wire(open_connection=lambda _: server.connect(), consumer="me", queues=[], answered=print, received=print)
    assert not wire.connected
    wire.reconnect()
    assert wire.connected
    server.stop()
    with pytest.raises(ttp.ServerUnavailable):
        wire.connection.call("PING")
    assert not wire.connected
