"""What is in a sink, as somebody else reads it: with the database's own client."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from operator import add
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq

from ttp.telemetry.sinks.tables import WINDOWS, Table

Target = str
"""As in `open_sink`."""


def read(target: Target, table: Table, *columns: str) -> list[tuple[Any, ...]]:
    """The rows of a table, in order of its key; times as ISO text in UTC."""
    kind, _, place = target.partition(":")
    query = f"SELECT {', '.join(columns)} FROM {{}}{table.name} ORDER BY {', '.join(table.key)}"
    if kind == "sqlite":
        with closing(sqlite3.connect(place)) as connection:
            rows = connection.execute(query.format("")).fetchall()
    elif kind == "postgres":
        with psycopg.connect(place) as connection:
            rows = connection.execute(query.format("ttp.").replace("device", 'device COLLATE "C"').encode()).fetchall()
    else:
        rows = _read_parquet(Path(place), table, columns)
    return [tuple(map(_plain, columns, row)) for row in rows]


def _read_parquet(directory: Path, table: Table, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    rows = [row for file in directory.glob(f"*/{table.name}.parquet") for row in pq.read_table(file).to_pylist()]
    if table is WINDOWS:
        rows = _summed_up(rows)
    rows.sort(key=lambda row: [row[name] for name in table.key])
    return [tuple(row[name] for name in columns) for row in rows]


def _summed_up(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    whole: dict[tuple[Any, ...], dict[str, Any]] = {}
    how: dict[str, Callable[..., Any]] = {"sum": add, "min": min, "max": max}
    for row in rows:
        key = tuple(row[name] for name in WINDOWS.key)
        before = whole.setdefault(key, row)
        if before is not row:
            for column, merge in WINDOWS.merge.items():
                before[column] = how[merge](before[column], row[column])
    return [*whole.values()]


def _plain(column: str, value: Any) -> Any:
    if column not in ("timestamp", "start"):
        return value
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
