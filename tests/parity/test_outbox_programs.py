"""Random use of an outbox, by both twins side by side."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from twins import twin

BLOCK, BLOCKS = 512, 5


class Box:
    """One twin's outbox, and what it has called."""

    def __init__(self, name: str) -> None:
        self.twin = twin(name)
        self.pool = self.twin.MemoryPool(BLOCK, BLOCKS)
        self.calls: list[str] = []
        self.taken: list[Any] = []
        self.outbox = self.twin.Outbox(
            self.pool,
            b"producer-one",
            on_sealed=lambda: self.calls.append("sealed"),
            on_submit=lambda frame: self.calls.append(f"submit {len(frame)}"),
            on_full=self.on_full,
        )
        self.routes = [
            self.twin.Route(self.outbox, name=name, queue="q", owner=None, submit=name == "c") for name in "abc"
        ]

    def on_full(self) -> None:
        """Makes room in one way or another."""
        self.calls.append("full")
        self.outbox.seal()
        frame = self.outbox.take() or self.taken.pop(0)
        frame.release()

    def emit(self, route: int, size: int) -> Any:
        handle = self.routes[route]("x" * size)
        return handle and handle.index

    def append(self, route: int, size: int) -> Any:
        frame, handle = self.routes[route].append("x" * size)
        return len(frame), frame.sealed, handle.origin == frame.origin, handle.index

    def extend(self, route: int, sizes: list[int]) -> Any:
        return [(len(f), first, count) for f, first, count in self.routes[route].extend([("x" * n,) for n in sizes])]

    def take(self) -> Any:
        frame = self.outbox.take()
        if frame is not None:
            self.taken.append(frame)
        return frame and (frame.route.name, len(frame), frame.sealed)

    def release(self, i: int) -> Any:
        frame = self.taken[i % len(self.taken)]
        frame.release()
        return len(frame), frame.sealed

    def data(self, i: int) -> Any:
        try:
            view = self.twin.FrameView(bytes(self.taken[i % len(self.taken)].data()))
        except ValueError as error:
            return str(error)
        return view.name, view.producer, [len(view.arguments(row)[0][0]) for row in range(len(view))]

    def state(self) -> Any:
        box = self.outbox
        return box.open, box.sealed, box.attended, box.producer, self.pool.available, self.calls


SIZES = st.sampled_from([0, 1, 10, 100, 300, 318, 319, 320, 321, 322, 326, 327, 328, 400, 600])


class Outboxes(RuleBasedStateMachine):
    """Does everything to both."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes = [Box("native"), Box("python")]

    def both(self, method: str, *args: Any) -> None:
        native, pure = (getattr(box, method)(*args) for box in self.boxes)
        assert native == pure

    @rule(route=st.integers(0, 2), size=SIZES)
    def emit(self, route: int, size: int) -> None:
        self.both("emit", route, size)

    @rule(route=st.integers(0, 2), size=SIZES)
    def append(self, route: int, size: int) -> None:
        self.both("append", route, size)

    @rule(route=st.integers(0, 2), sizes=st.lists(SIZES, max_size=10))
    def extend(self, route: int, sizes: list[int]) -> None:
        self.both("extend", route, sizes)

    @rule()
    def take(self) -> None:
        self.both("take")

    @precondition(lambda self: self.boxes[0].taken)
    @rule(i=st.integers(0, 9))
    def release(self, i: int) -> None:
        self.both("release", i)

    @precondition(lambda self: self.boxes[0].taken)
    @rule(i=st.integers(0, 9))
    def data(self, i: int) -> None:
        self.both("data", i)

    @rule()
    def seal(self) -> None:
        for box in self.boxes:
            box.outbox.seal()

    @rule(attended=st.booleans())
    def attend(self, attended: bool) -> None:
        for box in self.boxes:
            box.outbox.attended = attended

    @rule()
    def reset(self) -> None:
        for box in self.boxes:
            box.outbox.reset(b"producer-two")

    @invariant()
    def agree(self) -> None:
        self.both("state")


TestOutboxes = Outboxes.TestCase
TestOutboxes.settings = settings(stateful_step_count=30)
