"""Random programs of handlers, run by both twins: all that can be seen of them is the same."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from test_sending import Sender
from test_slices import view_of

Twins = tuple[Any, Any]


@dataclass
class Row:
    """What the handler of one task does."""

    children: list[tuple[str, int]] = field(default_factory=list)  # route, bytes
    settle_before_child: int = 9  # after the last one: never
    cut: bool = False
    fails: bool = False
    value: Any = None
    judged: int = 3  # the outcome
    recorded: bool = False
    children_of_judge: int = 0


ROUTES = st.sampled_from(["a", "a", "b"])
SELDOM = st.sampled_from([False, False, False, True])
ROWS = st.builds(
    Row,
    children=st.lists(st.tuples(ROUTES, st.sampled_from([0, 3, 400, 30_000])), min_size=1, max_size=4),
    settle_before_child=st.integers(0, 6),
    cut=st.booleans(),
    fails=SELDOM,
    value=st.sampled_from([None, 1, {"n": [1.5]}, "x" * 300, object()]),
    judged=st.sampled_from([1, 2, 3, 5]),
    recorded=st.booleans(),
    children_of_judge=st.integers(0, 2),
)


class Run:
    """A program on one twin, and what was seen."""

    def __init__(self, twin: Any, rows: list[Row], cancelled: set[int], *, results: bool) -> None:
        self.twin = twin
        self.rows = rows
        self.seen: list[Any] = []
        self.origins: dict[int, int] = {}  # random ids → numbers in order of appearance
        sender = Sender(twin)
        self.routes = {name: sender.route(name=name, submit=True) for name in "ab"}
        encoded = [twin.encode_row([n]) for n in range(len(rows))]
        self.part = twin.Slice(view_of(twin, encoded, flags=int(results)), 0, len(rows))
        for row in cancelled:
            self.part.cancel(row)
        while self.part.next < self.part.stop:
            self.part.run(self.handler, self.on_error)
            self.seen.append((self.part.next, self.part.stop, self.part.running, self.part.weight))
        self.settle(cut=True)
        self.seen.append((sender.outbox.open, sender.submitted))

    def number(self, origin: int) -> int:
        return self.origins.setdefault(origin, len(self.origins))

    def child(self, route: str, size: int) -> None:
        handle = self.routes[route]("x" * size)
        self.seen.append(("child", self.number(handle.origin), handle.index, self.part.weight))

    def handler(self, n: int) -> Any:
        row = self.rows[n]
        for i, (route, size) in enumerate(row.children):
            if i == row.settle_before_child:
                self.settle(cut=row.cut)
            self.child(route, size)
        if row.settle_before_child == len(row.children):
            self.settle(cut=row.cut)
        if row.fails:
            raise ValueError(n)
        return row.value

    def on_error(self, n: int, error: BaseException) -> int:
        row = self.rows[n]
        self.seen.append((n, repr(error), self.part.running, self.part.next, self.part.weight))
        for _ in range(row.children_of_judge):
            self.child("a", 5)
        if row.recorded and row.judged != self.twin.BACK:
            self.part.record(n, row.judged, [n])
        return row.judged

    def settle(self, *, cut: bool) -> None:
        first, outcomes, block, children, running = self.part.settle(cut=cut)
        items = repr(self.twin.ResultBlock(block).items()) if block else ""
        frames = []
        for frame in children:
            view = self.twin.FrameView(bytes(frame.data()))
            assert (frame.fid, frame.origin, len(frame)) == (view.fid, view.origin, len(view))
            rows = [(view.index(i), len(view.arguments(i)[0][0])) for i in range(len(view))]
            frames.append((view.name, self.number(view.origin), view.fid == view.origin, rows))
        self.seen.append((first, outcomes, items, frames, running, self.part.start, self.part.stop, self.part.weight))


@settings(max_examples=400)
@given(st.lists(ROWS, min_size=2, max_size=6), st.sets(st.integers(0, 5), max_size=1), st.booleans())
def test_programs_run_alike(both: Twins, rows: list[Row], cancelled: set[int], results: bool) -> None:
    inside = {row for row in cancelled if row < len(rows)}
    native, pure = (Run(twin, rows, inside, results=results) for twin in both)
    assert native.seen == pure.seen
