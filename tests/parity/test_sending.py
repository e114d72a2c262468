"""Pool, outbox, routes and handles of both twins."""

import gc
import threading
from typing import Any

import pytest

from ttp.errors import SerializationError

BLOCK = 4096


class Sender:
    """An outbox that notes what it is told."""

    def __init__(self, backend: Any, blocks: int = 128) -> None:
        self.backend = backend
        self.pool = backend.MemoryPool(BLOCK, blocks)
        self.sealed = self.full = 0
        self.submitted: list[Any] = []
        self.outbox = backend.Outbox(
            self.pool, b"producer-one", on_sealed=self.on_sealed, on_submit=self.submitted.append, on_full=self.on_full
        )
        self.outbox.attended = True

    def on_sealed(self) -> None:
        self.sealed += 1

    def on_full(self) -> None:
        self.full += 1
        self.outbox.seal()
        frame = self.outbox.take()
        assert frame is not None
        frame.release()

    def route(self, **options: Any) -> Any:
        settings = {"name": "task", "queue": "default", "owner": Owner()} | options
        return self.backend.Route(self.outbox, **settings)

    def take_all(self) -> list[Any]:
        self.outbox.seal()
        return list(iter(self.outbox.take, None))


class Owner:
    """Stands for what answers for handles."""

    def task_id(self, origin: int, index: int) -> str:
        return f"id-{origin}-{index}"

    def result(self, handle: Any, timeout: float | None = None) -> Any:
        return ("result", handle, timeout)

    def status(self, handle: Any) -> str:
        return "queued"

    def cancel(self, handle: Any) -> bool:
        return True


@pytest.fixture
def sender(backend: Any) -> Sender:
    """A sender on each twin."""
    return Sender(backend)


def arguments(sender: Sender, frame: Any) -> list[tuple[Any, Any]]:
    """What a frame carries."""
    view = sender.backend.FrameView(bytes(frame.data()))
    return [view.arguments(i) for i in range(len(view))]


def test_emit(sender: Sender) -> None:
    emit = sender.route(priority=2, delay=1.5)
    assert emit(1, "a", key=None) is None
    assert emit() is None
    assert (sender.outbox.open, sender.outbox.sealed) == (1, 0)
    (frame,) = sender.take_all()
    assert arguments(sender, frame) == [((1, "a"), {"key": None}), ((), {})]
    assert (len(frame), frame.sealed, frame.outcome, frame.route.delay) == (2, True, None, 1.5)
    view = sender.backend.FrameView(bytes(frame.data()))
    assert (view.name, view.queue, view.priority, view.attempt, view.results) == ("task", "default", 2, 1, False)
    assert (view.fid, view.origin, view.producer) == (frame.fid, frame.origin, b"producer-one")


def test_submit_returns_a_handle(sender: Sender) -> None:
    submit = sender.route(submit=True, results=True)
    handles = [submit(n) for n in range(3)]
    (frame,) = sender.take_all()
    assert sender.submitted == [frame] * 3
    assert sender.backend.FrameView(bytes(frame.data())).results
    assert [(h.origin, h.index) for h in handles] == [(frame.origin, n) for n in range(3)]
    handle = handles[1]
    assert handle.id == f"id-{frame.origin}-1"
    assert repr(handle) == f"<TaskHandle id-{frame.origin}-1>"
    assert handle.result(2.0) == ("result", handle, 2.0)
    assert handle.result() == ("result", handle, None)
    assert (handle.status(), handle.cancel()) == ("queued", True)
    same = sender.backend.TaskHandle(Owner(), frame.origin, 1)
    assert handle == same
    assert hash(handle) == hash(same)
    assert handle != handles[0]
    assert sender.backend.TaskHandle[int] is not None
    found, other = submit.append("x")
    assert (other.origin, other.index) == (found.origin, 0)
    if sender.backend.BACKEND == "native":
        assert not gc.is_tracked(handle)


def test_frames_fill_and_are_sealed_in_order(sender: Sender) -> None:
    emit = sender.route()
    for n in range(1000):
        emit(n, "x" * 20)
    frames = sender.take_all()
    assert len(frames) > 5
    assert sender.sealed == len(frames) - 1
    assert all(len(frame.data()) <= BLOCK for frame in frames)
    assert [args[0] for frame in frames for args, _ in arguments(sender, frame)] == list(range(1000))
    assert len({frame.fid for frame in frames}) == len(frames)
    assert sender.pool.available == sender.pool.capacity - len(frames)
    for frame in frames:
        frame.release()
        frame.release()
    assert sender.pool.available == sender.pool.capacity


def test_at_most_4096_rows(backend: Any) -> None:
    pool = backend.MemoryPool(1 << 20, 4)
    outbox = backend.Outbox(pool, bytes(12), on_sealed=lambda: None, on_submit=print, on_full=print)
    emit = backend.Route(outbox, name="t", queue="q", owner=None)
    for _ in range(4097):
        emit()
    outbox.seal()
    assert [len(frame) for frame in iter(outbox.take, None)] == [4096, 1]


def test_a_large_row_has_a_frame_of_its_own(sender: Sender) -> None:
    emit = sender.route()
    emit(1)
    emit("x" * 100_000)
    emit(2)
    frames = sender.take_all()
    assert [arguments(sender, frame)[0][0][0] for frame in frames] == [1, "x" * 100_000, 2]
    assert sender.pool.available == sender.pool.capacity - 3


