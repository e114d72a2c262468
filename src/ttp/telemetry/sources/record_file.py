"""Recorded telemetry: what CSV and JSON Lines files have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TextIO

from ttp.native import EventColumns
from ttp.telemetry.event import Record
from ttp.telemetry.sources.intake import Malformed, add, new_columns


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line of a file that is no event."""

    path: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}"


class RecordFile(ABC):
    """A file of events, one a line, read once by iterating. What does not parse goes to `on_bad`; the rest goes on.

    Attributes:
        device: the device of events that name none: the file's stem, unless given.
        line: the line of the latest event.
        events, bad: how many lines were events, and how many were not.
    """

    suffixes: ClassVar[tuple[str, ...]]

    def __init__(self, path: Path, *, device: str | None = None, on_bad: Callable[[BadRow], None]) -> None:
        self.path = path
        self.device = device or path.stem
        self.line = 0
        self.events = 0
        self.bad = 0
        self._on_bad = on_bad

    @abstractmethod
    def check(self) -> None:
        """Open the file and look at its beginning.

        Raises:
            ValueError: its rows cannot be events; the message names the file.
            OSError: it cannot be read.
        """

    @abstractmethod
    def parse(self, lines: Iterator[str]) -> Iterator[Record]:
        """The events of these lines, `line` set to each one's number."""

    def __iter__(self) -> Iterator[Record]:
        with self._open() as lines:
            for record in self.parse(lines):
                self.events += 1
                yield record

    def batches(self) -> Iterator[EventColumns]:
        """The same events as columns of a frame each; whoever gets them empties them."""
        columns = new_columns()
        for record in self:
            self.add(columns, record)
            if columns.full:
                yield columns
        if len(columns):
            yield columns

    def add(self, columns: EventColumns, record: Record) -> None:
        """Add the latest event to columns; one that is larger than a task may be is a bad row."""
        try:
            add(columns, record)
        except Malformed as error:
            self.refuse(str(error))

    def _open(self) -> TextIO:
        # Bytes that are not UTF-8 make one bad row, not the end of the file.
        return self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n")

    def count_lines(self) -> int:
        """Lines in the file: events, at most."""
        with self.path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))

    def refuse(self, reason: str, line: int | None = None) -> None:
        """Report a row as bad; that of the latest event where no line is given."""
        self.bad += 1
        self._on_bad(BadRow(self.path, self.line if line is None else line, reason))
