"""Telemetry in SQLite: each event once, however often its task is delivered.

Tables:
    readings(device, epoch, sequence, timestamp, field, value): one row per event and numeric field. value is a
        64-bit float, bit for bit the one that was sent (but -0.0 becomes 0.0); true and false are 1 and 0.
    attributes(device, epoch, sequence, timestamp, field, value): the same for fields that are no such number:
        text, NaN, and integers that no float equals. value is text.
    stored_tasks(origin, first, last): which tasks are in: ids `<origin>.<first>` to `<origin>.<last>`.
    sink(id): a random id of this database.

An event is identified by device, epoch and sequence: a second one of the same identity adds no row.
"""

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

from ttp.telemetry.sinks import SinkError

Range = tuple[str, int, int]
"""Ids of tasks in a row: (`<queue>.<partition>.<origin>`, first index, last index)."""
EventRow = tuple[str, int, int, str, Mapping[str, Any]]
"""The fields of a `Record`."""
_Row = tuple[str, int, int, str, str, float | str]

FORMAT = 1  # PRAGMA user_version
CACHE_KIB = 16_384
BUSY_TIMEOUT = 30.0  # seconds to wait for another writer
# A statement of many rows is one call into SQLite without the GIL. With one call a row, each has to win the GIL
# back from whatever other thread computes: 200 rows/s were left of 500,000.
_CHUNKS = (4096, 512, 64, 8, 1)
_COLUMNS = """
    device TEXT NOT NULL, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL,
    timestamp TEXT NOT NULL, field TEXT NOT NULL, value {type} NOT NULL,
    PRIMARY KEY (device, epoch, sequence, field)
"""
_SCHEMA = (
    f"CREATE TABLE readings ({_COLUMNS.format(type='REAL')}) WITHOUT ROWID",
    f"CREATE TABLE attributes ({_COLUMNS.format(type='TEXT')}) WITHOUT ROWID",
    """CREATE TABLE stored_tasks (
        origin TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (origin, first)
    ) WITHOUT ROWID""",
    "CREATE TABLE sink (id TEXT NOT NULL)",
    f"PRAGMA user_version = {FORMAT}",
)

_PRIMARY_KEY = itemgetter(0, 1, 2, 4)
_MARK = """INSERT INTO stored_tasks VALUES (?, ?, ?)
    ON CONFLICT (origin, first) DO UPDATE SET last = max(last, excluded.last)"""


class SqliteSink:
    """A database file; made if it is not there. May be shared by threads, and by processes that fork.

    What was stored survives the death of every process at once, and a power cut once it is on the disk.

    Args:
        path: of the file.
        sync_every: seconds until it is on the disk, at most; 0: before `store` returns.

    Attributes:
        path: of the file.
        id: of the database, random, made with it.
        events: tasks stored by this object so far.
        redelivered: tasks left out because they were stored before.
        rows: rows written to readings and attributes.
        repeated: rows left out because an event of the same identity has them.
    """

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

    def store(self, ranges: Iterable[Range], rows: Sequence[EventRow]) -> None:
        """Store events in one transaction, those left out whose task is stored already.

        Args:
            ranges: the ids of the events' tasks, in the order of the rows.
            rows: one per task, as fields of a `Record`.

        Raises:
            ValueError: the ranges do not cover the rows.
            sqlite3.Error: the database refused; nothing of it was stored.
        """
        ranges = list(ranges)
        if sum(last - first + 1 for _, first, last in ranges) != len(rows):
            raise ValueError(f"{ranges} are not the ids of {len(rows)} rows")
        with self._lock:
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                new = _unstored(connection, ranges, rows)
                readings, attributes = _split(new)
                before = connection.total_changes
                _insert(connection, "readings", readings)
                _insert(connection, "attributes", attributes)
                written = connection.total_changes - before
                connection.executemany(_MARK, ranges)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            if self._sync_every > 0 and self._sync_due is None:
                self._sync_due = threading.Timer(self._sync_every, self._sync)
                self._sync_due.daemon = True
                self._sync_due.start()
            self.events += len(new)
            self.redelivered += len(rows) - len(new)
            self.rows += written
            self.repeated += len(readings) + len(attributes) - written

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
        connection.execute("PRAGMA journal_mode = WAL")
        # An fsync takes milliseconds, and under little load each event has a transaction of its own. So by default
        # the disk follows within a second, as it does for the server's everysec.
        connection.execute(f"PRAGMA synchronous = {'NORMAL' if self._sync_every > 0 else 'FULL'}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> str:
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            if connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
                raise SinkError(f"{self.path} holds tables that are not ttp's: give another file")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute("INSERT INTO sink VALUES (?)", (secrets.token_hex(8),))
        elif version != FORMAT:
            raise SinkError(f"{self.path} has format {version}; this version of ttp reads and writes {FORMAT}")
        connection.execute("COMMIT")
        (sink_id,) = connection.execute("SELECT id FROM sink").fetchone()
        return str(sink_id)


def _unstored(connection: sqlite3.Connection, ranges: list[Range], rows: Sequence[EventRow]) -> Sequence[EventRow]:
    """The rows whose task is in no stored range."""
    stored: set[tuple[str, int]] = set()
    for origin, first, last in ranges:
        overlaps = connection.execute(
            "SELECT max(first, ?), min(last, ?) FROM stored_tasks WHERE origin = ? AND first <= ? AND last >= ?",
            (first, last, origin, last, first),
        )
        for begin, end in overlaps.fetchall():
            stored.update((origin, index) for index in range(begin, end + 1))
    if not stored:
        return rows
    tasks = chain.from_iterable(((origin, index) for index in range(first, last + 1)) for origin, first, last in ranges)
    return [row for task, row in zip(tasks, rows, strict=True) if task not in stored]


def _split(events: Sequence[EventRow]) -> tuple[list[_Row], list[_Row]]:
    """One row per field: numbers, and the rest as text."""
    readings: list[_Row] = []
    attributes: list[_Row] = []
    for device, epoch, sequence, timestamp, fields in events:
        for name, value in fields.items():
            if type(value) is float and value == value:  # noqa: PLR0124 - NaN, which SQLite would store as NULL
                readings.append((device, epoch, sequence, timestamp, name, value))
            elif isinstance(value, int) and _is_float(value):
                readings.append((device, epoch, sequence, timestamp, name, float(value)))
            elif value is not None:
                attributes.append((device, epoch, sequence, timestamp, name, str(value)))
    return readings, attributes


def _is_float(value: int) -> bool:
    try:
        return float(value) == value
    except OverflowError:
        return False


def _insert(connection: sqlite3.Connection, table: str, rows: list[_Row]) -> None:
    rows.sort(key=_PRIMARY_KEY)  # neighbours in the table share a page
    start = 0
    for size in _CHUNKS:
        statement = f"INSERT OR IGNORE INTO {table} VALUES " + ", ".join(["(?, ?, ?, ?, ?, ?)"] * size)  # noqa: S608
        while len(rows) - start >= size:
            connection.execute(statement, list(chain.from_iterable(rows[start : start + size])))
            start += size
