"""What all tests share."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from twins import TWINS, twin

settings.register_profile(
    "ttp", max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ttp")


@pytest.fixture(params=TWINS)
def backend(request: pytest.FixtureRequest) -> Any:
    """Each twin in turn."""
    return twin(request.param)


@pytest.fixture(scope="session")
def both() -> tuple[Any, Any]:
    """(native, pure), for comparing them."""
    return twin("native"), twin("python")
