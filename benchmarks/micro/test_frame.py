"""A frame of 1,000 tasks: write it, check it, run a no-op handler over it."""

from types import ModuleType
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from conftest import ARGUMENTS

ROWS = 1000


def frame(core: ModuleType) -> bytes:
    """A frame of so many rows."""
    data: bytes = core.encode_frame(
        [core.encode_row(ARGUMENTS)] * ROWS, name="noop", queue="default", fid=7, producer=bytes(12)
    )
    return data


@pytest.mark.benchmark(group="frame of 1,000: write")
def test_encode_frame(core: ModuleType, benchmark: BenchmarkFixture) -> None:
    rows = [core.encode_row(ARGUMENTS)] * ROWS
    benchmark(core.encode_frame, rows, name="noop", queue="default", fid=7, producer=bytes(12))


@pytest.mark.benchmark(group="frame of 1,000: read and check")
def test_frame_view(core: ModuleType, benchmark: BenchmarkFixture) -> None:
    assert len(benchmark(core.FrameView, frame(core))) == ROWS


@pytest.mark.benchmark(group="frame of 1,000: decode and call each")
def test_dispatch(core: ModuleType, benchmark: BenchmarkFixture) -> None:
    view = core.FrameView(frame(core))

    def handler(device: str, sequence: int, value: float) -> None:
        pass

    def run() -> Any:
        part = core.Slice(view, 0, ROWS)
        part.run(handler, lambda _row, _error: core.DEAD)
        return part.settle()

    assert benchmark(run)[1] == bytes([core.DONE]) * ROWS


@pytest.mark.benchmark(group="frame of 1,000: decode and call each")
def test_bare_calls(benchmark: BenchmarkFixture) -> None:
    def handler(device: str, sequence: int, value: float) -> None:
        pass

    def run() -> None:
        for _ in range(ROWS):
            handler(*ARGUMENTS)

    benchmark(run)


@pytest.mark.benchmark(group="emit of 1,000, sent nowhere")
def test_emit(core: ModuleType, benchmark: BenchmarkFixture) -> None:
    def drop() -> None:
        while (done := outbox.take()) is not None:
            done.release()

    outbox = core.Outbox(
        core.MemoryPool(32 * 1024, 64), bytes(12), on_sealed=drop, on_submit=lambda _: None, on_full=lambda: None
    )
    outbox.attended = True
    emit = core.Route(outbox, name="noop", queue="default", owner=None, min_args=3, max_args=3)

    def run() -> None:
        for _ in range(ROWS):
            emit("pump-1", 123_456, 21.5)

    benchmark(run)


@pytest.mark.benchmark(group="frame of 1,000: checksum")
def test_crc32c(core: ModuleType, benchmark: BenchmarkFixture) -> None:
    benchmark(core.crc32c, frame(core))
