"""Who holds what, and for how long."""

import asyncio
import gc
import os
import sys
import threading
import weakref
from typing import Any

import pytest
from test_sending import Owner, Sender, arguments
from test_slices import never, numbers, view_of


class AsyncOwner(Owner):
    """One whose handles can be awaited."""

    async def wait(self, handle: Any) -> Any:
        await asyncio.sleep(0)
        return ("waited", handle.index)

    async def astatus(self, handle: Any) -> str:
        return f"status of {handle.index}"


def test_handles_are_awaited_by_way_of_their_owner(backend: Any) -> None:
    handle = backend.TaskHandle(AsyncOwner(), 5, 7)

    async def main() -> Any:
        return await handle, await handle.astatus()

    assert asyncio.run(main()) == (("waited", 7), "status of 7")


def test_handles_are_what_they_name(backend: Any) -> None:
    owner = Owner()
    handles = [backend.TaskHandle(owner, origin, index) for origin in (1, 2, 2**64 - 1) for index in (0, 1, 65_535)]
    assert len(set(handles)) == 9
    for handle in handles:
        twin = backend.TaskHandle(AsyncOwner(), handle.origin, handle.index)
        assert (handle == twin, handle != twin, hash(handle) == hash(twin)) == (True, False, True)
        assert handle != (handle.origin, handle.index)
    for origin, index in ((-1, 0), (2**64, 0), (0, -1), (0, 65_536)):
        with pytest.raises(ValueError, match=r"\w"):
            backend.TaskHandle(owner, origin, index)


def test_handles_come_and_go_by_the_thousand(backend: Any) -> None:
    owner = Owner()
    before = sys.getrefcount(owner)
    for _ in range(3):
        handles = [backend.TaskHandle(owner, n + 1, n % 100) for n in range(5000)]
        assert [(h.origin, h.index) for h in handles] == [(n + 1, n % 100) for n in range(5000)]
        assert sys.getrefcount(owner) == before + 5000
        del handles
        assert sys.getrefcount(owner) == before


def test_handles_are_not_for_the_collector() -> None:
    core = pytest.importorskip("ttp.native._core")
    assert not gc.is_tracked(core.TaskHandle(Owner(), 1, 1))


def test_an_open_frame_is_sealed_by_who_looks_at_it(backend: Any) -> None:
    sender = Sender(backend)
    emit = sender.route()
    frame, _ = emit.append(1)
    assert (frame.sealed, len(frame)) == (False, 1)
    assert arguments(sender, frame) == [((1,), {})]
    assert (frame.sealed, sender.outbox.open, sender.outbox.sealed) == (True, 0, 1)
    other, _ = emit.append(2)
    assert other is not frame
    assert sender.take_all() == [frame, other]


def test_a_released_frame_is_gone_wherever_it_was(backend: Any) -> None:
    sender = Sender(backend)
    emit = sender.route()
    opened, _ = emit.append(1)
    opened.release()
    assert (opened.sealed, len(opened), sender.outbox.open) == (True, 1, 0)
    waiting, _ = emit.append(2)
    sender.outbox.seal()
    waiting.release()
    assert (sender.outbox.sealed, sender.outbox.take()) == (0, None)
    assert sender.pool.available == sender.pool.capacity
    for frame in (opened, waiting):
        frame.release()
        assert frame.fid == frame.origin != 0
        with pytest.raises(ValueError, match="released"):
            frame.data()
    assert sender.pool.available == sender.pool.capacity
    assert emit.append(3)[1].index == 0


def test_children_belong_to_their_slice_until_it_is_settled(backend: Any) -> None:
    sender, part = Sender(backend), numbers(backend, 2)
    emit = sender.route()
    seen: list[Any] = []

    def handler(n: int) -> None:
        frame, _ = emit.append(n)
        seen.append(frame)
        for early in (frame.data, frame.release):
            with pytest.raises(ValueError, match="until it is settled"):
                early()
        if n == 1:
            raise ValueError(n)

    part.run(handler, lambda row, error: backend.DEAD)
    (frame,) = part.settle()[3]
    assert frame is seen[0]
    assert arguments(sender, frame) == [((0,), {})]
    assert sender.pool.available == sender.pool.capacity
    frame.release()
    assert sender.pool.available == sender.pool.capacity


def test_a_frame_of_a_failed_row_only_is_released(backend: Any) -> None:
    sender, part = Sender(backend), numbers(backend, 1)
    emit = sender.route()
    seen: list[Any] = []

    def handler(n: int) -> None:
        seen.append(emit.append(n)[0])
        raise ValueError(n)

    part.run(handler, lambda row, error: backend.DEAD)
    with pytest.raises(ValueError, match="released"):
        seen[0].data()


