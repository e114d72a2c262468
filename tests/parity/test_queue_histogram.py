"""Queue and histogram: the twins against a deque, and against each other."""

import threading
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from twins import twin


class QueueMachine(RuleBasedStateMachine):
    """A queue beside a deque that does the same."""

    name = "python"
    CAPACITY = 4

    def __init__(self) -> None:
        super().__init__()
        self.queue = twin(self.name).Queue(self.CAPACITY)
        self.model: deque[int] = deque()
        self.closed = False

    @precondition(lambda self: not self.closed)
    @rule(item=st.integers())
    def push(self, item: int) -> None:
        fits = len(self.model) < self.CAPACITY
        assert self.queue.try_push(item) == fits
        if fits:
            self.model.append(item)

    @precondition(lambda self: not self.closed)
    @rule(items=st.lists(st.integers(), max_size=6))
    def push_many(self, items: list[int]) -> None:
        room = self.CAPACITY - len(self.model)
        assert self.queue.push_many(items) == min(room, len(items))
        self.model.extend(items[:room])

    @rule()
    def pop(self) -> None:
        expected = self.model.popleft() if self.model else "nothing"
        assert self.queue.try_pop("nothing") == expected

    @rule(limit=st.integers(0, 6))
    def pop_many(self, limit: int) -> None:
        expected = [self.model.popleft() for _ in range(min(limit, len(self.model)))]
        assert self.queue.pop_many(limit) == expected

    @rule()
    def wait(self) -> None:
        if self.model:
            assert self.queue.pop(0.0) == self.model.popleft()
        else:
            with pytest.raises(EOFError if self.closed else TimeoutError):
                self.queue.pop(0.0)

    @rule()
    def close(self) -> None:
        self.queue.close()
        self.closed = True
        with pytest.raises(RuntimeError):
            self.queue.try_push(1)

    @invariant()
    def agrees(self) -> None:
        assert len(self.queue) == len(self.model)
        assert self.queue.closed == self.closed
        assert self.queue.capacity == self.CAPACITY


class NativeQueueMachine(QueueMachine):
    """The native queue."""

    name = "native"


TestPureQueue = QueueMachine.TestCase
TestNativeQueue = NativeQueueMachine.TestCase


def test_capacity_is_a_power_of_two(backend: Any) -> None:
    for wrong in (0, 3, 100):
        with pytest.raises(ValueError, match="power of two"):
            backend.Queue(wrong)


def test_many_threads_lose_and_double_nothing(backend: Any) -> None:
    queue = backend.Queue(64)
    taken: list[list[int]] = [[] for _ in range(3)]

    def produce(first: int) -> None:
        for n in range(first, 3000, 3):
            while not queue.try_push(n):
                pass

    def consume(into: list[int]) -> None:
        while True:
            try:
                into.append(queue.pop())
            except EOFError:
                return

    consumers = [threading.Thread(target=consume, args=(into,)) for into in taken]
    producers = [threading.Thread(target=produce, args=(n,)) for n in range(3)]
    for thread in (*consumers, *producers):
        thread.start()
    for thread in producers:
        thread.join()
    queue.close()
    for thread in consumers:
        thread.join()
    assert sorted(n for into in taken for n in into) == list(range(3000))


@given(st.lists(st.tuples(st.integers(0, 2**42), st.integers(0, 5))), st.floats(0, 100))
def test_histograms_agree(both: tuple[Any, Any], records: list[tuple[int, int]], q: float) -> None:
    found = []
    for module in both:
        histogram, other = module.Histogram(), module.Histogram()
        for i, (value, weight) in enumerate(records):
            (histogram if i % 2 else other).record(value, weight)
        histogram.merge(other)
        found.append((histogram.count, histogram.sum, histogram.max, histogram.percentile(q), histogram.counts()))
        histogram.clear()
        assert (histogram.count, histogram.percentile(50)) == (0, 0)
    assert found[0] == found[1]


@given(st.integers(0, 2**40 - 1))
def test_a_histogram_errs_by_a_32nd_at_most(backend_name: str, value: int) -> None:
    histogram = twin(backend_name).Histogram()
    histogram.record(value)
    ((highest, count),) = histogram.counts()
    assert count == 1
    assert value <= highest <= value + value / 32 + 1
    assert histogram.percentile(50) == value


@pytest.fixture(scope="module", params=["native", "python"])
def backend_name(request: pytest.FixtureRequest) -> str:
    """Each twin's name."""
    return str(request.param)
