"""CSV files: a header line, then one event a line."""

import csv
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, islice
from typing import ClassVar

from ttp.telemetry.event import Record, Scalar, check_integer, parse_timestamp
from ttp.telemetry.sources.record_file import RecordFile

TIMESTAMP_NAMES = ("timestamp", "date", "datetime", "time", "ts")
DEVICE_NAMES = ("device", "device_id")
SEQUENCE_NAMES = ("sequence", "sequence_id", "seq", "")
EXACT = 2**53  # from here on, a float may be another integer than the one that was written
SAMPLE = 100  # rows that decide whether a column is numeric


class CsvFile(RecordFile):
    """Columns become fields; the header says which column is what, in any case of letters.

    - The timestamp is called timestamp, date, datetime, time or ts, the device device or device_id.
    - The sequence is called sequence, sequence_id or seq, or has no name: an empty one, or a header that is
      one name short. Without such a column it is the number of the row, from 1, bad rows counted.
    - A column is numeric if more than half of its cells in the first 100 rows are, and so is one called value;
      other columns are text. An empty cell is no field; a cell of a numeric column that is no number,
      or NaN or infinite, makes the row bad. So does an integer that neither a float equals nor 64 bits hold.
    - Cells are separated by comma, semicolon or tab. A line is a row: quoted cells do not span lines.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv")

    def check(self) -> None:
        with self._open() as lines:
            header, sample = next(lines, ""), list(islice(lines, SAMPLE))
        if not header.strip():
            raise ValueError(f"{self.path}: empty, expected a header line")
        _Columns(header, sample, str(self.path))

    def parse(self, lines: Iterator[str]) -> Iterator[Record]:
        header, sample = next(lines, ""), list(islice(lines, SAMPLE))
        columns = _Columns(header, sample, str(self.path))
        for row, line in enumerate(chain(sample, lines), 1):
            if not line.strip():
                continue
            try:
                record = columns.record(line, self.device, row)
            except ValueError as error:
                self.refuse(str(error), row + 1)
            else:
                self.line = row + 1
                yield record


class _Columns:
    """Which column is what."""

    def __init__(self, header: str, sample: list[str], path: str) -> None:
        if "\r" in header.rstrip("\r\n"):
            raise ValueError(f"{path}: lines end with CR alone: write it with LF or CRLF")
        self._separator = max(",;\t", key=header.count)
        names = [name.strip() for name in self._cells(header)]
        rows = []
        for line in sample:
            with suppress(ValueError):
                rows.append(self._cells(line))
        if rows and sum(len(row) == len(names) + 1 for row in rows) * 2 > len(rows):
            names.insert(0, "")
        lower = [name.lower() for name in names]
        self._width = len(names)
        timestamp = _find(lower, TIMESTAMP_NAMES)
        self._device = _find(lower, DEVICE_NAMES)
        self._epoch = _find(lower, ("epoch",))
        self._sequence = _find(lower, SEQUENCE_NAMES)
        if timestamp is None:
            wanted = ", ".join(TIMESTAMP_NAMES)
            raise ValueError(f"{path}: no timestamp column (one of {wanted}) in the header {names}")
        self._timestamp = timestamp
        identity = {timestamp, self._device, self._epoch, self._sequence}
        fields = [(i, name) for i, name in enumerate(names) if i not in identity]
        if not fields:
            raise ValueError(f"{path}: no column beside the timestamp in the header {names}")
        if len({name for _, name in fields}) != len(fields):
            raise ValueError(f"{path}: two columns of one name in the header {names}")
        whole = [row for row in rows if len(row) == self._width]
        self._fields: list[tuple[int, str, Callable[[str], Scalar]]] = [
            (i, name, _number if _numeric(lower[i], [row[i] for row in whole]) else _text) for i, name in fields
        ]

    def record(self, line: str, device: str, row: int) -> Record:
        """The event in a line. ValueError if it is none."""
        cells = self._cells(line)
        if len(cells) != self._width:
            raise ValueError(f"{len(cells)} cells where the header has {self._width}")
        fields: dict[str, Scalar] = {}
        for i, name, convert in self._fields:
            cell = cells[i]
            if not cell or cell.isspace():
                continue
            try:
                fields[name] = convert(cell)
            except ValueError as error:
                raise ValueError(f"{name} is {error}: {_shown(cell)}") from None
        if not fields:
            raise ValueError("no values")
        return Record(
            device if self._device is None else _text(cells[self._device].strip()) or device,
            0 if self._epoch is None else _integer("epoch", cells[self._epoch]),
            row if self._sequence is None else _integer("sequence", cells[self._sequence]),
            parse_timestamp(cells[self._timestamp]),
            fields,
        )

    def _cells(self, line: str) -> list[str]:
        if '"' not in line:
            return line.rstrip("\r\n").split(self._separator)
        try:
            return next(csv.reader((line,), delimiter=self._separator, strict=True))
        except csv.Error as error:
            raise ValueError(f"not CSV: {error}") from None


def _find(names: list[str], wanted: tuple[str, ...]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _numeric(name: str, cells: list[str]) -> bool:
    filled = [cell for cell in cells if cell.strip()]
    return name == "value" or sum(_float(cell) is not None for cell in filled) * 2 > len(filled)


def _float(cell: str) -> float | None:
    """None if it is no number; NaN and infinities are."""
    try:
        return None if "_" in cell else float(cell)  # float() takes 1_000
    except ValueError:
        return None


def _number(cell: str) -> float | int:
    value = _float(cell)
    if value is None:
        raise ValueError("not a number")
    if not math.isfinite(value):
        raise ValueError("not finite")
    if abs(value) >= EXACT and cell.strip().lstrip("+-").isdigit() and (whole := int(cell)) != value:
        if not -(2**63) <= whole < 2**63:
            raise ValueError("an integer of more than 64 bits")
        return whole
    return value


def _text(cell: str) -> str:
    if not cell.isascii():
        try:
            cell.encode()
        except UnicodeEncodeError:
            raise ValueError("not UTF-8 text") from None
    return cell


def _integer(name: str, cell: str) -> int:
    try:
        value = int(cell)
    except ValueError:
        raise ValueError(f"{name} is not an integer: {_shown(cell)}") from None
    return check_integer(name, value)


def _shown(cell: str) -> str:
    return repr(cell[:40].encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
