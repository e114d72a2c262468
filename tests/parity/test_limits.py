"""At the limits of the format: what just fits, and what just does not."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_sending import Sender
from test_slices import never, numbers, view_of

from ttp.errors import CorruptFrame, QueueFull, SerializationError

Twins = tuple[Any, Any]


def test_constants_are_the_contracts(backend: Any) -> None:
    limits = (backend.MAX_FRAME, backend.MAX_ROWS, backend.MAX_TASK, backend.MAX_DEPTH, backend.MAX_UNSETTLED)
    assert limits == (1 << 20, 4096, 128 << 10, 32, 1 << 20)


def test_a_task_of_just_the_size(backend: Any) -> None:
    head = 5  # of a bin of this length
    assert len(backend.pack(bytes(backend.MAX_TASK - head))) == backend.MAX_TASK
    row = backend.encode_row([bytes(backend.MAX_TASK - head - 1)])
    assert len(row) == backend.MAX_TASK
    assert backend.encode_frame([row], name="t", queue="q", fid=1, producer=bytes(12))
    with pytest.raises(SerializationError, match=r"^value: larger than 131072 bytes$"):
        backend.pack(bytes(backend.MAX_TASK - head + 1))
    with pytest.raises(SerializationError, match=r"^args\[0\]: larger than 131072 bytes$"):
        backend.encode_row([bytes(backend.MAX_TASK - head)])
    with pytest.raises(SerializationError, match=r"^args: larger|^args\[\d+\]: larger"):
        backend.encode_row([None] * backend.MAX_TASK)


@pytest.mark.parametrize("size", [15, 16, 31, 32, 255, 256, 65_535, 65_536])
def test_where_heads_grow(both: Twins, size: int) -> None:
    for value in ("x" * size, bytes(size), [None] * size, "ü" * (size // 2)):
        native, pure = (twin.pack(value) for twin in both)
        assert native == pure
        assert all(twin.unpack(native) == value for twin in both)
    for n in (size, -size):
        assert both[0].pack(n) == both[1].pack(n)


@pytest.mark.parametrize("power", [5, 7, 8, 15, 16, 31, 32, 63])
def test_where_integers_grow(both: Twins, power: int) -> None:
    for n in range(-2, 3):
        for value in (2**power + n, -(2**power) - n):
            if -(2**63) <= value < 2**64:
                native, pure = (twin.pack(value) for twin in both)
                assert native == pure
                assert both[0].unpack(native) == both[1].unpack(native) == value


def test_a_frame_of_just_the_size(both: Twins) -> None:
    row = bytes(130_000)
    fixed: dict[str, Any] = {"name": "t", "queue": "q", "fid": 1, "producer": bytes(12)}
    room = (1 << 20) - len(both[1].encode_frame([row] * 8 + [b""], **fixed))
    fitting = [row] * 8 + [bytes(room)]
    frames = [twin.encode_frame(fitting, **fixed) for twin in both]
    assert frames[0] == frames[1]
    assert len(frames[0]) == 1 << 20
    for twin in both:
        assert len(twin.FrameView(frames[0])) == 9
        with pytest.raises(ValueError, match="frame larger than 1048576 bytes"):
            twin.encode_frame([*fitting[:-1], bytes(room + 1)], **fixed)
        with pytest.raises(ValueError, match="frame larger than 1048576 bytes"):  # an index makes it longer
            twin.FrameView(frames[0]).derive(range(9), fid=2)


def test_names_of_just_the_size(backend: Any) -> None:
    row = backend.encode_row([])
    for name, queue in (("x" * 255, "q" * 64), ("ü" * 127, "."), ("\0", "-"), ("😀" * 63, "A.b_C-9")):
        view = view_of(backend, [row], name=name, queue=queue)
        assert (view.name, view.queue) == (name, queue)
    for name, queue in (
        ("ü" * 128, "q"),
        ("", "q"),
        ("\ud800", "q"),
        ("t", ""),
        ("t", "q" * 65),
        ("t", "q\n"),
        ("t", "ü"),
    ):
        with pytest.raises(ValueError, match=r"\w"):
            view_of(backend, [row], name=name, queue=queue)
        with pytest.raises(ValueError, match=r"\w"):
            Sender(backend).route(name=name, queue=queue)


@pytest.mark.parametrize("size", [0, 1, 100, 3000, 100_000])
def test_one_task_submits_as_much_on_either(both: Twins, size: int) -> None:
    counts = []
    for twin in both:
        sender, part, count = Sender(twin), numbers(twin, 1), itertools.count()
        emits = [sender.route(name=name) for name in "ab"]

        def handler(n: int, emits: list[Any] = emits, count: Any = count) -> None:
            for emit in itertools.cycle(emits):
                emit(bytes(size))
                next(count)

        errors: list[BaseException] = []
        part.run(handler, lambda row, error, errors=errors, twin=twin: errors.append(error) or twin.DEAD)
        assert isinstance(errors[0], QueueFull)
        counts.append((next(count), str(errors[0]), part.weight))
    assert counts[0] == counts[1]


def test_children_fill_frame_after_frame(backend: Any) -> None:
    """More children than a frame has rows, of more bytes than one may have."""
    sender, part = Sender(backend), numbers(backend, 12)
    emit, other = sender.route(), sender.route(name="other")

    def handler(n: int) -> None:
        for i in range(1000):
            emit(n, i)
        other("x" * 120_000)

    frames = []
    while part.next < part.stop:
        part.run(handler, never)
        frames += part.settle(cut=False)[3]
    views = [backend.FrameView(bytes(frame.data())) for frame in frames]
    assert all(len(view.data) <= backend.MAX_FRAME for view in views)
    rows = [view.arguments(i)[0] for view in views if view.name == "task" for i in range(len(view))]
    assert sorted(rows) == [(n, i) for n in range(12) for i in range(1000)]
    assert sum(len(view) for view in views if view.name == "other") == 12


def test_a_large_frame_of_children_can_still_be_cut(backend: Any) -> None:
    """The rest needs an index: room for it was kept."""
    sender, part, taken = Sender(backend), numbers(backend, 3), []
    emit = sender.route()

    def handler(n: int) -> None:
        if n == 0:
            emit("first")
            return
        if n == 1:
            for i in range(4095):
                emit(i, "x" * 240)
            taken.append(part.settle(cut=False))

    part.run(handler, never)
    early, late = taken[0][3], part.settle()[3]
    views = [backend.FrameView(bytes(frame.data())) for frame in (*early, *late)]
    assert all(len(view.data) <= backend.MAX_FRAME for view in views)
    assert [len(frame) for frame in early] == [1]
    assert sum(map(len, late)) == 4095


def test_indices_end_at_65_535(backend: Any) -> None:
    """A frame that is cut again and again goes on under its origin, until that has no index left."""
    sender, part = Sender(backend), numbers(backend, 4096)
    submit = sender.route(submit=True)
    handles: list[Any] = []
    found: list[tuple[int, int]] = []

    def settle() -> None:
        for frame in part.settle(cut=False)[3]:
            view = backend.FrameView(bytes(frame.data()))
            found.extend((view.origin, view.index(i)) for i in range(len(view)))

    def handler(n: int) -> None:
        handles.extend(submit() for _ in range(9))
        settle()
        handles.extend(submit() for _ in range(8))

    part.run(handler, never)
    settle()
    assert len(handles) > 65_536
    assert max(index for _, index in found) == 65_535
    assert {(h.origin, h.index) for h in handles} == set(found)
    assert len(set(found)) == len(found)


@settings(max_examples=500)
@given(st.binary(max_size=60))
@example(b"\xc7\x00\x01")
@example(b"\xc1")
def test_any_bytes_are_judged_alike(both: Twins, data: bytes) -> None:
    frame = both[1].encode_frame([data], name="t", queue="q", fid=1, producer=bytes(12))
    reads: list[Callable[[Any], Any]] = [
        lambda twin: twin.unpack(data),
        lambda twin: twin.FrameView(frame).arguments(0),
        lambda twin: twin.ResultBlock(data).items(),
    ]
    for read in reads:
        seen = []
        for twin in both:
            try:
                seen.append(repr(read(twin)))
            except CorruptFrame as error:
                seen.append(str(error))
        assert seen[0] == seen[1]
