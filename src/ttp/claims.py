"""Claims: which tasks' effects are in a database, recorded in the transaction of the effects.

A task may run more than once: its worker dies after the handler, before the commit. What it writes to a database
is there once all the same if the ids of the tasks are written in the same transaction, and a task whose id is
there writes nothing.
"""

import sqlite3
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ttp.task import TaskContext

if TYPE_CHECKING:
    import psycopg

Range = tuple[str, int, int]
"""Ids of tasks in a row: (`<queue>.<partition>.<origin>`, first index, last index)."""

TABLE = "ttp_stored_tasks"  # in a database of the user's own
_ADVISORY_LOCK = 0x7474705F  # makes tables of PostgreSQL one process at a time


class Ranged(Protocol):
    """What `claim` asks of a batch."""

    def ranges(self) -> list[Range]: ...


def claim(connection: "sqlite3.Connection | psycopg.Connection[Any]", tasks: Ranged | TaskContext) -> Sequence[int]:
    """The rows of a batch that this database has not got yet, and record in the same transaction that it has.

    Write what belongs to these rows on the same connection, and commit: it is in the database once, however
    often the tasks run. When the transaction is rolled back, so is the record. Two workers that claim the same
    task wait for each other.

    The record is a table that is made where it is missing: `ttp_stored_tasks` in SQLite, `ttp.stored_tasks` in
    PostgreSQL (14 or newer).

    Args:
        connection: of `sqlite3` or psycopg 3. A transaction is begun where none is open.
        tasks: the batch, or `ttp.current_task()` in the handler of a single one, which counts as row 0.

    Returns:
        Row numbers, ascending; empty when all are there.

    Raises:
        TypeError: the connection is of another kind.
        ValueError: the connection commits every statement by itself, and no transaction is open.
    """
    if isinstance(tasks, TaskContext):
        prefix, _, index = tasks.id.rpartition(".")
        ranges = [(prefix, int(index), int(index))]
    else:
        ranges = tasks.ranges()
    if isinstance(connection, sqlite3.Connection):
        _begin(connection)
        connection.execute(sqlite_table(TABLE))
        return claim_sqlite(connection, ranges, TABLE)
    psycopg = sys.modules.get("psycopg")
    if psycopg is None or not isinstance(connection, psycopg.Connection):
        raise TypeError(f"claim needs a connection of sqlite3 or psycopg 3, not {type(connection).__qualname__}")
    if connection.autocommit and connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
        raise ValueError("this connection commits by itself: claim inside `with connection.transaction():`")
    prepare_postgres(connection)
    return claim_postgres(connection, ranges)


def unclaimed(ranges: Iterable[Range], stored: Iterable[Range]) -> Sequence[int]:
    """Of rows whose tasks are these ranges, in order, the numbers of those that are in no stored range."""
    claimed = {(origin, index) for origin, first, last in stored for index in range(first, last + 1)}
    if not claimed:
        return range(sum(last - first + 1 for _, first, last in ranges))
    tasks = ((origin, index) for origin, first, last in ranges for index in range(first, last + 1))
    return [row for row, task in enumerate(tasks) if task not in claimed]


# SQLite


def sqlite_table(name: str) -> str:
    """The statement that makes the table of claims where it is missing."""
    return f"""CREATE TABLE IF NOT EXISTS {name} (
        origin TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (origin, first)
    ) WITHOUT ROWID"""


def claim_sqlite(connection: sqlite3.Connection, ranges: Sequence[Range], table: str) -> Sequence[int]:
    """`claim` of ranges, in an open transaction and a table that exists."""
    cursor = connection.cursor()
    cursor.row_factory = None  # rows are tuples, whatever the user's own are
    cursor.execute(f"DELETE FROM {table} WHERE 0")  # noqa: S608 - takes the write lock, before anything is read
    stored = []
    overlaps = f"SELECT first, last FROM {table} WHERE origin = ? AND first <= ? AND last >= ?"  # noqa: S608
    for origin, first, last in ranges:
        found = cursor.execute(overlaps, (origin, last, first)).fetchall()
        stored += [(origin, max(first, begin), min(last, end)) for begin, end in found]
    cursor.executemany(
        f"""INSERT INTO {table} VALUES (?, ?, ?)
            ON CONFLICT (origin, first) DO UPDATE SET last = max(last, excluded.last)""",  # noqa: S608
        ranges,
    )
    return unclaimed(ranges, stored)


def _begin(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        return
    if getattr(connection, "autocommit", None) is True:  # Python 3.12: `with connection:` commits nothing then
        raise ValueError("this connection commits by itself: execute BEGIN IMMEDIATE before the claim, COMMIT after")
    connection.execute("BEGIN IMMEDIATE")


# PostgreSQL


def prepare_postgres(connection: "psycopg.Connection[Any]") -> None:
    """Make schema and table of claims where they are missing."""
    with _cursor(connection) as cursor:
        if cursor.execute("SELECT to_regclass('ttp.stored_tasks') IS NOT NULL").fetchone() == (True,):
            return
        # IF NOT EXISTS does not wait for another that makes the same: this lock does.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
        cursor.execute("CREATE SCHEMA IF NOT EXISTS ttp")
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS ttp.stored_tasks (origin text PRIMARY KEY, tasks int8multirange NOT NULL)"
        )


def claim_postgres(connection: "psycopg.Connection[Any]", ranges: Sequence[Range]) -> Sequence[int]:
    """`claim` of ranges, in a table that exists."""
    pieces: dict[str, list[str]] = {}
    for origin, first, last in sorted(ranges):  # all in one order: no two transactions wait for each other
        pieces.setdefault(origin, []).append(f"[{first},{last}]")
    claims = {origin: "{" + ",".join(spans) + "}" for origin, spans in pieces.items()}
    with _cursor(connection) as cursor:
        # Nearly always the tasks of a frame are stored together, once: a row that is new needs no further look.
        # The row of another transaction that has not ended is waited for.
        cursor.execute(
            """INSERT INTO ttp.stored_tasks
                SELECT origin, tasks::int8multirange FROM unnest(%s::text[], %s::text[]) AS new (origin, tasks)
                ON CONFLICT DO NOTHING RETURNING origin""",
            (list(claims), list(claims.values())),
        )
        known = sorted(claims.keys() - {origin for (origin,) in cursor.fetchall()})
        if not known:
            return unclaimed(ranges, ())
        cursor.execute(
            """SELECT origin, lower(span), upper(span) - 1
                FROM (SELECT * FROM ttp.stored_tasks WHERE origin = ANY(%s) ORDER BY origin FOR UPDATE) AS locked,
                    unnest(tasks) AS span""",
            (known,),
        )
        stored = cursor.fetchall()
        cursor.executemany(
            "UPDATE ttp.stored_tasks SET tasks = tasks + %s::int8multirange WHERE origin = %s",
            [(claims[origin], origin) for origin in known],
        )
    return unclaimed(ranges, stored)


def _cursor(connection: "psycopg.Connection[Any]") -> "psycopg.Cursor[Any]":
    """A cursor whose rows are tuples, whatever the user's own are."""
    from psycopg import Cursor  # noqa: PLC0415 - there, as the connection is
    from psycopg.rows import tuple_row  # noqa: PLC0415

    return Cursor(connection, row_factory=tuple_row)
