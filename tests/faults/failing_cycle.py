"""A cycle from a call to what a commit says of it, in which the nth allocation fails, for every n. See the test.

Run with the failing allocator preloaded; its path is the argument. The bytes go from one end to the other by hand.
"""

import ctypes
import gc
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

from ttp.native import BACK, DONE, RETRY, FrameView, MemoryPool, Outbox, ResultBlock, Route, Slice, scope

T = TypeVar("T")
TASKS = 6
ALLOCATOR = ctypes.PyDLL(sys.argv[1])
fail_nth, fail_none = ALLOCATOR.fail_nth, ALLOCATOR.fail_none
fail_nth.restype = None


class Fault:
    """The nth allocation inside the calls that are `tried` fails."""

    def __init__(self, nth: int) -> None:
        self._left = nth
        self.happened = False

    def tried(self, call: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Call; and call again where memory was short, as one who has found some would."""
        result: T | None = None
        called = False
        try:
            fail_nth(self._left)
            result = call(*arguments, **named)
            called = True
            seen = fail_none()
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not str(error).startswith("Could not allocate"):  # pybind11's words
                raise
            self.happened = True
            self._left = 0
            return cast(T, result) if called else call(*arguments, **named)
        if self._left:
            self.happened = seen >= self._left  # and was got over
            self._left = max(0, self._left - seen)
        return result


def cycle(fault: Fault) -> None:
    """Emit and submit tasks, run them, take what they came to."""
    pool = MemoryPool(256, 8)
    outbox = Outbox(pool, bytes(12), on_sealed=bool, on_submit=bool, on_full=bool)  # type: ignore[arg-type] # do nothing
    route = Route(outbox, name="work", queue="q", owner=None, submit=True, results=True)
    child = Route(outbox, name="child", queue="q", owner=None)
    for number in range(TASKS):
        fault.tried(route, number, text="x" * number)
    fault.tried(outbox.seal)
    ran: list[int] = []
    while (frame := fault.tried(outbox.take)) is not None:
        data = bytes(fault.tried(frame.data))
        frame.release()
        ran += _run(fault, data, child)
    # A row that could not be appended was not, and was appended when tried again.
    assert ran == list(range(TASKS)), ran
    assert pool.available == pool.capacity


def _run(fault: Fault, data: bytes, child: Route) -> list[int]:
    """Run a frame, and look at what is said of its tasks. Returns their numbers."""
    view = FrameView(data)  # its instances are pybind11's, which does not survive a failure there
    part = fault.tried(Slice, view, 0, len(view))
    # Neither is Python code: what an interpreter without memory does is not tested here.
    handler, on_error = child, dict.fromkeys(range(TASKS), RETRY).get
    fault.tried(part.run, handler, on_error)
    assert scope.get() is None, "a slice that has run is still in scope"
    first, outcomes, block, children, running = fault.tried(part.settle)
    assert (first, running) == (0, False)
    retried = [row for row, outcome in enumerate(outcomes) if outcome in (RETRY, BACK)]
    assert len(retried) <= 1
    assert len(outcomes) == len(view)
    results = ResultBlock(block)
    born: list[int] = []
    for frame in children:
        born += [row[0][0] for row in _rows(FrameView(bytes(fault.tried(frame.data))))]
    numbers = [arguments[0] for arguments, _ in _rows(view)]
    assert born == [numbers[row] for row, outcome in enumerate(outcomes) if outcome == DONE], (born, outcomes)
    for row, outcome in enumerate(outcomes):
        found = results.find(view.index(row))
        assert found == ((DONE, None) if outcome == DONE else None), (row, found)
    if retried:
        again = FrameView(fault.tried(view.derive, retried, fid=view.fid + 1, attempt=2))
        assert [again.index(row) for row in range(len(again))] == [view.index(row) for row in retried]
    return numbers


def _rows(view: FrameView) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    return [view.arguments(row) for row in range(len(view))]


def main() -> None:
    """Print how many allocations there were, each of which has failed once."""
    cycle(Fault(0))
    ALLOCATOR.hook_python()
    nth = 0
    while True:
        nth += 1
        living = []
        for _ in range(3):  # what the first finds, some cache may keep
            fault = Fault(nth)
            cycle(fault)
            gc.collect()
            living.append(ALLOCATOR.living_blocks())
        assert living[1] >= living[2], f"allocation {nth} leaks: {living}"
        if not fault.happened:
            break
    sys.stdout.write(f"{nth - 1}\n")


if __name__ == "__main__":
    main()
