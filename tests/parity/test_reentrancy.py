"""What is called back comes back: hooks, callbacks and handlers that use what is calling them."""

import dataclasses
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from test_sending import Sender, arguments
from test_slices import never, numbers

from ttp.errors import SerializationError


def encoded_by(effect: Callable[[], object]) -> Any:
    """A value whose encoding has an effect."""

    class Effective(int):
        def __int__(self) -> int:
            effect()
            return 7

    return Effective(1)


def test_containers_that_change_while_they_are_encoded(backend: Any) -> None:
    grown: list[Any] = [1]
    grown.append(encoded_by(lambda: grown.append(3)))
    shrunk: list[Any] = [1, 2, 3]
    shrunk.insert(0, encoded_by(shrunk.clear))
    filled: dict[str, Any] = {}
    filled["a"] = encoded_by(lambda: filled.update(b=1))
    emptied: dict[str, Any] = {"b": 1}
    emptied["a"] = encoded_by(emptied.clear)
    swapped: dict[Any, Any] = {1: encoded_by(lambda: swapped.pop(2)), 2: "x" * 100, 3: 4}
    for value in (grown, shrunk, filled, emptied, swapped):
        with pytest.raises(SerializationError, match=r"^value(\[.*\])?: changed while it was encoded"):
            backend.pack(value)


def test_a_list_of_arguments_may_change(backend: Any) -> None:
    args: list[Any] = [1]
    args.append(encoded_by(args.clear))
    assert backend.encode_row(args) == backend.encode_row([1, 7])


@dataclasses.dataclass
class Nested:
    inner: Any


def test_hooks_end_somewhere(backend: Any) -> None:
    value: Any = 1
    for _ in range(32):
        value = Nested(value)
    assert backend.pack(value)
    with pytest.raises(SerializationError, match="nested too deep"):
        backend.pack(Nested(value))
    knot = Nested(None)
    knot.inner = [knot]
    with pytest.raises(SerializationError, match="nested too deep"):
        backend.pack(knot)
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(SerializationError, match="nested too deep"):
        backend.pack(loop)


def test_an_error_of_the_hook_itself_goes_on(backend: Any) -> None:
    class Failing(int):
        def __int__(self) -> int:
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        backend.pack([Failing(1)])


def test_callbacks_may_emit(backend: Any) -> None:
    sender = Sender(backend, blocks=8)

    def on_sealed() -> None:
        sender.on_sealed()
        if sender.sealed < 50:
            inner(sender.sealed)

    outbox = backend.Outbox(sender.pool, bytes(12), on_sealed=on_sealed, on_submit=print, on_full=sender.on_full)
    inner = backend.Route(outbox, name="inner", queue="q", owner=None)
    emit = backend.Route(outbox, name="outer", queue="q", owner=None)
    for n in range(10):
        emit(n)
    outbox.seal()
    found: dict[str, list[Any]] = {"inner": [], "outer": []}
    for frame in iter(outbox.take, None):
        found[frame.route.name] += [args[0] for args, _ in arguments(sender, frame)]
    assert found["outer"] == list(range(10))
    assert sorted(found["inner"]) == list(range(1, 50))


def test_errors_of_callbacks_reach_the_caller(backend: Any) -> None:
    def fail(*_: Any) -> None:
        raise OSError("no line")

    outbox = backend.Outbox(backend.MemoryPool(512, 4), bytes(12), on_sealed=fail, on_submit=fail, on_full=fail)
    submit = backend.Route(outbox, name="t", queue="q", owner=None, submit=True)
    for call in (submit, submit.append):
        with pytest.raises(OSError, match="no line"):
            call(1)
    with pytest.raises(OSError, match="no line") as caught:
        submit.extend([(1,), (2,)])
    assert [(first, count) for _, first, count in caught.value.spans] == [(2, 1)]  # type: ignore[attr-defined]
    outbox.attended = True
    with pytest.raises(OSError, match="no line"):
        submit(1)
    outbox.seal()
    assert [len(frame) for frame in iter(outbox.take, None)] == [4]  # appended, whoever failed later


