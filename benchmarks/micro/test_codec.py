"""One call's arguments: encode and decode."""

import json
import pickle
from types import ModuleType

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from conftest import ARGUMENTS


@pytest.mark.benchmark(group="encode")
def test_encode_row(core: ModuleType, benchmark: BenchmarkFixture) -> None:
    benchmark(core.encode_row, ARGUMENTS)


@pytest.mark.benchmark(group="encode")
def test_encode_json(benchmark: BenchmarkFixture) -> None:
    benchmark(json.dumps, ARGUMENTS)


@pytest.mark.benchmark(group="encode")
def test_encode_pickle(benchmark: BenchmarkFixture) -> None:
    benchmark(pickle.dumps, ARGUMENTS)


@pytest.mark.benchmark(group="decode")
def test_unpack(core: ModuleType, benchmark: BenchmarkFixture) -> None:
    assert benchmark(core.unpack, core.pack(ARGUMENTS)) == list(ARGUMENTS)


@pytest.mark.benchmark(group="decode")
def test_decode_json(benchmark: BenchmarkFixture) -> None:
    benchmark(json.loads, json.dumps(ARGUMENTS))


@pytest.mark.benchmark(group="decode")
def test_decode_pickle(benchmark: BenchmarkFixture) -> None:
    benchmark(pickle.loads, pickle.dumps(ARGUMENTS))
