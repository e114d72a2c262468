"""Rows of a frame as columns."""

import struct
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from ttp.errors import CorruptFrame
from ttp.native._pure.codec import Decoder
from ttp.native._pure.column import (
    BOOL,
    FLOAT64,
    INT64,
    MAX_COLUMNS,
    STRING,
    TIMESTAMP,
    TIMESTAMP_UTC,
    VALUE,
    bits,
    ends,
)
from ttp.native.types import DATETIME

SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
YEAR_1, YEAR_10000 = -62_135_596_800 * SECOND, 253_402_300_800 * SECOND
FLOAT32: Final = 0xCA  # its signalling NaNs change when they are widened

NULLS: Final[dict[int, Any]] = {BOOL: False, INT64: 0, FLOAT64: float("nan"), TIMESTAMP: -(2**63), STRING: b""}
CODES: Final = {INT64: "q", FLOAT64: "d", TIMESTAMP: "q", TIMESTAMP_UTC: "q"}

Buffers = tuple[str, int, bytes, bytes, bytes, bytes]


class Left(Exception):
    """A row is not plain."""


class Field(NamedTuple):
    """An argument of a row, as a column."""

    name: str
    type: int
    nullable: bool
    fallback: bytes


class _Row(Decoder):
    """Reads arguments."""

    def container(self, wanted: str) -> int:
        kind, count = self._token()
        if kind != wanted:
            raise Left
        return int(count)

    def name(self) -> bytes:
        kind, text = self._token()
        if kind != "str":
            raise Left
        return bytes(text)

    @property
    def done(self) -> bool:
        return self._at == len(self._data)

    def value(self, kind: int) -> tuple[int, Any]:
        """(column type, value); null as None."""
        begin = self._at
        if kind == VALUE:
            return kind, self._skipped(begin)
        form, value = self._token()
        if form == "scalar" and value is None:
            return kind, None
        if kind == TIMESTAMP:
            return _time(form, value)
        if kind == STRING:
            if form != "str":
                raise Left
            bytes(value).decode()
            return kind, bytes(value)
        fits = {BOOL: (bool,), INT64: (int,), FLOAT64: (int, float)}[kind]
        if form != "scalar" or type(value) not in fits or (kind == FLOAT64 and self._data[begin] == FLOAT32):
            raise Left
        if kind == INT64 and value >= 2**63:
            raise Left
        return kind, float(value) if kind == FLOAT64 else value

    def _skipped(self, begin: int) -> bytes:
        """A value as it is, whatever it is."""
        left = 1
        while left:
            kind, count = self._token()
            left += {"array": 1, "map": 2}.get(kind, 0) * (count if kind in ("array", "map") else 0) - 1
        return bytes(self._data[begin : self._at])


def _time(form: str, value: Any) -> tuple[int, int]:
    """A wall clock's microseconds, less how far a zone is ahead of UTC."""
    if form != "ext" or value[0] != DATETIME or len(value[1]) not in (8, 12):
        raise Left
    (time,) = struct.unpack_from("<q", value[1])
    if not YEAR_1 + DAY <= time < YEAR_10000 - DAY:
        raise Left
    if len(value[1]) == 8:
        return TIMESTAMP, time
    ahead = struct.unpack_from("<i", value[1], 8)[0] * SECOND
    if not -DAY < ahead < DAY:
        raise Left
    return TIMESTAMP_UTC, time - ahead


class _Column:
    def __init__(self, field: Field) -> None:
        self.field = field
        self.type = field.type
        self.items: list[Any] = []

    def take(self, row: _Row) -> None:
        kind, value = row.value(self.field.type)
        if value is None and not self.field.nullable:
            raise Left
        self.type = max(self.type, kind)
        self.items.append(value)

    def buffers(self) -> Buffers:
        name, kind = self.field.name, self.type
        if kind == VALUE:
            return name, kind, b"", b"", ends(self.items), b"".join(self.items)
        there = [item is not None for item in self.items]
        validity = b"" if all(there) else bits(there)
        items = [NULLS[self.field.type] if item is None else item for item in self.items]
        if kind == BOOL:
            return name, kind, validity, bits(items), b"", b""
        if kind == STRING:
            known: dict[bytes, int] = {}
            codes = [known.setdefault(item, len(known)) for item in items]
            texts = list(known)
            return name, kind, validity, struct.pack(f"<{len(codes)}i", *codes), ends(texts), b"".join(texts)
        return name, kind, validity, struct.pack(f"<{len(items)}{CODES[kind]}", *items), b"", b""


def rows_as_columns(rows: Iterable[memoryview], given: Sequence[tuple[str, int, bool, bytes]]) -> list[Buffers] | None:
    """See `_core.pyi`, `FrameView`."""
    columns = [_Column(_checked(field)) for field in given]
    if not 1 <= len(columns) <= MAX_COLUMNS:
        raise ValueError("a frame has 1 to 64 columns")
    try:
        for row in rows:
            _take(columns, row)
    except (Left, CorruptFrame, UnicodeDecodeError):
        return None
    return [column.buffers() for column in columns]


def _checked(given: Sequence[Any]) -> Field:
    if len(parts := tuple(given)) != 4:
        raise ValueError("a field is (name, type, nullable, fallback)")
    field = Field(*parts)
    if not BOOL <= field.type <= VALUE:
        raise ValueError("column type must be between 1 and 7")
    if field.type == TIMESTAMP_UTC:
        raise ValueError("whether times have a zone is seen in them")
    if not isinstance(field.fallback, bytes):
        raise TypeError("fallback must be bytes")
    return field


def _take(columns: Sequence[_Column], data: memoryview) -> None:
    row = _Row(data)
    count = row.container("array")
    if count > len(columns):
        raise Left
    missing = list(columns[count:])
    for column in columns[:count]:
        column.take(row)
    if not row.done:
        for _ in range(row.container("map")):
            name = row.name()
            column = next((each for each in missing if each.field.name.encode() == name), None)  # type: ignore[assignment]
            if column is None:
                raise Left
            missing.remove(column)
            column.take(row)
        if not row.done:
            raise Left
    for column in missing:
        if not column.field.fallback:
            raise Left
        column.take(_Row(column.field.fallback))
