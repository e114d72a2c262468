"""What all tests share."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from twins import TWINS, twin

settings.register_profile(
    "ttp", max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ttp")


_PARITY = Path(__file__).parent / "parity"  # whose tests run both cores in any case


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A second run, on the other core, leaves out what it cannot change."""
    if os.environ.get("TTP_BACKEND") != "python":
        return
    once = [item for item in items if item.get_closest_marker("once") or _PARITY in item.path.parents]
    config.hook.pytest_deselected(items=once)
    items[:] = [item for item in items if item not in set(once)]


@pytest.fixture(params=TWINS)
def backend(request: pytest.FixtureRequest) -> Any:
    """Each twin in turn."""
    return twin(request.param)


@pytest.fixture(scope="session")
def both() -> tuple[Any, Any]:
    """(native, pure), for comparing them."""
    return twin("native"), twin("python")
