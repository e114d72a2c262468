"""What fits a row class as columns, what does not, and what comes out of a batch."""

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

import ttp

np = pytest.importorskip("numpy", reason="columns need NumPy")


@dataclass
class Row:
    name: str
    n: int
    value: float = 1.5
    at: datetime | None = None
    ok: bool = True
    more: dict[str, int] | None = None


GOOD: dict[str, Any] = {"name": ["a", "b", "a"], "n": [1, 2, 3]}


def batch(**columns: Any) -> ttp.Batch[Row]:
    """A batch of these and the good columns."""
    return ttp.Batch.from_columns(Row, **(GOOD | columns))


def test_columns_of_a_batch() -> None:
    made = batch(more=[{"x": 1}, None, {}], at=np.array(["2026-01-01T00:00:00.5", "NaT", "2026-01-02"], "M8[ms]"))
    assert made["name"].tolist() == ["a", "b", "a"]
    encoded = made.dictionary("name")
    assert (encoded.codes.tolist(), encoded.categories) == ([0, 1, 0], ["a", "b"])
    assert made["n"].dtype == np.int64
    assert made["value"].tolist() == [1.5] * 3
    assert made["at"].dtype == np.dtype("M8[us]")
    assert np.isnat(made["at"]).tolist() == made.mask("at").tolist() == [False, True, False]
    assert made["ok"].tolist() == [True] * 3
    assert made["more"].tolist() == [{"x": 1}, None, {}]
    assert made.rows()[0] == Row("a", 1, at=datetime(2026, 1, 1, 0, 0, 0, 500_000), more={"x": 1})  # noqa: DTZ001
    with pytest.raises(KeyError, match="no column 'x'; there are name, n"):
        made["x"]
    with pytest.raises(TypeError, match="is no text"):
        made.dictionary("n")
    with pytest.raises(IndexError, match="no row 3 in a batch of 3"):
        made.fail([3], "?")


def test_times_with_a_zone_are_utc() -> None:
    made = batch(
        at=[datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), None, datetime(2026, 1, 1, tzinfo=UTC)]
    )
    assert made["at"].tolist() == [datetime(2026, 1, 1), None, datetime(2026, 1, 1)]  # noqa: DTZ001
    assert made.rows()[0].at == datetime(2026, 1, 1, tzinfo=UTC)


def test_not_a_number_is_a_number() -> None:
    values = batch(value=np.array([float("nan"), float("inf"), -0.0], np.float32))["value"]
    assert np.isnan(values[0])
    assert values.tolist()[1:] == [float("inf"), -0.0]
    assert not batch(value=[float("nan")] * 3).mask("value").any()


def test_codes_and_categories() -> None:
    made = batch(name=ttp.Dictionary(np.array([2, 0, 2], np.int8), ["x", "unused", "y"]))
    assert made["name"].tolist() == ["y", "x", "y"]


@pytest.mark.parametrize(
    ("columns", "error", "why"),
    [
        ({"x": [1, 2, 3]}, TypeError, "unknown column 'x'; the row has name, n, value, at, ok, more"),
        ({"n": [1, 2]}, ttp.SerializationError, "columns differ in length: name 3, n 2"),
        ({"n": np.array([1.0, 2.0, 3.0])}, ttp.SerializationError, "column 'n': int cannot be made from dtype float64"),
        ({"n": np.array([1, 2, 2**63], np.uint64)}, ttp.SerializationError, "row 2 is beyond 64 bits with sign"),
        ({"n": [1, 2, 2**63]}, ttp.SerializationError, "column 'n'"),
        ({"n": [1, True, 3]}, ttp.SerializationError, "row 1 is a bool, not int"),
        ({"n": [1, None, 3]}, ttp.SerializationError, "column 'n': null in row 1"),
        ({"n": np.zeros((3, 1), int)}, ttp.SerializationError, "one dimension, not 2"),
        ({"ok": [1, 0, 1]}, ttp.SerializationError, "row 0 is a int, not bool"),
        ({"name": ["a", None, "b"]}, ttp.SerializationError, "column 'name': null in row 1"),
        ({"name": ["a", "b", 3]}, ttp.SerializationError, "row 2 is a int, not str"),
        ({"name": ttp.Dictionary(np.array([0, 1, 2]), ["a", "b"])}, ttp.SerializationError, "between -1"),
        ({"at": ["2026-01-01"] * 3}, ttp.SerializationError, "row 0 is a str, not datetime"),
        ({"at": np.array([0, 1, 2**58], "M8[us]")}, ttp.SerializationError, "row 2 lies outside the years 1 to 9999"),
        ({"more": [{}, {}, {"x": object()}]}, ttp.SerializationError, "column 'more': .*cannot encode object"),
    ],
)
def test_what_does_not_fit(columns: dict[str, Any], error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        batch(**columns)
    with pytest.raises(TypeError, match="missing column 'n'"):
        ttp.Batch.from_columns(Row, name=["a"])


def test_import_loads_no_numpy() -> None:
    code = "import sys, ttp; sys.exit('numpy' in sys.modules or 'pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
