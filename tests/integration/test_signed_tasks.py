"""Signed frames and results through a real server and a real worker."""

from collections.abc import Iterator
from functools import partial

import pytest

import ttp
from real_server import Server
from ttp import testing
from ttp.coordination import commands
from ttp.coordination.keys import Keys
from ttp.native import encode_frame, encode_row
from ttp.worker.draft import new_fid

OLD, NEW = b"o" * 32, b"n" * 32


@pytest.fixture
def seen() -> list[int]:
    return []


@pytest.fixture
def app(server: Server, seen: list[int]) -> Iterator[ttp.App]:
    with ttp.App("plant", server.url, signing_key=ttp.SigningKeys({2: NEW, 1: OLD})) as app:
        app.task(name="child")(seen.append)

        @app.task(name="parent", retry=ttp.RetryPolicy(max_attempts=2, base_delay=0.001))
        def parent(number: int) -> int:
            if ttp.current_task().attempt == 1:
                raise ValueError("once more")
            app.remote("child").submit(number)
            if number < 0:
                raise ttp.Reject("negative")
            return number + 1

        yield app


def test_all_that_is_derived_is_signed_anew(app: ttp.App, server: Server, seen: list[int]) -> None:
    with ttp.App("plant", server.url, signing_key=OLD) as old:  # the number of a key given as bytes is 1
        handles = [old.remote("parent").submit(number) for number in range(3)]
        with testing.worker(app):
            assert [app.handle(handle.id).result(10) for handle in handles] == [1, 2, 3]
            dead = app.remote("parent").submit(-1)
            with pytest.raises(ttp.TaskFailed, match="negative"):
                dead.result(10)
            (letter,) = app.dead_letters()
            assert letter.args == (-1,)
            letter.retry()
            with pytest.raises(ttp.TaskFailed, match="negative"):
                dead.result(10)
        with pytest.raises(ttp.BadSignature, match="key 2 is not accepted"):
            old.handle(handles[0].id).result(10)
    testing.drain(app)
    assert sorted(seen) == [0, 1, 2]


def test_what_is_not_signed_is_not_run(app: ttp.App, server: Server, seen: list[int]) -> None:
    fid = new_fid()
    frame = encode_frame([encode_row([13])], name="child", queue="default", producer=bytes(12), fid=fid)
    with ttp.App("plant", server.url) as stranger:
        stranger.remote("child").submit(7)  # unsigned
    connection = app.open_connection(5.0)
    try:
        copied = bytes(app.keys("other").sign(frame))  # signed, for another queue
        offer = partial(commands.submit, priority=1, chain="c", prev=None, fid=fid, due_ms=None, tasks=1, limit=1 << 20)
        assert connection.call(*offer(Keys("plant", "default"), frame=copied))[0] == b"OK"
        testing.drain(app)
        letters = list(app.dead_letters())
        assert {letter.reason.partition(" (")[0] for letter in letters} == {
            "BadSignature: bad signature: there is none",
            "BadSignature: bad signature: it does not match",
        }
        assert all(letter.args == () and letter.id is None for letter in letters)
        for letter in letters:
            with pytest.raises(ttp.TtpError, match="cannot be read"):
                letter.retry()
            letter.drop()
        assert not list(app.dead_letters())
        assert app.remote("parent").submit(1) is not None
        testing.drain(app)
        assert int(connection.call("HGET", app.keys("default").counters, "bytes")) == 0
    finally:
        connection.close()
    assert 13 not in seen
    assert 7 not in seen


def test_a_forged_result_is_not_read(app: ttp.App) -> None:
    connection = app.open_connection(5.0)
    try:
        with testing.worker(app):
            handle = app.remote("parent").submit(1)
            assert handle.result(10) == 2
        results = app.keys("default").results(handle.origin)
        fields = connection.call("HGETALL", results)
        last = max((field for field in fields if field not in (b"q", b"r")), key=lambda f: int(f.partition(b"-")[0]))
        connection.call("HSET", results, last, fields[last][:-40])
        with pytest.raises(ttp.BadSignature, match="bad signature"):
            handle.status()
    finally:
        connection.close()
