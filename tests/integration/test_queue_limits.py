"""Under more load than is drained everything stays within its limit, and what is refused or dropped is counted."""

import json
import os
import subprocess
import sys
import textwrap
import time
from typing import Any

import psutil
import pytest

import ttp
from real_server import Server
from script_queue import FRAME, Queue
from ttp import testing
from ttp.coordination import inspection
from ttp.coordination.commands import Placement

LIMIT = 4 << 20  # bytes of the queue
POOL = 8 << 20  # bytes of a producer's pool


def stats(app: ttp.App) -> inspection.Stats:
    """The default queue's numbers."""
    connection = app.open_connection(5.0)
    try:
        return inspection.stats_reply(connection.call_many(inspection.stats(app.keys("default"))))
    finally:
        connection.close()


def test_delayed_and_dead_frames_count(queue: Queue) -> None:
    size = len(FRAME)
    assert queue.submit(due_ms=queue.now_ms + 1000, limit=3 * size)[0] == "OK"
    queue.commit(queue.deliver(limit=3 * size), Placement("dead", FRAME, 14, 3, 1, errors=b"why"), dead=3)
    assert queue.submit(limit=3 * size)[0] == "FULL"
    assert queue.submit(limit=3 * size + 3)[0] == "OK"
    assert queue.submit(task_limit=11)[0] == "FULL"
    assert queue.submit(task_limit=12)[0] == "OK"
    queue.tick(offset_ms=1001)
    assert queue.stats.bytes == 4 * size + 3
    assert queue.submit(task_limit=14)[0] == "FULL"
    assert queue.submit(task_limit=15)[0] == "OK"


def test_a_limit_of_tasks(server: Server) -> None:
    with ttp.App("plant", server.url, queue_tasks=10, submit_timeout=1.0) as app:

        @app.task
        def work(n: int) -> None:
            raise ttp.Reject("no")

        for n in range(10):
            work.submit(n)
        with pytest.raises(ttp.QueueFull, match="or 10 tasks") as first:
            work.submit(10)
        ttp.WorkerPool(app).run(burst=True)
        with pytest.raises(ttp.QueueFull) as second:  # all ten are dead letters now
            work.submit(11)
        # One that was on the wire just then is in doubt: neither refused nor accepted yet.
        refused = sum("was not accepted" in str(error.value) for error in (first, second))
        assert app.sending.refused_queue == refused
        assert app.sending.accepted == 10
        for letter in app.dead_letters():
            letter.drop()
        work.submit(12)
        app.flush(20)
        assert app.sending.accepted == 10 + 1 + 2 - refused


def test_the_oldest_make_way(server: Server) -> None:
    """The server is away: emits go on, what is dropped is counted, and the rest arrives."""
    with ttp.App("plant", server.url, on_full="drop_oldest") as app:
        kept: list[int] = []

        @app.task
        def note(n: int, data: bytes) -> None:
            kept.append(n)

        server.stop()
        for n in range(12_000):
            note.emit(n, b"x" * 1000)
        dropped = app.sending.dropped
        server.start()
        app.flush(20)
        testing.drain(app)
        counts = app.sending
    assert dropped > 2_000
    assert counts.dropped + counts.accepted == 12_000
    assert sorted(kept) == list(range(dropped, 12_000))  # the oldest, and no other, made way


def test_a_full_pool_is_counted(server: Server) -> None:
    with ttp.App("plant", server.url, on_full="error") as app:
        task = app.remote("any")
        server.stop()
        refused = sent = 0
        while refused < 100:
            try:
                task.emit(sent, b"x" * 1000)
                sent += 1
            except ttp.QueueFull:
                refused += 1
        server.start()
        app.flush(20)
        assert (app.sending.refused_pool, app.sending.accepted) == (100, sent)


PROGRAM = """
    import json, resource, sys, time
    import ttp
    app = ttp.App("plant", queue_limit=int(sys.argv[2]), submit_timeout=60.0, on_full="error")

    @app.task
    def work(data: bytes) -> None:
        time.sleep(0.0005)

    if sys.argv[1] == "worker":
        ttp.WorkerPool(app).run()
    else:
        work.submit(b"")  # everything is loaded
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
        begun = time.monotonic()
        refused = sent = 0
        while time.monotonic() - begun < float(sys.argv[3]) or refused < 10:
            try:
                work.emit(b"x" * 500)
                sent += 1
            except ttp.QueueFull:
                refused += 1
                time.sleep(0.001)
        print(json.dumps({
            "sent": sent, "refused": refused, "counted": app.sending.refused_pool,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        }), flush=True)
"""


def start(server: Server, *arguments: str) -> "subprocess.Popen[str]":
    """A process of the program."""
    environment = os.environ | {"TTP_URL": server.url, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), *arguments]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE)


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.slow)])
def test_ten_times_the_load(server: Server, seconds: int, request: pytest.FixtureRequest) -> None:
    """A worker that does at most 2,000 tasks a second, and a producer that emits all it can."""
    if seconds == 60 and "slow" not in str(request.config.getoption("markexpr")):
        pytest.skip("a minute of overload: run it with -m slow")
    app = ttp.App("plant", server.url)
    connection = app.open_connection(5.0)
    with start(server, "worker", str(LIMIT)) as worker, start(server, "producer", str(LIMIT), str(seconds)) as producer:
        assert producer.stdout is not None
        before = int(producer.stdout.readline())
        resident = psutil.Process(worker.pid).memory_info().rss
        largest, peak = 0, 0
        while producer.poll() is None:
            numbers = inspection.stats_reply(connection.call_many(inspection.stats(app.keys("default"))))
            largest = max(largest, numbers.bytes)
            peak = max(peak, psutil.Process(worker.pid).memory_info().rss)
            time.sleep(0.05)
        result: dict[str, Any] = json.loads(producer.stdout.readline())
        memory = dict(line.split(b":") for line in connection.call("INFO", "memory").split() if line.count(b":") == 1)
        used = int(memory[b"used_memory"])
        worker.terminate()
    connection.close()
    assert result["refused"] == result["counted"] > 0
    # Submits stop at the limit; commits are never refused, and pieces of a split frame are larger than the whole.
    assert LIMIT // 2 < largest <= LIMIT + LIMIT // 10
    assert used < 3 * LIMIT + (4 << 20)
    assert (result["peak"] - before) * 1024 < 3 * POOL
    assert peak - resident < (32 << 20)
