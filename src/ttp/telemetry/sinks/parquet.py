"""Telemetry in Parquet files: each event once, however often its task is delivered.

A directory of commits, numbered from 0: `DIR/0000000000/readings.parquet` and so on, a file for each of the tables
of `tables` that has rows, and
    tasks.parquet(origin, first, last): which tasks are in: ids `<origin>.<first>` to `<origin>.<last>`.
Commits appear whole, by renaming their directory, and never change: `DIR/*/readings.parquet` is one data set.
Rows of `windows` are partial: those of one key are to be summed up.
"""

import fcntl
import json
import os
import secrets
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

from ttp.claims import Range, unclaimed
from ttp.telemetry.sinks import SinkError, SinkUnavailable, check_cover
from ttp.telemetry.sinks.integer_set import IntegerSet
from ttp.telemetry.sinks.tables import TABLES, Rows, Split, Table, as_time, split_events

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise SinkError(f"the Parquet sink needs an extra: pip install 'ttp[parquet]' ({error})") from error

FORMAT = 1
TASKS = Table("tasks", {"origin": "text", "first": "integer", "last": "integer"}, ("origin", "first", "last"))
_ABOUT = "ttp-sink.json"
_LOCK = ".lock"
_INCOMING = ".incoming"
_TYPES = {"text": pa.string(), "integer": pa.int64(), "real": pa.float64(), "time": pa.timestamp("us", "UTC")}


class ParquetSink:
    """A directory; made if it is not there. A `Sink`, one writer at a time.

    What was stored survives a power cut. A commit is a directory of files, so large batches make good files.

    Args:
        directory: of the commits.

    Attributes:
        id: of the directory.
    """

    kind = "parquet"

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        """Open or make the directory; what is there is read, its keys at least.

        Raises:
            SinkError: it cannot be used, or holds what is not of this format.
        """
        self.directory = Path(directory)
        self.events = self.redelivered = self.rows = self.repeated = 0
        self._lock = threading.Lock()
        self._next = 0  # number of the next commit
        self._tasks: dict[str, IntegerSet] = {}  # by origin
        self._sequences: dict[tuple[str, str, int, str], IntegerSet] = {}  # by table, device, epoch, field
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with self._locked():
                self.id = self._prepare()
                self._catch_up()
        except (OSError, pa.ArrowException) as error:
            raise SinkError(f"cannot use {self.directory} as a directory of Parquet files: {error}") from error

    @property
    def location(self) -> str:
        """The path of the directory."""
        return str(self.directory)

    def store(self, ranges: Iterable[Range], rows: Sequence[Any], split: Split = split_events) -> None:
        """As `Sink.store`."""
        ranges = list(ranges)
        check_cover(ranges, rows)
        try:
            with self._lock, self._locked():
                self._catch_up()
                stored = [
                    (origin, index, index)
                    for origin, first, last in ranges
                    if (claimed := self._tasks.get(origin)) is not None
                    for index in range(first, last + 1)
                    if index in claimed
                ]
                new = unclaimed(ranges, stored)
                if new:
                    self._commit(split([rows[row] for row in new]), ranges)
                self.events += len(new)
                self.redelivered += len(rows) - len(new)
        except OSError as error:
            raise SinkUnavailable(f"cannot write to {self.directory}: {error}") from error

    def close(self) -> None:
        """Do nothing: no file is open between two commits."""

    def _prepare(self) -> str:
        about = self.directory / _ABOUT
        if not about.exists():
            if {entry.name for entry in self.directory.iterdir()} - {_LOCK, f".{_ABOUT}"}:
                raise SinkError(f"{self.directory} holds files that are not ttp's: give another directory")
            draft = self.directory / f".{_ABOUT}"
            draft.write_text(json.dumps({"format": FORMAT, "id": secrets.token_hex(8)}))
            draft.rename(about)
        facts = json.loads(about.read_text())
        if facts["format"] != FORMAT:
            raise SinkError(
                f"{self.directory} has format {facts['format']}; this version of ttp reads and writes {FORMAT}"
            )
        return str(facts["id"])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes out; the lock ends with its holder."""
        lock = os.open(self.directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _catch_up(self) -> None:
        """Take note of what other processes have stored."""
        while (commit := self._path(self._next)).exists():
            for table in (*TABLES, TASKS):
                file = commit / f"{table.name}.parquet"
                if not table.merge and file.exists():
                    columns = pq.ParquetFile(file).read(columns=[*table.key]).to_pydict()
                    self._note(table, zip(*(columns[name] for name in table.key), strict=True))
            self._next += 1

    def _commit(self, made: Mapping[Table, Rows], ranges: list[Range]) -> None:
        """Write what is new among the rows, and the ids, as the next commit."""
        keep: dict[Table, Rows] = {TASKS: [*ranges]}
        keys: dict[Table, Rows] = {TASKS: [*ranges]}
        for table, rows in made.items():
            keep[table] = rows
            if not table.merge:
                fresh = self._fresh(table, rows)
                keys[table], keep[table] = [*fresh], [*fresh.values()]
        incoming = self.directory / _INCOMING
        shutil.rmtree(incoming, ignore_errors=True)  # of a process that died
        incoming.mkdir()
        for table, rows in keep.items():
            if rows:
                _write(incoming / f"{table.name}.parquet", table, rows)
        _sync(incoming)
        incoming.rename(self._path(self._next))
        _sync(self.directory)
        self._next += 1
        for table, noted in keys.items():
            self._note(table, noted)
        written = sum(map(len, keep.values())) - len(ranges)
        self.rows += written
        self.repeated += sum(map(len, made.values())) - written

    def _fresh(self, table: Table, rows: Rows) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        """By their keys, the rows whose keys are not there yet."""
        key = itemgetter(*map([*table.columns].index, table.key))
        fresh: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for row in rows:
            device, epoch, sequence, field = found = key(row)
            known = self._sequences.get((table.name, device, epoch, field))
            if known is None or sequence not in known:
                fresh.setdefault(found, row)
        return fresh

    def _note(self, table: Table, keys: Iterable[tuple[Any, ...]]) -> None:
        """Remember that these are stored."""
        if table is TASKS:
            for origin, first, last in keys:
                self._tasks.setdefault(origin, IntegerSet()).add(first, last)
            return
        for device, epoch, sequence, field in keys:
            name = (table.name, device, epoch, field)
            self._sequences.setdefault(name, IntegerSet()).add(sequence, sequence)

    def _path(self, number: int) -> Path:
        return self.directory / f"{number:010d}"


def _write(path: Path, table: Table, rows: Rows) -> None:
    arrays = [
        pa.array([as_time(value) for value in column] if kind == "time" else column, _TYPES[kind])
        for kind, column in zip(table.columns.values(), zip(*rows, strict=True), strict=True)
    ]
    pq.write_table(pa.table(arrays, names=[*table.columns]), path)
    _sync(path)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
