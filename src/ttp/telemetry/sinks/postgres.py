"""Telemetry in PostgreSQL (14 or newer): each event once, however often its task is delivered.

Tables, in the schema `ttp`: those of `tables`, and
    stored_tasks(origin, tasks): which tasks are in: ids `<origin>.<n>` for each n of the multirange.
    sink(id): a random id of this database.

Numbers are 64-bit floats, bit for bit those that were sent; times are timestamptz.
"""

import os
import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ttp.claims import Range, claim_postgres, prepare_postgres
from ttp.telemetry.sinks import SinkError, SinkUnavailable, check_cover
from ttp.telemetry.sinks.tables import TABLES, Rows, Split, Table, as_time, split_events

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
except ImportError as error:
    raise SinkError(f"the PostgreSQL sink needs an extra: pip install 'ttp[postgres]' ({error})") from error

CONNECT_TIMEOUT = 10  # seconds
MIN_VERSION = 14
_TYPES = {"text": "text", "integer": "int8", "real": "float8", "time": "timestamptz"}
_MERGES = {
    "sum": "{0}.{1} + excluded.{1}",
    "min": "least({0}.{1}, excluded.{1})",
    "max": "greatest({0}.{1}, excluded.{1})",
}


class PostgresSink:
    """A database; its schema is made if it is not there. A `Sink`. Nothing is opened before it is used.

    What was stored is as durable as the database's `synchronous_commit` says, by default: on the disk.

    Args:
        url: postgresql://user@host/database, or what else libpq takes: `dbname=plant host=/run/postgresql`.
            What it does not say comes from PGHOST, PGPASSWORD and so on, and from ~/.pgpass.
    """

    kind = "postgres"

    def __init__(self, url: str) -> None:
        """Take note of where the database is.

        Raises:
            SinkError: this is no address of one.
        """
        try:
            settings: dict[str, Any] = {**conninfo_to_dict(url)}
        except psycopg.Error:
            # libpq would show it, password and all.
            raise SinkError("no address of a PostgreSQL: expected postgresql://user@host/database") from None
        self._settings: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT, "application_name": "ttp"} | settings
        self.location = " ".join(
            f"{name}={settings[name]}" for name in ("dbname", "host", "port", "user") if settings.get(name)
        )
        self.events = self.redelivered = self.rows = self.repeated = 0
        self._lock = threading.Lock()
        self._connections: dict[int, psycopg.Connection[tuple[Any, ...]]] = {}  # of each process that forked from here
        self._id: str | None = None

    def __repr__(self) -> str:
        return f"<PostgresSink {self.location}>"

    @property
    def id(self) -> str:
        """Of the database's schema `ttp`, random, made with it.

        Raises:
            SinkError: the database cannot be used.
        """
        if self._id is None:
            with self._lock, _unavailable(self.location):
                self._connection()
        assert self._id is not None
        return self._id

    def store(self, ranges: Iterable[Range], rows: Sequence[Any], split: Split = split_events) -> None:
        """As `Sink.store`. A connection that was lost is made anew."""
        ranges = list(ranges)
        check_cover(ranges, rows)
        with self._lock, _unavailable(self.location):
            try:
                new, offered, written = self._store(ranges, rows, split)
            except psycopg.OperationalError:
                if not self._connection_lost():
                    raise
                # Perhaps it was stored, and only the answer was lost: then the tasks' ids say so.
                new, offered, written = self._store(ranges, rows, split)
            self.events += new
            self.redelivered += len(rows) - new
            self.rows += written
            self.repeated += offered - written

    def close(self) -> None:
        """Close the connection; a later `store` opens it again."""
        with self._lock:
            if (connection := self._connections.pop(os.getpid(), None)) is not None:
                connection.close()

    def _store(self, ranges: list[Range], rows: Sequence[Any], split: Split) -> tuple[int, int, int]:
        """Numbers: of tasks that were new, of rows made of them, and of rows that were written."""
        connection = self._connection()
        offered = written = 0
        with connection.transaction():
            new = claim_postgres(connection, ranges)
            for table, made in split([rows[row] for row in new]).items():
                if made:
                    offered += len(made)
                    written += _insert(connection, table, made)
        return len(new), offered, written

    def _connection_lost(self) -> bool:
        connection = self._connections.get(os.getpid())
        return connection is None or connection.closed

    def _connection(self) -> "psycopg.Connection[tuple[Any, ...]]":
        # A connection must not be used across a fork: each process has its own. A parent's is kept, unused, as
        # its end would be the parent's too.
        if self._connection_lost():
            connection = psycopg.connect(**self._settings, autocommit=True)
            if (version := connection.info.server_version // 10_000) < MIN_VERSION:
                connection.close()
                raise SinkError(f"PostgreSQL {version} is too old: {MIN_VERSION} or newer is needed")
            connection.execute("SET TimeZone = 'UTC'")
            self._id = _prepare(connection)
            self._connections[os.getpid()] = connection
        return self._connections[os.getpid()]


@contextmanager
def _unavailable(location: str) -> Iterator[None]:
    """Tell what may be over at the next attempt: no connection, a disk that is full, a deadlock."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise SinkUnavailable(f"PostgreSQL at {location}: {error}") from error


def _prepare(connection: "psycopg.Connection[tuple[Any, ...]]") -> str:
    """Make what is missing; returns the id."""
    if connection.execute("SELECT to_regclass('ttp.sink') IS NULL").fetchone() == (True,):
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('ttp.sink'))")
            prepare_postgres(connection)
            for table in TABLES:
                columns = "".join(f"{name} {_TYPES[kind]} NOT NULL, " for name, kind in table.columns.items())
                key = f"PRIMARY KEY ({', '.join(table.key)})"
                connection.execute(f"CREATE TABLE IF NOT EXISTS ttp.{table.name} ({columns}{key})".encode())
            connection.execute("CREATE TABLE IF NOT EXISTS ttp.sink (id text NOT NULL)")
            connection.execute(
                "INSERT INTO ttp.sink SELECT %s WHERE NOT EXISTS (SELECT FROM ttp.sink)", (secrets.token_hex(8),)
            )
    row = connection.execute("SELECT id FROM ttp.sink").fetchone()
    if row is None:
        raise SinkError("the table ttp.sink is empty: DROP SCHEMA ttp CASCADE makes room for a new sink")
    return str(row[0])


def _insert(connection: "psycopg.Connection[tuple[Any, ...]]", table: Table, rows: Rows) -> int:
    """Insert rows in one statement. Returns how many were written."""
    key = [*map([*table.columns].index, table.key)]
    rows.sort(key=lambda row: [row[at] for at in key])  # all in one order: no two transactions wait for each other
    columns = [
        [as_time(value) for value in column] if kind == "time" else list(column)
        for kind, column in zip(table.columns.values(), zip(*rows, strict=True), strict=True)
    ]
    updates = ", ".join(f"{column} = {_MERGES[how].format(table.name, column)}" for column, how in table.merge.items())
    conflict = f"({', '.join(table.key)}) DO UPDATE SET {updates}" if updates else "DO NOTHING"
    arrays = ", ".join(f"%s::{_TYPES[kind]}[]" for kind in table.columns.values())
    statement = f"INSERT INTO ttp.{table.name} SELECT * FROM unnest({arrays}) ON CONFLICT {conflict}"  # noqa: S608
    return connection.execute(statement.encode(), columns).rowcount
