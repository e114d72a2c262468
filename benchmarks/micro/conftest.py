"""Each benchmark runs on both implementations of the core; what the standard library takes stands beside them."""

import importlib
from types import ModuleType

import pytest

ARGUMENTS = ("pump-1", 123_456, 21.5)


@pytest.fixture(params=["native", "pure"])
def core(request: pytest.FixtureRequest) -> ModuleType:
    """`_core` and its twin."""
    return importlib.import_module({"native": "ttp.native._core", "pure": "ttp.native._pure"}[request.param])
