"""A block of 64 KiB: taken from the pool for a frame and given back, beside memory that is asked for each time."""

from types import ModuleType

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

BLOCK = 64 * 1024


@pytest.mark.benchmark(group="pool: open a frame of one task, seal it, give its block back")
def test_block(core: ModuleType, benchmark: BenchmarkFixture) -> None:
    pool = core.MemoryPool(BLOCK, 64)
    outbox = core.Outbox(pool, bytes(12), on_sealed=lambda: None, on_submit=lambda _: None, on_full=lambda: None)
    outbox.attended = True
    emit = core.Route(outbox, name="noop", queue="default", owner=None, min_args=0, max_args=0)

    def run() -> None:
        emit()
        outbox.seal()
        outbox.take().release()

    benchmark(run)
    assert pool.available == 64


@pytest.mark.benchmark(group="pool: open a frame of one task, seal it, give its block back")
def test_bytearray(benchmark: BenchmarkFixture) -> None:
    benchmark(bytearray, BLOCK)
