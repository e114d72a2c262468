"""What all tests share."""

import importlib
import os
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ttp", max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ttp")

TWINS = ("native", "python")


def twin(name: str) -> ModuleType:
    """One of the two implementations of `ttp.native._core.pyi`."""
    module = "ttp.native._core" if name == "native" else "ttp.native._pure"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        if os.environ.get("TTP_REQUIRE_NATIVE"):
            raise
        pytest.skip("the native core was not built (make build)")


@pytest.fixture(params=TWINS)
def backend(request: pytest.FixtureRequest) -> Any:
    """Each twin in turn."""
    return twin(request.param)


@pytest.fixture(scope="session")
def both() -> tuple[Any, Any]:
    """(native, pure), for comparing them."""
    return twin("native"), twin("python")
