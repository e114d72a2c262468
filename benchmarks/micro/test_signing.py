"""Signing and checking a full frame of 64 KiB: HMAC-SHA256 beside the CRC32C that every frame has."""

from types import ModuleType

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from ttp.coordination.keys import Keys
from ttp.coordination.signing import SigningKeys

DATA = bytes(range(256)) * 256
KEYS = Keys("plant", "q", signing=SigningKeys({1: bytes(32)}))


@pytest.mark.benchmark(group="64 KiB: integrity")
def test_crc32c(core: ModuleType, benchmark: BenchmarkFixture) -> None:
    benchmark(core.crc32c, DATA)


@pytest.mark.benchmark(group="64 KiB: integrity")
def test_sign(benchmark: BenchmarkFixture) -> None:
    benchmark(KEYS.sign, memoryview(DATA))


@pytest.mark.benchmark(group="64 KiB: integrity")
def test_verify(benchmark: BenchmarkFixture) -> None:
    stored = bytes(KEYS.sign(DATA))
    assert benchmark(KEYS.verify, stored) == DATA
