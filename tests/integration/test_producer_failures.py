"""A producer whose calls fail in the midst of things, as where memory is short: nothing is lost, doubled or stuck."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ttp
from failing_first import failing_first
from queue_stats import queue_stats
from real_server import Server
from ttp import testing
from ttp.coordination.connection import Connection
from ttp.producer import flusher, producer
from ttp.producer.flight import Flight
from ttp.producer.flusher import Flusher
from ttp.producer.pump import Pump

FailFirst = Callable[..., None]


@pytest.fixture
def app(any_server: Server) -> Iterator[ttp.App]:
    """What is the same on every server."""
    with ttp.App("plant", any_server.url, submit_timeout=10.0) as app:
        yield app


@pytest.fixture
def alone(app: ttp.App) -> ttp.App:
    """Without a flusher: nothing is sent but by the test's own calls."""
    app._producer.outbox.attended = True
    return app


@pytest.fixture
def fail_first(monkeypatch: pytest.MonkeyPatch) -> FailFirst:
    """Let a function or method fail when it is next called."""

    def patch(owner: Any, name: str, error: type[BaseException] = MemoryError) -> None:
        monkeypatch.setattr(owner, name, failing_first(getattr(owner, name), error))

    return patch


def blocks_in_use(app: ttp.App) -> int:
    """Blocks of the pool, once nobody is just giving one back."""
    with app._producer._io:
        return app._producer.blocks[0]


def test_a_frame_that_cannot_enter_its_chain_waits_before_it(alone: ttp.App, fail_first: FailFirst) -> None:
    task = alone.remote("any")
    task.emit(1)
    fail_first(Flight, "chain")
    with pytest.raises(MemoryError):
        alone.flush()
    task.emit(2)
    alone.flush()
    assert queue_stats(alone).accepted == alone.sending.submitted == alone.sending.accepted == 2


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_an_exchange_that_is_broken_off_goes_over_the_next_connection(
    alone: ttp.App, fail_first: FailFirst, error: type[BaseException]
) -> None:
    fail_first(Flight, "take", error)
    with pytest.raises(error, match="the first time"):
        alone.remote("any").submit(1)
    link = alone._producer._link
    assert link.connection is None
    assert str(link.trouble) == f"{error.__name__} in the midst of an exchange"
    alone.flush()
    assert queue_stats(alone).accepted == alone.sending.accepted == 1


def test_an_exchange_is_broken_off_though_even_that_fails(alone: ttp.App, fail_first: FailFirst) -> None:
    fail_first(Flight, "take")
    fail_first(Pump, "broken")
    with pytest.raises(MemoryError):
        alone.remote("any").submit(1)
    assert alone._producer._link.connection is None
    alone.flush()
    assert queue_stats(alone).accepted == alone.sending.accepted == 1


def test_an_error_that_somebody_keeps_holds_no_block_of_the_pool(alone: ttp.App, any_server: Server) -> None:
    task = alone.remote("any")
    task.submit(1)
    any_server.stop()
    task.emit(2)
    kept: Exception | None = None
    with alone._producer._io:
        alone._producer.outbox.seal()
        try:
            alone._producer._pump.turn()
        except ttp.ServerUnavailable as error:
            kept = error.with_traceback(None)
    any_server.start()
    alone.flush()
    assert kept is not None
    assert blocks_in_use(alone) == 0


def test_who_could_not_be_told_of_an_accepted_frame_is_told_next(any_server: Server, fail_first: FailFirst) -> None:
    with ttp.App("plant", any_server.url, resend_seconds=0) as app:  # else the server were asked, and its answer told
        sender = app._producer
        sender.outbox.attended = True
        app.remote("any").emit(1)
        fail_first(Pump, "_count")
        with pytest.raises(MemoryError):
            app.flush()
        with sender._io:
            sender._pump.turn(time.monotonic() + 10)
        assert blocks_in_use(app) == 0
        assert queue_stats(app).accepted == app.sending.accepted == 1


def test_the_flusher_outlives_its_errors(app: ttp.App, fail_first: FailFirst, caplog: pytest.LogCaptureFixture) -> None:
    fail_first(Flusher, "_turn")
    asyncio.run(app.remote("any").asubmit(1))  # which waits for the flusher
    assert queue_stats(app).accepted == 1
    (said,) = [record for record in caplog.records if record.name == "ttp.producer"]
    assert said.getMessage() == "sending failed, and goes on"


def test_the_flusher_keeps_no_error_and_so_no_block(
    app: ttp.App, fail_first: FailFirst, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flusher.log, "disabled", True)  # pytest keeps what is logged
    task = app.remote("any")
    asyncio.run(task.asubmit(1))  # connected
    fail_first(Connection, "send")
    asyncio.run(task.asubmit(2))
    assert blocks_in_use(app) == 0


def test_the_flusher_goes_on_with_a_frame_that_is_in_no_chain_yet(app: ttp.App, fail_first: FailFirst) -> None:
    arrived = threading.Event()
    task = app.task(name="note")(arrived.set)
    fail_first(Flight, "chain")
    with testing.worker(app):
        task.emit()
        assert arrived.wait(10)


def test_the_flusher_goes_on_with_a_frame_that_nobody_was_told_of(any_server: Server, fail_first: FailFirst) -> None:
    with ttp.App("plant", any_server.url, submit_timeout=10.0, resend_seconds=0) as app:
        fail_first(Pump, "_count")
        asyncio.run(app.remote("any").asubmit(1))
        assert queue_stats(app).accepted == app.sending.accepted == 1


def test_who_waits_for_a_frame_learns_of_it_though_the_leader_fails(alone: ttp.App, fail_first: FailFirst) -> None:
    task, lead = alone.remote("any"), alone._producer._io
    failed: list[BaseException] = []

    def submit() -> None:
        try:
            task.submit()
        except MemoryError as error:
            failed.append(error)

    fail_first(Pump, "tell")
    threads = [threading.Thread(target=submit, daemon=True) for _ in range(5)]
    with lead:
        for thread in threads:
            thread.start()
        while len(lead._followers) < len(threads):
            time.sleep(0.001)
    deadline = time.monotonic() + 5  # long before they give up by themselves
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads)
    assert len(failed) == 1


def test_a_flusher_that_cannot_start_does_so_later(app: ttp.App, fail_first: FailFirst) -> None:
    arrived = threading.Event()
    task = app.task(name="note")(arrived.set)
    fail_first(producer, "Flusher")
    with pytest.raises(MemoryError):
        task.emit()
    with testing.worker(app):
        task.emit()
        assert arrived.wait(10)
