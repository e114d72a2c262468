"""1,000 objects through a queue, one at a time and in bulk."""

from collections import deque
from queue import SimpleQueue
from types import ModuleType

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

ITEMS = [bytes([n % 256]) for n in range(1000)]


@pytest.mark.benchmark(group="queue: 1,000 one at a time")
def test_one_at_a_time(core: ModuleType, benchmark: BenchmarkFixture) -> None:
    queue = core.Queue(1024)

    def run() -> None:
        push, pop = queue.try_push, queue.try_pop
        for item in ITEMS:
            push(item)
        for _ in ITEMS:
            pop()

    benchmark(run)
    assert len(queue) == 0


@pytest.mark.benchmark(group="queue: 1,000 one at a time")
def test_deque(benchmark: BenchmarkFixture) -> None:
    queue: deque[bytes] = deque()

    def run() -> None:
        push, pop = queue.append, queue.popleft
        for item in ITEMS:
            push(item)
        for _ in ITEMS:
            pop()

    benchmark(run)


@pytest.mark.benchmark(group="queue: 1,000 one at a time")
def test_simple_queue(benchmark: BenchmarkFixture) -> None:
    queue: SimpleQueue[bytes] = SimpleQueue()

    def run() -> None:
        push, pop = queue.put, queue.get
        for item in ITEMS:
            push(item)
        for _ in ITEMS:
            pop()

    benchmark(run)


@pytest.mark.benchmark(group="queue: 1,000 in bulk")
def test_deque_in_bulk(benchmark: BenchmarkFixture) -> None:
    queue: deque[bytes] = deque()

    def run() -> list[bytes]:
        queue.extend(ITEMS)
        return [queue.popleft() for _ in range(1000)]

    assert benchmark(run) == ITEMS


@pytest.mark.benchmark(group="queue: 1,000 in bulk")
def test_bulk(core: ModuleType, benchmark: BenchmarkFixture) -> None:
    queue = core.Queue(1024)

    def run() -> list[bytes]:
        queue.push_many(ITEMS)
        out: list[bytes] = queue.pop_many(1000)
        return out

    assert benchmark(run) == ITEMS


@pytest.mark.benchmark(group="histogram: record")
def test_record(core: ModuleType, benchmark: BenchmarkFixture) -> None:
    benchmark(core.Histogram().record, 123_456)


@pytest.mark.benchmark(group="histogram: record")
def test_list_append(benchmark: BenchmarkFixture) -> None:
    values: list[int] = []
    benchmark(values.append, 123_456)
