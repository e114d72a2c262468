"""Batches as Arrow tables to other libraries, and their tables as columns."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

import ttp
from ttp.columns.arrow import columns_in

np = pytest.importorskip("numpy", reason="columns need NumPy")
pa = pytest.importorskip("pyarrow", reason="Arrow tables need pyarrow")

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Row:
    name: str | None
    n: int
    value: float | None = None
    at: datetime | None = None
    more: Any = None


ROWS = [Row("a", 1, 1.5, NEW_YEAR, {"x": 1}), Row("b", 2), Row("a", 3, 3.0, NEW_YEAR + timedelta(1))]


def batch() -> ttp.Batch[Row]:
    """Of these rows."""
    return ttp.Batch.from_columns(Row, **{name: [getattr(row, name) for row in ROWS] for name in Row.__annotations__})


def rows(table: Any) -> list[Row]:
    """Of a table, as they arrive in a batch."""
    return ttp.Batch.from_columns(Row, **columns_in(table)).rows()


def test_pyarrow_takes_a_batch_without_a_copy() -> None:
    made = batch()
    for taken in (pa.table(made), pa.record_batch(made)):
        assert taken["name"].to_pylist() == ["a", "b", "a"]
        assert taken["value"].to_pylist() == [1.5, None, 3.0]
        assert taken["at"].to_pylist() == [row.at for row in ROWS]
        assert taken["more"].to_pylist() == [{"x": 1}, None, None]
        column = taken["n"].chunk(0) if isinstance(taken, pa.Table) else taken["n"]
        assert column.buffers()[1].address == made["n"].__array_interface__["data"][0]
    assert pa.schema(made).names == made.columns


def test_polars_takes_a_batch_and_its_tables_are_columns() -> None:
    polars = pytest.importorskip("polars", reason="no polars here")
    frame = polars.DataFrame(batch())
    assert frame["n"].sum() == 6
    assert frame["value"].null_count() == 1
    assert rows(frame) == ROWS
    categorical = frame.select(polars.col("name").cast(polars.Categorical), "n")
    assert rows(categorical) == [Row("a", 1), Row("b", 2), Row("a", 3)]


def test_pandas_takes_a_batch_and_its_tables_are_columns() -> None:
    pandas = pytest.importorskip("pandas", minversion="3", reason="no pandas with from_arrow here")
    frame = pandas.DataFrame.from_arrow(batch())
    assert frame["n"].tolist() == [1, 2, 3]
    assert frame.groupby("name", observed=True)["value"].sum().to_dict() == {"a": 4.5, "b": 0.0}
    assert frame["at"].isna().tolist() == [False, True, False]
    assert frame["at"][0].to_pydatetime() == NEW_YEAR
    assert rows(frame[["name", "n", "at"]]) == [Row(row.name, row.n, at=row.at) for row in ROWS]


def test_duckdb_takes_a_batch_and_its_tables_are_columns() -> None:
    duckdb = pytest.importorskip("duckdb", reason="no DuckDB here")
    with duckdb.connect() as database:
        events = batch()  # noqa: F841 - DuckDB finds it by its name
        query = 'select "name", sum(n)::bigint as n, sum("value") as "value" from events group by all order by "name"'
        assert database.sql(query).fetchall() == [("a", 4, 4.5), ("b", 2, None)]
        assert rows(database.sql(query)) == [Row("a", 4, 4.5), Row("b", 2)]


@pytest.mark.parametrize("index", ["int8", "uint8", "int64", "uint32"])
def test_dictionaries_with_and_without_nulls(index: str) -> None:
    codes = pa.array([1, None, 0], index)
    for texts in (["x", "y"], ["x", "y", None]):
        name = pa.DictionaryArray.from_arrays(codes, pa.array(texts))
        assert rows(pa.table({"name": name, "n": [1, 2, 3]})) == [Row("y", 1), Row(None, 2), Row("x", 3)]
    null = pa.DictionaryArray.from_arrays(pa.array([1, 0], index), pa.array(["x", None]))
    assert rows(pa.table({"name": null, "n": [1, 2]})) == [Row(None, 1), Row("x", 2)]
    numbers = pa.DictionaryArray.from_arrays(pa.array([1, 0], index), pa.array([7, 8]))
    assert rows(pa.table({"name": ["x", "x"], "n": numbers})) == [Row("x", 8), Row("x", 7)]


def test_chunks_join_and_their_dictionaries_too() -> None:
    chunks = pa.chunked_array([pa.array([text]).dictionary_encode() for text in ("x", "y", "x")])
    assert rows(pa.table({"name": chunks, "n": [1, 2, 3]})) == [Row("x", 1), Row("y", 2), Row("x", 3)]


def test_text_may_be_any_value() -> None:
    more = pa.array(["x", None])
    assert rows(pa.table({"name": more, "n": [1, 2], "more": more})) == [Row("x", 1, more="x"), Row(None, 2)]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_any_unit_and_zone(unit: str) -> None:
    naive = NEW_YEAR.replace(tzinfo=None)
    for sent, expected in ((naive, naive), (NEW_YEAR, NEW_YEAR)):
        zone = None if sent.tzinfo is None else "Europe/Berlin"
        at = pa.array([sent, None], pa.timestamp(unit, zone))
        assert rows(pa.table({"name": ["x", "x"], "n": [1, 2], "at": at})) == [Row("x", 1, at=expected), Row("x", 2)]


def times(unit: str, zone: str | None) -> Callable[[], Any]:
    """One beyond what microseconds in 64 bits can hold."""
    return lambda: pa.array([2**62], pa.timestamp(unit, zone))


@pytest.mark.parametrize(
    ("column", "why"),
    [
        ({"n": lambda: [1.5]}, "column 'n': int cannot be made from dtype float64"),
        ({"n": lambda: ["x"]}, "column 'n': int cannot be made from text"),
        ({"n": lambda: [None]}, "column 'n': null in row 0; annotate it with `| None`"),
        ({"n": lambda: pa.array([2**63], pa.uint64())}, "column 'n': row 0 is beyond 64 bits with sign"),
        ({"n": lambda: [[1]]}, "column 'n': row 0 is a list, not int"),
        ({"name": lambda: [b"x"]}, "column 'name': row 0 is a bytes, not str"),
        ({"value": lambda: [Decimal(1)]}, "column 'value': row 0 is a Decimal, not float"),
        ({"at": lambda: pa.array([1], pa.date32())}, "column 'at': row 0 is a date, not datetime"),
        ({"at": times("s", None)}, "column 'at': .*out of bounds"),
        ({"at": times("s", "UTC")}, "column 'at': .*out of bounds"),
        ({"at": times("us", None)}, "column 'at': row 0 lies outside the years 1 to 9999"),
        ({"at": times("us", "UTC")}, "column 'at': date value out of range"),
    ],
)
def test_what_does_not_fit(column: dict[str, Callable[[], Any]], why: str) -> None:
    made = {name: make() for name, make in column.items()}
    with pytest.raises(ttp.SerializationError, match=why):
        rows(pa.table({"name": ["x"], "n": [1]} | made))


def test_what_is_no_table() -> None:
    with pytest.raises(TypeError, match="Arrow stream interface, which dict has not"):
        columns_in({"n": [1]})
    with pytest.raises(TypeError, match="column 'n' is there twice"):
        columns_in(pa.table([[1], [2]], ["n", "n"]))


@pytest.mark.parametrize("unit", ["Y", "D", "25s", "s", "ms", "us"])
@pytest.mark.parametrize("number", [2**62, -(2**62)])
def test_times_of_numpy_do_not_wrap(unit: str, number: int) -> None:
    at = np.array([0, number], f"M8[{unit}]")
    with pytest.raises(ttp.SerializationError, match="column 'at': row 1 lies outside the years 1 to 9999"):
        ttp.Batch.from_columns(Row, name=["x", "y"], n=[1, 2], at=at)
