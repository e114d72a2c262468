"""Where more comes than is drained, what is refused or dropped is counted; `ttp chaos overload` looks at memory too."""

import pytest

import ttp
from real_server import Server
from script_queue import FRAME, Queue
from ttp import testing
from ttp.coordination.commands import Placement


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
