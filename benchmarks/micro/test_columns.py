"""A batch handler's columns out of a frame of 1,000 rows."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from test_frame import ROWS, frame

from conftest import ARGUMENTS
from ttp.columns.rows import as_objects, columns_of_rows


@dataclass
class Row:
    device: str
    sequence: int
    value: float


@pytest.mark.benchmark(group="frame of 1,000: rows as columns")
@pytest.mark.parametrize("way", [columns_of_rows, as_objects], ids=["straight", "by_objects"])
def test_rows_as_columns(core: ModuleType, way: Callable[..., Any], benchmark: BenchmarkFixture) -> None:
    view = core.FrameView(frame(core))
    assert len(benchmark(way, Row, view, range(ROWS))) == len(ARGUMENTS)
