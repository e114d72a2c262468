"""The context of a trace goes with a route's frames, whatever becomes of them."""

from typing import Any

import pytest

CONTEXT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BLOCK = 4096


class Sender:
    """An outbox and its routes."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        pool = backend.MemoryPool(BLOCK, 64)
        self.outbox = backend.Outbox(
            pool, bytes(12), on_sealed=lambda: None, on_submit=lambda frame: None, on_full=lambda: None
        )

    def route(self, trace: bytes = CONTEXT) -> Any:
        return self.backend.Route(self.outbox, name="t", queue="q", owner=None, trace=trace)

    def taken(self) -> list[Any]:
        self.outbox.seal()
        return [self.backend.FrameView(bytes(frame.data())) for frame in iter(self.outbox.take, None)]


@pytest.fixture
def sender(backend: Any) -> Sender:
    """A sender on each twin."""
    return Sender(backend)


def test_every_frame_of_a_route_has_its_context(sender: Sender) -> None:
    with_one, without = sender.route(), sender.route(b"")
    assert (with_one.trace, without.trace) == (CONTEXT, b"")
    for n in range(2000):
        with_one(n)
    with_one("x" * 2 * BLOCK)
    without(1)
    views = sender.taken()
    assert [view.trace for view in views] == [CONTEXT] * (len(views) - 1) + [b""]
    assert len(views) > 3
    assert all(len(view.data) <= BLOCK for view in views[:-2]), "the context counts for the size of a frame"
    assert [view.arguments(row)[0][0] for view in views[:-2] for row in range(len(view))] == list(range(2000))


def test_both_make_the_same_bytes_of_it(both: tuple[Any, Any]) -> None:
    for count in range(1, 9):
        frames = [
            twin.encode_frame([twin.encode_row([n]) for n in range(count)], name="t", queue="q", fid=1,
                              producer=bytes(12), trace=b"c" * count)
            for twin in both
        ]  # fmt: skip
        assert frames[0] == frames[1]


def test_children_have_that_of_their_own_route(sender: Sender) -> None:
    twin = sender.backend
    rows = [twin.encode_row([n]) for n in range(3)]
    part = twin.Slice(twin.FrameView(twin.encode_frame(rows, name="p", queue="q", fid=1, producer=bytes(12))), 0, 3)
    one, other = sender.route(), sender.route(b"other")

    def handler(n: int) -> None:
        one(n)
        other(n)

    part.run(handler, lambda row, error: twin.DEAD)
    children = [twin.FrameView(bytes(frame.data())) for frame in part.settle()[3]]
    assert [(view.trace, len(view)) for view in children] == [(CONTEXT, 3), (b"other", 3)]


def test_columns_have_one_too(both: tuple[Any, Any]) -> None:
    columns = [("n", 2, b"", bytes(24), b"", b"")]
    frames = [
        twin.encode_columns(columns, 3, name="t", queue="q", fid=5, producer=bytes(12), trace=CONTEXT) for twin in both
    ]
    assert frames[0] == frames[1]
    derived = [twin.FrameView(frames[0]).derive([0, 2], fid=6) for twin in both]
    assert derived[0] == derived[1]
    assert [twin.FrameView(derived[0]).trace for twin in both] == [CONTEXT] * 2


def test_what_is_none_is_refused(sender: Sender) -> None:
    with pytest.raises(ValueError, match="1024"):
        sender.route(bytes(1025))
    with pytest.raises(TypeError):
        sender.route("text")  # type: ignore[arg-type]