def test_64_frames_are_open_at_most(sender: Sender) -> None:
    routes = [sender.route(name=f"task-{n}") for n in range(65)]
    for route in routes:
        route(1)
    assert (sender.outbox.open, sender.outbox.sealed) == (1, 64)
    assert [frame.route.name for frame in sender.take_all()] == [f"task-{n}" for n in range(65)]


def test_a_full_pool_calls_until_there_is_room(backend: Any) -> None:
    sender = Sender(backend, blocks=2)
    emit = sender.route()
    for n in range(500):
        emit(n, "x" * 50)
    assert sender.full > 3

    def refuse() -> None:
        raise OSError("no room")

    pool = backend.MemoryPool(BLOCK, 1)
    outbox = backend.Outbox(pool, bytes(12), on_sealed=lambda: None, on_submit=print, on_full=refuse)
    first, second = (backend.Route(outbox, name=name, queue="q", owner=None) for name in "ab")
    first(1)
    with pytest.raises(OSError, match="no room"):
        second(1)
    outbox.seal()
    assert len(list(iter(outbox.take, None))) == 1


def test_nothing_is_appended_when_a_call_is_wrong(sender: Sender) -> None:
    def bind(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if "bad" in kwargs or not args:
            raise TypeError("no such call")
        return (*args, *kwargs.values()), {}

    emit = sender.route(min_args=2, max_args=2, bind=bind)
    for wrong in ({"bad": 1}, {}):
        with pytest.raises(TypeError, match="no such call"):
            emit(**wrong)
    with pytest.raises(SerializationError, match=r"args\[1\]"):
        emit(1, object())
    assert sender.outbox.open == 0
    emit(1, b=2)
    emit(1, 2)
    (frame,) = sender.take_all()
    assert arguments(sender, frame) == [((1, 2), {}), ((1, 2), {})]


def test_extend(sender: Sender) -> None:
    submit = sender.route(submit=True)
    spans = submit.extend((n, "x" * 30) for n in range(500))
    assert sum(count for _, _, count in spans) == 500
    assert len({frame.fid for frame, _, _ in spans}) == len(spans) > 2
    assert sender.submitted == []
    frames = sender.take_all()
    assert [frame for frame, _, _ in spans] == frames
    with pytest.raises(SerializationError, match=r"^rows\[2\]: args\[0\]") as caught:
        submit.extend([(1,), (2,), (object(),), (4,)])
    assert [(first, count) for _, first, count in caught.value.spans] == [(0, 2)]
    with pytest.raises(TypeError, match=r"^rows\[0\]: "):
        submit.extend([[1]])
    with pytest.raises(ZeroDivisionError):
        submit.extend((1 // n,) for n in (1, 0))


def test_while_nobody_attends_every_append_says_so(sender: Sender) -> None:
    sender.outbox.attended = False
    emit = sender.route()
    emit(1)
    emit(2)
    assert sender.sealed == 2
    sender.outbox.attended = True
    emit(3)
    assert sender.sealed == 2
    sender.outbox.reset(b"producer-two")
    assert not sender.outbox.attended


def test_reset_forgets_everything(sender: Sender) -> None:
    emit = sender.route()
    for n in range(300):
        emit(n, "x" * 30)
    assert sender.outbox.take() is not None
    sender.outbox.reset(b"producer-two")
    assert (sender.outbox.open, sender.outbox.sealed, sender.outbox.producer) == (0, 0, b"producer-two")
    assert sender.pool.available == sender.pool.capacity
    emit(7)
    (frame,) = sender.take_all()
    assert arguments(sender, frame) == [((7,), {})]
    assert sender.backend.FrameView(bytes(frame.data())).producer == b"producer-two"


def test_the_clock_of_the_server(sender: Sender) -> None:
    sender.outbox.offset_us = 10**15
    emit = sender.route()
    emit(1)
    (late,) = sender.take_all()
    sender.outbox.offset_us = 0
    emit(1)
    (now,) = sender.take_all()
    view = sender.backend.FrameView
    difference = view(bytes(late.data())).created_at - view(bytes(now.data())).created_at
    assert 0 <= 10**15 - difference < 60_000_000


def test_data_outlives_release_while_it_is_looked_at(sender: Sender) -> None:
    emit = sender.route()
    emit("precious")
    (frame,) = sender.take_all()
    data = frame.data()
    before = bytes(data)
    frame.release()
    for n in range(200):
        emit(n)
    assert bytes(data) == before
    with pytest.raises(ValueError, match="released"):
        frame.data()


def test_wait_and_wake(sender: Sender) -> None:
    outbox = sender.outbox
    assert outbox.wait(0.0) is False
    outbox.wake()
    assert outbox.wait(0.0) is True
    assert outbox.wait(0.0) is False
    emit = sender.route()
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(outbox.wait(30.0)))
    waiting.start()
    emit(1)
    waiting.join(20)
    assert answers == [True]
    assert outbox.wait(30.0) is True


def test_threads_append_everything_once(sender: Sender) -> None:
    emit = sender.route()

    def work(first: int) -> None:
        for n in range(first, 2000, 4):
            emit(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [args[0] for frame in sender.take_all() for args, _ in arguments(sender, frame)]
    assert sorted(found) == list(range(2000))
