"""The dispatch loop of both twins."""

import gc
import sys
import threading
from typing import Any

import pytest
from test_sending import Sender

from ttp.errors import CorruptFrame, QueueFull, SerializationError


def view_of(backend: Any, rows: list[bytes], **options: Any) -> Any:
    """A frame of these rows."""
    settings: dict[str, Any] = {"name": "t", "queue": "q", "fid": 5, "producer": bytes(12)} | options
    return backend.FrameView(backend.encode_frame(rows, **settings))


def numbers(backend: Any, count: int, **options: Any) -> Any:
    """A slice of a whole frame whose tasks are numbered."""
    view = view_of(backend, [backend.encode_row([n]) for n in range(count)], **options)
    return backend.Slice(view, 0, count)


def never(row: int, error: BaseException) -> int:
    """No error is expected."""
    raise AssertionError((row, error))


def test_all_rows_run_in_order(backend: Any) -> None:
    part, seen = numbers(backend, 5), []
    part.run(seen.append, never)
    assert seen == [0, 1, 2, 3, 4]
    assert (part.next, part.running) == (5, -1)
    assert part.settle() == (0, bytes([backend.DONE] * 5), b"", [], False)
    assert part.settle() == (5, b"", b"", [], False)


def test_arguments_by_position_and_name(backend: Any) -> None:
    view = view_of(backend, [backend.encode_row([1, "a"], {"c": [2]}), backend.encode_row([]), backend.encode_row([9])])
    part, calls = backend.Slice(view, 0, 2), []
    part.run(lambda *args, **kwargs: calls.append((args, kwargs)), never)
    assert calls == [((1, "a"), {"c": [2]}), ((), {})]


def test_results_are_kept_where_wanted(backend: Any) -> None:
    part = numbers(backend, 3, flags=1)
    part.run(lambda n: {"n": n}, never)
    block = part.settle()[2]
    assert backend.ResultBlock(block).items() == [(0, 1, {"n": 0}), (1, 1, {"n": 1}), (2, 1, {"n": 2})]
    silent = numbers(backend, 3)
    silent.run(lambda n: object(), never)
    assert silent.settle()[2] == b""


def test_errors_are_judged(backend: Any) -> None:
    part = numbers(backend, 4, flags=1, origin=9, index=[10, 20, 30, 40])
    judged: list[tuple[int, str]] = []

    def handler(n: int) -> int:
        if n % 2:
            raise KeyError(n)
        return n

    def on_error(row: int, error: BaseException) -> int:
        assert part.running == -1
        assert backend.scope.get() is part
        judged.append((row, repr(error)))
        outcome = backend.RETRY if row == 1 else backend.DEAD
        part.record(row, outcome, "why")
        return int(outcome)

    part.run(handler, on_error)
    assert judged == [(1, "KeyError(1)"), (3, "KeyError(3)")]
    first, outcomes, block, _, _ = part.settle()
    assert (first, list(outcomes)) == (0, [backend.DONE, backend.RETRY, backend.DONE, backend.DEAD])
    items = sorted(backend.ResultBlock(block).items())
    assert items == [(10, 1, 0), (20, 2, "why"), (30, 1, 2), (40, 3, "why")]


def test_bad_rows_and_bad_results_are_errors_of_their_task(backend: Any) -> None:
    rows = [backend.encode_row([1]), b"\x91\xc1", b"\x01", backend.encode_row([4])]
    part = backend.Slice(view_of(backend, rows, flags=1), 0, 4)
    errors: list[tuple[int, type]] = []

    def on_error(row: int, error: BaseException) -> int:
        errors.append((row, type(error)))
        return int(backend.DEAD)

    part.run(lambda n: object() if n == 4 else n, on_error)
    assert errors == [(1, CorruptFrame), (2, CorruptFrame), (3, SerializationError)]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_no_exception_ends_the_loop(backend: Any, error: BaseException) -> None:
    part, seen = numbers(backend, 2), []

    def handler(n: int) -> None:
        raise error

    part.run(handler, lambda row, raised: seen.append(raised) or backend.DEAD)
    assert seen == [error, error]