def test_rows_may_come_from_a_generator_that_emits(backend: Any) -> None:
    sender = Sender(backend)
    emit = sender.route()

    def rows() -> Any:
        for n in range(3):
            emit("between")
            yield (n,)

    spans = emit.extend(rows())
    assert [(first, count) for _, first, count in spans] == [(1, 1), (3, 1), (5, 1)]


def test_a_slice_is_not_run_twice(backend: Any) -> None:
    part, seen = numbers(backend, 3), []

    def handler(n: int) -> None:
        with pytest.raises(RuntimeError):
            part.run(handler, never)
        with pytest.raises(ValueError, match=r"\w"):
            part.begin(n + 1)
        with pytest.raises(ValueError, match=r"\w"):
            part.finish(n, backend.DONE)
        seen.append(n)

    part.run(handler, never)
    assert seen == [0, 1, 2]
    part = numbers(backend, 2)
    part.begin(0)
    with pytest.raises(RuntimeError):
        part.run(handler, never)


def test_a_handler_may_run_another_slice(backend: Any) -> None:
    outer, seen = numbers(backend, 2), []

    def handler(n: int) -> None:
        inner = numbers(backend, 2)
        inner.run(lambda m: seen.append((n, m, backend.scope.get() is inner)), never)
        assert backend.scope.get() is outer

    outer.run(handler, never)
    assert seen == [(0, 0, True), (0, 1, True), (1, 0, True), (1, 1, True)]
    assert backend.scope.get() is None


def test_the_judge_must_say_an_outcome(backend: Any) -> None:
    for wrong in (0, 6, -1, 2**70, None, "dead"):
        part = numbers(backend, 2)
        with pytest.raises((ValueError, TypeError, OverflowError)):
            part.run(lambda n: 1 // 0, lambda row, error, answer=wrong: answer)
        assert (part.next, part.running, list(part.settle()[1])) == (1, -1, [backend.BACK])


def test_what_the_judge_recorded_is_gone_if_it_fails(backend: Any) -> None:
    part = numbers(backend, 2, flags=1)

    def on_error(row: int, error: BaseException) -> int:
        part.record(row, backend.DEAD, "half")
        raise RuntimeError("judge")

    with pytest.raises(RuntimeError, match="judge"):
        part.run(lambda n: 1 // 0, on_error)
    assert part.settle()[2] == b""


def test_outside_a_running_row_calls_go_out_by_themselves(backend: Any) -> None:
    """A context outlives its row in a thread, or between rows."""
    sender, part = Sender(backend), numbers(backend, 2)
    emit = sender.route()
    token = backend.scope.set(part)
    try:
        emit("before")
        part.begin(0)
        emit("child")
        part.finish(0, backend.DONE)
        emit("after")
    finally:
        backend.scope.reset(token)
    assert [len(frame) for frame in part.settle()[3]] == [1]
    (frame,) = sender.take_all()
    assert [args for args, _ in arguments(sender, frame)] == [("before",), ("after",)]


def test_a_signal_ends_a_wait(backend: Any) -> None:
    """As Ctrl-C does in the main thread; a handler that returns lets the wait go on."""
    queue = backend.Queue(2)
    seen: list[int] = []

    def on_signal(number: int, _: Any) -> None:
        seen.append(number)
        if len(seen) == 2:
            raise KeyboardInterrupt

    old = signal.signal(signal.SIGUSR1, on_signal)
    main = threading.main_thread().ident
    assert main is not None
    begun, enough = threading.Event(), threading.Event()

    def send() -> None:
        begun.wait()
        while len(seen) < 2 and not enough.wait(0.05):  # again: one that comes just before a wait does not end it
            signal.pthread_kill(main, signal.SIGUSR1)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - either may be interrupted
            begun.set()
            queue.pop(30.0)
    finally:
        begun.set()
        enough.set()
        thread.join()
        signal.signal(signal.SIGUSR1, old)
    assert len(seen) >= 2
    assert queue.try_push(1)
    assert queue.pop(0.0) == 1
