"""App(producer=…): a later process goes on where an earlier one ended, and fences it."""

import pytest

import ttp
from queue_stats import queue_stats
from real_server import Server


def named(server: Server, name: str = "gateway") -> ttp.App:
    return ttp.App("plant", server.url, producer=name)


def test_the_position_outlives_the_process(server: Server) -> None:
    for run in range(3):
        with named(server) as app:
            left, right = app.remote("left"), app.remote("right")
            assert (app.position(left), app.position(right)) == (run * 1000, run * 10)
            for n in range(1000):
                left.emit(n)
            for n in range(10):
                right.emit(n)
            left.submit("does not count")
            app.flush(20)
            assert app.position(left) == (run + 1) * 1000
    with named(server, "another") as app:
        assert app.position(app.remote("left")) == 0
        assert queue_stats(app).accepted == 3 * 1011


def test_a_successor_fences_the_one_before(server: Server) -> None:
    first, second = named(server), named(server)
    try:
        first.remote("note").emit(1)
        first.flush(20)
        assert second.position(second.remote("note")) == 1
        first.remote("note").emit(2)
        with pytest.raises(ttp.ServerRefused, match="taken over the producer 'gateway:note'"):
            first.flush(20)
        second.remote("note").emit(3)
        second.flush(20)
        assert queue_stats(second).accepted == 2
    finally:
        second.close()
        first.close(0.1)


def test_a_server_that_comes_back_empty_begins_at_0(server: Server) -> None:
    with named(server) as app:
        note = app.remote("note")
        note.emit(1)
        app.flush(20)
        server.stop()
        server.start()
        note.emit(2)
        app.flush(20)
        assert app.sending.accepted >= 2
        assert app.position(note) == queue_stats(app).accepted


def test_what_a_position_needs(server: Server) -> None:
    with ttp.App("plant", server.url) as app, pytest.raises(ValueError, match="only a named producer"):
        app.position(app.remote("note"))
    with pytest.raises(ValueError, match="producer name"):
        ttp.App("plant", producer="a:b")
    with pytest.raises(ValueError, match="leave out producer"):
        ttp.App("plant", producer="a", on_full="store")
    server.stop()
    with ttp.App("plant", server.url, producer="a", submit_timeout=0.1) as app, pytest.raises(ttp.ServerUnavailable):
        app.position(app.remote("note"))