def test_an_error_of_the_judge_ends_the_loop(backend: Any) -> None:
    part = numbers(backend, 3)

    def on_error(row: int, error: BaseException) -> int:
        raise RuntimeError("judge")

    with pytest.raises(RuntimeError, match="judge"):
        part.run(lambda n: 1 // 0, on_error)
    assert (part.next, part.running, backend.scope.get()) == (1, -1, None)
    assert list(part.settle()[1]) == [backend.BACK]


def test_unstarted_rows_become_a_slice_of_their_own(backend: Any) -> None:
    part = numbers(backend, 8, flags=1)
    part.state = "job"
    part.cancel(1)
    part.cancel(4)
    part.cancel(6)
    part.begin(0)
    rest = part.detach(4)
    assert (part.start, part.stop, part.running, rest.start, rest.stop, rest.next) == (0, 4, 0, 4, 8, 5)
    assert (rest.state, rest.halted, part.weight, rest.weight) == ("job", False, 1, 2)
    with pytest.raises(ValueError, match="only unstarted rows can be detached"):
        part.detach(4)
    with pytest.raises(ValueError, match="only unstarted rows can be detached"):
        rest.detach(4)
    part.finish(0, backend.DONE, "a")
    part.halt()
    last = part.detach(3)
    assert last.halted
    part = part.detach(2)
    for each in (part, rest, last):
        each.run(lambda n: n, never)
    results = backend.ResultBlock(rest.settle()[2]).items()
    assert results == [(4, 4, None), (6, 4, None), (5, 1, 5), (7, 1, 7)]
    assert [each.settle()[:2] for each in (part, last)] == [(2, b""), (3, b"")]  # halted


def test_rows_are_detached_after_some_were_settled(backend: Any) -> None:
    part = numbers(backend, 6)
    part.begin(0)
    part.finish(0, backend.DONE)
    assert part.settle(cut=False)[1] == bytes([backend.DONE])
    part.cancel(4)
    rest = part.detach(2)
    part.run(lambda n: n, never)
    assert part.settle()[:2] == (1, bytes([backend.DONE]))
    rest.run(lambda n: n, never)
    assert rest.settle()[:2] == (2, bytes([backend.DONE, backend.DONE, backend.CANCELLED, backend.DONE]))


def test_cancelled_rows_are_passed_over(backend: Any) -> None:
    part, seen = numbers(backend, 4, flags=1), []
    part.cancel(1)
    part.cancel(3)
    part.run(seen.append, never)
    assert seen == [0, 2]
    _, outcomes, block, _, _ = part.settle()
    assert list(outcomes) == [backend.DONE, backend.CANCELLED, backend.DONE, backend.CANCELLED]
    assert backend.ResultBlock(block).find(3) == (backend.CANCELLED, None)
    with pytest.raises(ValueError, match=r"\w"):
        part.cancel(0)


def test_halt(backend: Any) -> None:
    part, seen = numbers(backend, 5), []

    def handler(n: int) -> None:
        seen.append(n)
        if n == 2:
            part.halt()

    part.run(handler, never)
    assert (seen, part.next, part.stop, part.halted) == ([0, 1, 2], 3, 5, True)
    first, outcomes, _, _, running = part.settle(cut=False)
    assert (first, len(outcomes), running) == (0, 3, False)
    assert (part.start, part.stop) == (3, 5)


def test_settling_while_a_row_runs(backend: Any) -> None:
    for cut, stop in ((True, 3), (False, 5)):
        part, settled, seen = numbers(backend, 5, flags=1), [], []

        def handler(n: int) -> int:
            seen.append(n)  # noqa: B023 - run at once
            if n == 2:
                thread = threading.Thread(target=lambda: settled.append(part.settle(cut=cut)))  # noqa: B023
                thread.start()
                thread.join()
                assert (part.running, part.start, part.stop) == (2, 2, stop)  # noqa: B023
            return n

        part.run(handler, never)
        first, outcomes, block, _, running = settled[0]
        assert (first, list(outcomes), running) == (0, [backend.DONE] * 2, True)
        assert [item[0] for item in backend.ResultBlock(block).items()] == [0, 1]
        assert seen == list(range(stop))
        first, outcomes, block, _, running = part.settle()
        assert (first, len(outcomes), running) == (2, stop - 2, False)
        assert [item[0] for item in backend.ResultBlock(block).items()] == list(range(2, stop))


def test_coroutines_begin_and_finish(backend: Any) -> None:
    part = numbers(backend, 3, flags=1)
    part.begin(0)
    assert part.running == 0
    with pytest.raises(SerializationError):
        part.finish(0, backend.DONE, object())
    assert part.running == 0
    part.finish(0, backend.DONE, "fine")
    with pytest.raises(ValueError, match=r"\w"):
        part.begin(2)
    part.begin(1)
    part.finish(1, backend.BACK)
    assert list(part.settle()[1]) == [backend.DONE, backend.BACK]


class Late(Exception):
    """An interrupt."""


def test_an_interrupt_reaches_the_running_row_only(backend: Any) -> None:
    part = numbers(backend, 3)
    inside, judged = threading.Event(), []

    def handler(n: int) -> None:
        if n == 1:
            inside.set()
            while True:
                pass

    def interrupt() -> None:
        assert inside.wait(20)
        assert part.interrupt(0, Late) is False
        assert part.interrupt(1, Late) is True

    thread = threading.Thread(target=interrupt)
    thread.start()
    part.run(handler, lambda row, error: judged.append((row, type(error))) or backend.DEAD)
    thread.join()
    assert judged == [(1, Late)]
    assert part.interrupt(2, Late) is False
    assert list(part.settle()[1]) == [backend.DONE, backend.DEAD, backend.DONE]


def test_a_late_interrupt_does_not_leak(backend: Any) -> None:
    """Interrupts race with the ends of rows: each one hits its row or nothing."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    gc.disable()  # an interrupt that lands in somebody's finalizer is reported there
    try:
        part, hits = numbers(backend, 3000), []
        done = threading.Event()

        def attack() -> None:
            while not done.is_set():
                part.interrupt(part.running, Late)

        thread = threading.Thread(target=attack)
        thread.start()
        try:
            part.run(lambda n: sum(range(20)), lambda row, error: hits.append(type(error)) or backend.DEAD)
        finally:
            done.set()
            thread.join()
        assert set(hits) <= {Late}
        assert list(part.settle()[1]).count(backend.DEAD) == len(hits)
    finally:
        gc.enable()
        sys.setswitchinterval(interval)


def test_large_results_make_a_pause(backend: Any) -> None:
    part, seen = numbers(backend, 20, flags=1), []

    def handler(n: int) -> bytes:
        seen.append(n)
        return bytes(120_000)

    part.run(handler, never)
    assert 8 <= len(seen) < 20
    assert part.weight > backend.MAX_UNSETTLED
    part.settle(cut=False)
    assert part.weight == 0
    while part.next < 20:
        part.run(handler, never)
        part.settle(cut=False)
    assert seen == list(range(20))


def children_of(backend: Any, frames: list[Any]) -> list[tuple[int, int, Any]]:
    """(origin, index, first argument) of every child."""
    out = []
    for frame in frames:
        view = backend.FrameView(bytes(frame.data()))
        out += [(view.origin, view.index(i), view.arguments(i)[0][0]) for i in range(len(view))]
    return out


def test_children_of_failed_rows_are_dropped(backend: Any) -> None:
    sender, part = Sender(backend), numbers(backend, 5)
    submit, emit = sender.route(submit=True, results=True), sender.route(name="other", priority=0)

    def handler(n: int) -> None:
        handles.append(submit(n * 10))
        if n == 3:
            emit("also")
            submit(31)
        if n % 2:
            raise ValueError(n)
        emit(n)

    handles: list[Any] = []
    part.run(handler, lambda row, error: backend.RETRY)
    assert sender.outbox.open == 0
    assert sender.submitted == []
    frames = part.settle()[3]
    found = children_of(backend, frames)
    assert sorted(value for _, _, value in found) == [0, 0, 2, 4, 20, 40]
    kept = {(h.origin, h.index): n for n, h in enumerate(handles) if n % 2 == 0}
    assert {(o, i): v // 10 for o, i, v in found if (o, i) in kept} == kept
    assert backend.FrameView(bytes(frames[0].data())).producer == part.frame.producer


def test_a_frame_of_children_is_cut_in_two(backend: Any) -> None:
    sender, part = Sender(backend), numbers(backend, 3)
    submit = sender.route(submit=True)
    handles, taken = [], []

    def handler(n: int) -> None:
        handles.extend((submit((n, 1)), submit((n, 2))))
        if n == 1:
            thread = threading.Thread(target=lambda: taken.append(part.settle(cut=False)))
            thread.start()
            thread.join()
            handles.append(submit((n, 3)))

    part.run(handler, never)
    early, late = children_of(backend, taken[0][3]), children_of(backend, part.settle()[3])
    assert [value for _, _, value in early] == [[0, 1], [0, 2]]
    assert [value for _, _, value in late] == [[1, 1], [1, 2], [1, 3], [2, 1], [2, 2]]
    assert [(o, i) for o, i, _ in early + late] == [(h.origin, h.index) for h in handles]
    assert len({o for o, _, _ in early + late}) == 1


def test_detached_children_leave_at_once(backend: Any) -> None:
    sender, part = Sender(backend), numbers(backend, 1)
    emit = sender.route(detached=True)
    part.run(emit, never)
    assert sender.outbox.open == 1
    assert part.settle()[3] == []


def test_one_task_may_not_submit_without_end(backend: Any) -> None:
    sender, part, errors = Sender(backend), numbers(backend, 1), []
    emit = sender.route()

    def handler(n: int) -> None:
        for _ in range(20):
            emit(bytes(100_000))

    part.run(handler, lambda row, error: errors.append(error) or backend.DEAD)
    assert [type(error) for error in errors] == [QueueFull]
    assert "detached" in str(errors[0])
    assert part.settle()[3] == []


def test_an_encoder_hook_may_emit_itself(backend: Any) -> None:
    sender = Sender(backend)
    emit = sender.route()

    class Emitting(int):
        def __int__(self) -> int:
            emit("inner")
            return 7

    emit("before", Emitting(7), "after")
    found = [args for frame in sender.take_all() for args, _ in _rows(backend, frame)]
    assert ("before", 7, "after") in found


def _rows(backend: Any, frame: Any) -> list[Any]:
    view = backend.FrameView(bytes(frame.data()))
    return [view.arguments(i) for i in range(len(view))]


def test_bounds(backend: Any) -> None:
    part = numbers(backend, 3)
    for start, stop in ((-1, 2), (2, 1), (0, 4)):
        with pytest.raises(ValueError, match=r"\w"):
            backend.Slice(part.frame, start, stop)
