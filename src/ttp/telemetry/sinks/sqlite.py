"""Telemetry in SQLite: each event once, however often its task is delivered.

Tables: those of `tables`, and
    stored_tasks(origin, first, last): which tasks are in: ids `<origin>.<first>` to `<origin>.<last>`.
    sink(id): a random id of this database.

Numbers are 64-bit floats, bit for bit those that were sent (but -0.0 becomes 0.0); times are the text that was sent.
"""

import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

from ttp.claims import Range, claim_sqlite, sqlite_table
from ttp.telemetry.sinks import SinkError, SinkUnavailable, check_cover
from ttp.telemetry.sinks.tables import TABLES, Rows, Split, Table, split_events

FORMAT = 1  # PRAGMA user_version
CACHE_KIB = 16_384
BUSY_TIMEOUT = 30.0  # seconds to wait for another writer
# A statement of many rows is one call into SQLite without the GIL. With one call a row, each has to win the GIL
# back from whatever other thread computes: 200 rows/s were left of 500,000.
MAX_PARAMETERS = 32_766  # of a statement
_CHUNKS = (4096, 512, 64, 8, 1)
_TYPES = {"text": "TEXT", "integer": "INTEGER", "real": "REAL", "time": "TEXT"}
_MERGES = {"sum": "{0} + excluded.{0}", "min": "min({0}, excluded.{0})", "max": "max({0}, excluded.{0})"}
_LATER = {  # errors that may be over at the next attempt
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
}  # fmt: skip


class SqliteSink:
    """A database file; made if it is not there. A `Sink`.

    What was stored survives the death of every process at once, and a power cut once it is on the disk.

    Args:
        path: of the file.
        sync_every: seconds until it is on the disk, at most; 0: before `store` returns.

    Attributes:
        path: of the file.
        id: of the database.
    """

    kind = "sqlite"

    def __init__(self, path: str | os.PathLike[str], *, sync_every: float = 1.0) -> None:
        """Open or make the database.

        Raises:
            SinkError: it cannot be opened, or is not a database of this format.
        """
        self.path = Path(path)
        self.events = self.redelivered = self.rows = self.repeated = 0
        self._sync_every = sync_every
        self._lock = threading.Lock()
        self._sync_due: threading.Timer | None = None
        self._open: tuple[int, sqlite3.Connection] | None = None
        try:
            with closing(self._connect()) as connection:
                self.id = self._prepare(connection)
        except sqlite3.Error as error:
            raise SinkError(f"cannot use {self.path} as a database: {error}") from error

    @property
    def location(self) -> str:
        """The path of the file."""
        return str(self.path)

    def store(self, ranges: Iterable[Range], rows: Sequence[Any], split: Split = split_events) -> None:
        """As `Sink.store`."""
        ranges = list(ranges)
        check_cover(ranges, rows)
        with self._lock, _later(self.path):
            connection = self._connection()
            offered = 0
            with _transaction(connection):
                new = claim_sqlite(connection, ranges, "stored_tasks")
                before = connection.total_changes
                for table, made in split([rows[row] for row in new]).items():
                    offered += len(made)
                    _insert(connection, table, made)
                written = connection.total_changes - before
            if self._sync_every > 0 and self._sync_due is None:
                self._sync_due = threading.Timer(self._sync_every, self._sync)
                self._sync_due.daemon = True
                self._sync_due.start()
            self.events += len(new)
            self.redelivered += len(rows) - len(new)
            self.rows += written
            self.repeated += offered - written

    def close(self) -> None:
        """Close the file, all of it on the disk; a later `store` opens it again."""
        if self._sync_due is not None:
            self._sync()
        with self._lock:
            if self._open is not None and self._open[0] == os.getpid():
                self._open[1].close()
            self._open = None

    def _connection(self) -> sqlite3.Connection:
        # A connection must not be used across a fork: each process has its own.
        if self._open is None or self._open[0] != os.getpid():
            self._open = os.getpid(), self._connect()
            self._sync_due = None  # a parent's timer does not run here
        return self._open[1]

    def _sync(self) -> None:
        """Put on the disk what SQLite has written to its log."""
        with self._lock:
            if self._sync_due is not None:
                self._sync_due.cancel()
            self._sync_due = None
        try:
            # SQLite holds no lock on this file, so that closing it here releases none.
            log = os.open(f"{self.path}-wal", os.O_RDONLY)
        except FileNotFoundError:
            return  # the last connection was closed: all is in the database, and on the disk
        try:
            os.fsync(log)
        finally:
            os.close(log)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        try:
            _write_ahead(connection)
            # An fsync takes milliseconds, and under little load each event has a transaction of its own. So by default
            # the disk follows within a second, as it does for the server's everysec.
            connection.execute(f"PRAGMA synchronous = {'NORMAL' if self._sync_every > 0 else 'FULL'}")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        except BaseException:  # it is no database, say
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> str:
        with _transaction(connection):
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                if connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
                    raise SinkError(f"{self.path} holds tables that are not ttp's: give another file")
                connection.execute("CREATE TABLE sink (id TEXT NOT NULL)")
                connection.execute("INSERT INTO sink VALUES (?)", (secrets.token_hex(8),))
                connection.execute(f"PRAGMA user_version = {FORMAT}")
            elif version != FORMAT:
                raise SinkError(f"{self.path} has format {version}; this version of ttp reads and writes {FORMAT}")
            connection.execute(sqlite_table("stored_tasks"))
            for table in TABLES:
                connection.execute(_schema(table))
        (sink_id,) = connection.execute("SELECT id FROM sink").fetchone()
        return str(sink_id)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Keep a write-ahead log. Of two that begin one at the same time, SQLite refuses the second without waiting."""
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(0.002)
        else:
            return


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _later(path: Path) -> Iterator[None]:
    """Tell what may be over at the next attempt from what will not."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _LATER:
            raise SinkUnavailable(f"cannot write to {path}: {error}") from error
        raise


def _schema(table: Table) -> str:
    columns = "".join(f"{name} {_TYPES[kind]} NOT NULL, " for name, kind in table.columns.items())
    return f"CREATE TABLE IF NOT EXISTS {table.name} ({columns}PRIMARY KEY ({', '.join(table.key)})) WITHOUT ROWID"


def _insert(connection: sqlite3.Connection, table: Table, rows: Rows) -> None:
    width = len(table.columns)
    rows.sort(key=itemgetter(*map([*table.columns].index, table.key)))  # neighbours in the table share a page
    updates = ", ".join(f"{column} = {_MERGES[how].format(column)}" for column, how in table.merge.items())
    conflict = f"ON CONFLICT ({', '.join(table.key)}) DO " + (f"UPDATE SET {updates}" if updates else "NOTHING")
    row = f"({', '.join('?' * width)})"
    start = 0
    for size in _CHUNKS:
        if size * width > MAX_PARAMETERS:
            continue
        statement = f"INSERT INTO {table.name} VALUES {', '.join([row] * size)} {conflict}"  # noqa: S608
        while len(rows) - start >= size:
            connection.execute(statement, list(chain.from_iterable(rows[start : start + size])))
            start += size