def test_a_reset_takes_frames_from_those_who_hold_them(backend: Any) -> None:
    sender = Sender(backend)
    emit = sender.route()
    frames = [emit.append("x" * 3000)[0] for _ in range(3)]
    taken = sender.outbox.take()
    sender.outbox.reset(bytes(12))
    assert sender.pool.available == sender.pool.capacity
    for frame in (*frames, taken):
        with pytest.raises(ValueError, match="released"):
            frame.data()
        frame.release()
    assert sender.pool.available == sender.pool.capacity


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_starts_anew(backend: Any) -> None:
    """Even where a thread of the parent waits on the outbox, and frames are under way."""
    sender = Sender(backend)
    emit = sender.route()
    waiting = threading.Thread(target=sender.outbox.wait, args=(30.0,))
    waiting.start()
    frame = None
    for n in range(300):
        emit(n, "x" * 30)
        frame = frame or sender.outbox.take()
    before = sender.outbox.open, sender.outbox.sealed, sender.pool.available
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            sender.outbox.reset(b"producer-two")
            fresh = sender.pool.available == sender.pool.capacity and not sender.outbox.wait(0.0)
            emit("child")
            (own,) = sender.take_all()
            view = backend.FrameView(bytes(own.data()))
            status = 0 if fresh and (view.producer, len(view)) == (b"producer-two", 1) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    waiting.join(20)
    assert (sender.outbox.open, sender.outbox.sealed, sender.pool.available) == before
    found = [args[0] for each in [frame, *sender.take_all()] for args, _ in arguments(sender, each)]
    assert found == list(range(300))


class Knot:
    """Holds everything, and everything holds it."""

    def __init__(self, backend: Any) -> None:
        pool = backend.MemoryPool(512, 4)
        self.outbox = backend.Outbox(
            pool, bytes(12), on_sealed=self.call, on_submit=lambda frame: self, on_full=lambda: self
        )
        self.route = backend.Route(self.outbox, name="t", queue="q", owner=self, bind=lambda args, kwargs: self)
        self.frame, _ = self.route.append(1)
        self.frame.outcome = self
        self.queue = backend.Queue(2)
        self.queue.try_push(self)
        self.part = backend.Slice(view_of(backend, [backend.encode_row([])]), 0, 1)
        self.part.state = self
        self.part.run(lambda: self.route(1), never)  # leaves a child

    def call(self) -> None:
        """Some callback."""


def test_cycles_are_collected(backend: Any) -> None:
    gone = weakref.ref(Knot(backend))
    gc.collect()
    assert gone() is None


def test_attributes_that_are_contracts_are_read_only_in_the_native_one() -> None:
    core = pytest.importorskip("ttp.native._core")
    handle, view = core.TaskHandle(Owner(), 1, 1), view_of(core, [core.encode_row([])])
    for owner, name in ((handle, "origin"), (view, "fid"), (numbers(core, 1), "next"), (Sender(core).outbox, "open")):
        with pytest.raises(AttributeError):
            setattr(owner, name, 0)


def test_a_waiter_is_woken_by_a_push_and_by_the_end(backend: Any) -> None:
    queue = backend.Queue(2)
    got: list[Any] = []

    def consume() -> None:
        try:
            while True:
                got.append(queue.pop())
        except EOFError:
            got.append("end")

    threads = [threading.Thread(target=consume) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(100):
        while not queue.try_push(n):
            pass
    queue.close()
    for thread in threads:
        thread.join(20)
    assert sorted(n for n in got if n != "end") == list(range(100))
    assert got.count("end") == 3


def test_what_a_closed_queue_holds_is_still_taken(backend: Any) -> None:
    queue = backend.Queue(4)
    queue.push_many(["a", None, "b"])
    queue.close()
    queue.close()
    with pytest.raises(RuntimeError):
        queue.push_many([1])
    assert [queue.pop(), queue.pop(None), queue.try_pop("none"), queue.try_pop("none")] == ["a", None, "b", "none"]
    with pytest.raises(EOFError):
        queue.pop(0.0)
    assert queue.pop_many(3) == []


def test_an_outbox_is_woken_across_threads(backend: Any) -> None:
    sender = Sender(backend)
    emit, rounds = sender.route(), 200
    received: list[int] = []

    def flush() -> None:
        while len(received) < rounds:
            assert sender.outbox.wait(20.0)
            sender.outbox.seal()
            while (frame := sender.outbox.take()) is not None:
                received.extend(args[0] for args, _ in arguments(sender, frame))
                frame.release()

    thread = threading.Thread(target=flush)
    thread.start()
    for n in range(rounds):
        emit(n)
    thread.join(20)
    assert received == list(range(rounds))
    waiting = threading.Thread(target=sender.outbox.wait, args=(20.0,))
    waiting.start()
    sender.outbox.wake()
    waiting.join(20)
    assert not waiting.is_alive()
