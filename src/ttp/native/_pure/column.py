"""Columns of a frame: the specification of docs/wire-format.md, Columns."""

import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from ttp.errors import CorruptFrame
from ttp.native._pure.codec import encode_row, pack

MAX_COLUMN_ROWS = 65_535
MAX_COLUMNS = 64

BOOL, INT64, FLOAT64, TIMESTAMP, TIMESTAMP_UTC, STRING, VALUE = range(1, 8)
NUMBERS: Final = {INT64: "q", FLOAT64: "d", TIMESTAMP: "q", TIMESTAMP_UTC: "q"}

HEADER = struct.Struct("<II")
ENTRY = struct.Struct("<IHBB8I")


class Column(NamedTuple):
    """A column's name, type and buffers: validity, data, offsets, values."""

    name: str
    type: int
    validity: Any
    data: Any
    offsets: Any
    values: Any

    def check(self, count: int) -> None:
        """ValueError if these buffers are no column of so many rows."""
        raw = self.name.encode()
        _refuse_if(not 1 <= len(raw) <= 255, "no valid column name")
        bitmap = (count + 7) // 8
        _refuse_if(len(self.validity) not in (0, bitmap), "validity does not match the count")
        if self.type == STRING:
            self._check_codes(count)
        elif self.type == VALUE:
            wrong = len(self.data) or len(self.validity) or len(self.offsets) != 4 * (count + 1)
            _refuse_if(wrong, "column does not match the count")
            self._check_offsets()
        elif self.type == BOOL or self.type in NUMBERS:
            size = bitmap if self.type == BOOL else 8 * count
            wrong = len(self.data) != size or len(self.offsets) or len(self.values)
            _refuse_if(wrong, "column does not match the count")
        else:
            raise ValueError("unknown column type")

    def _check_offsets(self) -> tuple[int, ...]:
        _refuse_if(len(self.offsets) < 4 or len(self.offsets) % 4, "malformed offsets")
        offsets = self._offsets()
        _refuse_if(offsets[0] != 0, "malformed offsets")
        _refuse_if(any(b < a for a, b in pairwise(offsets)), "offsets are not rising")
        _refuse_if(offsets[-1] != len(self.values), "offsets do not match the values")
        return offsets

    def _check_codes(self, count: int) -> None:
        _refuse_if(len(self.data) != 4 * count, "column does not match the count")
        offsets = self._check_offsets()
        try:
            for begin, end in pairwise(offsets):
                bytes(self.values[begin:end]).decode()
        except UnicodeDecodeError:
            raise ValueError("text is not UTF-8") from None
        codes = struct.unpack(f"<{count}I", self.data)
        wrong = any(code >= len(offsets) - 1 and self.valid(row) for row, code in enumerate(codes))
        _refuse_if(wrong, "code outside the dictionary")

    def _offsets(self) -> tuple[int, ...]:
        return struct.unpack(f"<{len(self.offsets) // 4}I", self.offsets)

    def valid(self, row: int) -> bool:
        """Whether the row has a value."""
        return not len(self.validity) or bool(self.validity[row // 8] >> row % 8 & 1)

    def item(self, i: int) -> bytes:
        """An item of the values."""
        begin, end = struct.unpack_from("<II", self.offsets, 4 * i)
        return bytes(self.values[begin:end])

    def packed(self, row: int) -> bytes:
        """A row's value as MessagePack."""
        if not self.valid(row):
            return pack(None)
        if self.type == VALUE:
            return self.item(row)
        if self.type == STRING:
            (code,) = struct.unpack_from("<I", self.data, 4 * row)
            return encode_row((self.item(code).decode(),))[1:]
        if self.type == BOOL:
            return pack(bool(self.data[row // 8] >> row % 8 & 1))
        if self.type == TIMESTAMP:
            return b"\xd7\x01" + bytes(self.data[8 * row : 8 * row + 8])
        if self.type == TIMESTAMP_UTC:
            return b"\xc7\x0c\x01" + bytes(self.data[8 * row : 8 * row + 8]) + bytes(4)
        (number,) = struct.unpack_from("<" + NUMBERS[self.type], self.data, 8 * row)
        return pack(number)

    def gather(self, rows: Sequence[int]) -> "Column":
        """Some of the rows. A dictionary is taken over whole."""
        validity = bits([self.valid(row) for row in rows]) if len(self.validity) else b""
        if self.type == VALUE:
            items = [self.item(row) for row in rows]
            return self._replace(offsets=ends(items), values=b"".join(items))
        if self.type == BOOL:
            data = bits([bool(self.data[row // 8] >> row % 8 & 1) for row in rows])
        else:
            width = 4 if self.type == STRING else 8
            data = b"".join(bytes(self.data[width * row : width * (row + 1)]) for row in rows)
        return self._replace(validity=validity, data=data)


def packed_row(columns: Sequence[Column], row: int) -> bytes:
    """A row as the MessagePack row it stands for."""
    size = len(columns)
    head = bytes([0x90 | size]) if size < 16 else b"\xdc" + size.to_bytes(2, "big")
    return head + b"".join(column.packed(row) for column in columns)


def parse(schema: memoryview, buffers: memoryview, count: int) -> list[Column]:
    """The columns of a frame. CorruptFrame says what is wrong."""
    try:
        return _parse(schema, buffers, count)
    except ValueError as error:
        raise CorruptFrame(str(error)) from None


def _parse(schema: memoryview, buffers: memoryview, count: int) -> list[Column]:
    _refuse_if(len(schema) < HEADER.size, "no schema")
    size, reserved = HEADER.unpack_from(schema)
    _refuse_if(not 1 <= size <= MAX_COLUMNS, "number of columns out of range")
    names_at = HEADER.size + ENTRY.size * size
    _refuse_if(reserved or len(schema) < names_at, "malformed schema")
    columns: list[Column] = []
    for i in range(size):
        at, length, kind, zero, *places = ENTRY.unpack_from(schema, HEADER.size + ENTRY.size * i)
        outside = at < names_at or at > len(schema) or length > len(schema) - at
        _refuse_if(outside, "column name lies outside the schema")
        _refuse_if(zero, "malformed schema")
        parts = []
        for offset, extent in zip(places[::2], places[1::2], strict=True):
            _refuse_if(offset % 64, "buffer is not aligned")
            _refuse_if(offset > len(buffers) or extent > len(buffers) - offset, "buffer lies outside the columns")
            parts.append(buffers[offset : offset + extent])
        try:
            name = bytes(schema[at : at + length]).decode()
        except UnicodeDecodeError:
            raise ValueError("no valid column name") from None
        column = Column(name, kind, *parts)
        column.check(count)
        _refuse_if(any(other.name == name for other in columns), "two columns have the same name")
        columns.append(column)
    return columns


def checked(columns: Iterable[Any], count: int) -> list[Column]:
    """Columns that are to be written. ValueError says what is wrong."""
    out: list[Column] = []
    for item in columns:
        parts = tuple(item)
        if len(parts) != 6:
            raise ValueError("a column is (name, type, validity, data, offsets, values)")
        name, kind, *buffers = parts
        if not isinstance(kind, int):
            raise TypeError("column type must be an int")
        if not BOOL <= kind <= VALUE:
            raise ValueError("column type must be between 1 and 7")
        column = Column(name, kind, *(memoryview(buffer).cast("B") for buffer in buffers))
        try:
            column.check(count)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        if any(other.name == name for other in out):
            raise ValueError("two columns have the same name")
        out.append(column)
    if not 1 <= len(out) <= MAX_COLUMNS:
        raise ValueError("a frame has 1 to 64 columns")
    return out


def sections(columns: Sequence[Column]) -> tuple[bytes, bytes]:
    """The schema, and the buffers."""
    schema = bytearray(HEADER.pack(len(columns), 0))
    buffers = bytearray()
    names = [column.name.encode() for column in columns]
    at = HEADER.size + ENTRY.size * len(columns)
    for column, name in zip(columns, names, strict=True):
        places = []
        for part in column[2:]:
            places += [len(buffers), len(part)]
            buffers += part
            buffers += bytes(-len(buffers) % 64)
        schema += ENTRY.pack(at, len(name), column.type, 0, *places)
        at += len(name)
    return bytes(schema) + b"".join(names), bytes(buffers)


def bits(flags: Sequence[bool]) -> bytes:
    """An LSB bitmap."""
    out = bytearray((len(flags) + 7) // 8)
    for i, flag in enumerate(flags):
        out[i // 8] |= flag << i % 8
    return bytes(out)


def ends(items: Sequence[bytes]) -> bytes:
    """Where each item ends, from 0 on."""
    out = [0]
    for item in items:
        out.append(out[-1] + len(item))
    return struct.pack(f"<{len(out)}I", *out)


def _refuse_if(wrong: object, why: str) -> None:
    if wrong:
        raise ValueError(why)
