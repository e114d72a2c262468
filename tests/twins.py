"""The two implementations of `ttp.native._core.pyi`."""

import importlib
import os
from types import ModuleType

import pytest

TWINS = ("native", "python")


def twin(name: str) -> ModuleType:
    """One of them."""
    module = "ttp.native._core" if name == "native" else "ttp.native._pure"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        if os.environ.get("TTP_REQUIRE_NATIVE"):
            raise
        pytest.skip("the native core was not built (make build)")
