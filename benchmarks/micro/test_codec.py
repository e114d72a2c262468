"""One call's arguments: encode and decode."""

import json
import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from conftest import ARGUMENTS


def other(name: str) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    """The pair of functions of a library; skips where it is not installed."""
    if name == "json":
        return lambda value: json.dumps(value).encode(), json.loads
    if name == "pickle":
        return pickle.dumps, pickle.loads
    library = pytest.importorskip(name.removesuffix(" msgpack").removesuffix(" json"))
    if name.startswith("msgspec"):
        module = library.json if name.endswith("json") else library.msgpack
        return module.Encoder().encode, module.Decoder().decode
    return library.packb, library.unpackb


OTHERS = ["json", "pickle", "msgspec json", "msgspec msgpack", "ormsgpack"]


@pytest.mark.benchmark(group="encode three arguments")
def test_encode_row(core: ModuleType, benchmark: BenchmarkFixture) -> None:
    benchmark(core.encode_row, ARGUMENTS)


@pytest.mark.benchmark(group="encode three arguments")
@pytest.mark.parametrize("name", OTHERS)
def test_encode_other(name: str, benchmark: BenchmarkFixture) -> None:
    encode, _ = other(name)
    benchmark(encode, ARGUMENTS)


@pytest.mark.benchmark(group="decode three arguments")
def test_unpack(core: ModuleType, benchmark: BenchmarkFixture) -> None:
    assert benchmark(core.unpack, core.pack(ARGUMENTS)) == list(ARGUMENTS)


@pytest.mark.benchmark(group="decode three arguments")
@pytest.mark.parametrize("name", OTHERS)
def test_decode_other(name: str, benchmark: BenchmarkFixture) -> None:
    encode, decode = other(name)
    assert list(benchmark(decode, encode(ARGUMENTS))) == list(ARGUMENTS)
