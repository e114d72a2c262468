"""Frames: the specification of docs/wire-format.md, Frame."""

import re
import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, final

from ttp.errors import CorruptFrame
from ttp.native._pure import column as columnar
from ttp.native._pure.codec import MAX_TASK, decode_row
from ttp.native._pure.crc32c import crc32c
from ttp.native._pure.row_columns import Buffers, rows_as_columns

WIRE_MAJOR = 1
MAX_FRAME = 1_048_576
MAX_ROWS = 4_096
RESULTS = 0x01
MAX_SECTIONS = 16
MAX_TRACE = 1024

HEADER = struct.Struct("<4sBBHHBBIQQ12sHHQIHH")
ENTRY = struct.Struct("<HHIII")
TRAILER = 8
NAME, QUEUE, ROW_ENDS, ROWS, INDEX, SCHEMA, COLUMNS, TRACE = range(1, 9)

_QUEUE = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


def frame_size(name: bytes, queue: bytes, trace: bytes, rows_size: int, count: int, *, derived: bool) -> int:
    """Bytes of a whole frame."""
    sizes = [len(name), len(queue), rows_size, 4 * count] + [2 * count] * derived + [len(trace)] * bool(trace)
    return HEADER.size + ENTRY.size * len(sizes) + sum(map(_padded, sizes)) + TRAILER


def encode_frame(
    rows: Sequence[bytes],
    *,
    name: str,
    queue: str,
    fid: int,
    producer: bytes,
    origin: int = 0,
    index: Sequence[int] | None = None,
    priority: int = 1,
    attempt: int = 1,
    deferrals: int = 0,
    crashes: int = 0,
    created_at: int = 0,
    flags: int = 0,
    trace: bytes = b"",
) -> bytes:
    """See `_core.pyi`."""
    _within(fid, 1, 2**64 - 1, "fid")
    _within(origin, 0, 2**64 - 1, "origin")
    origin = origin or fid
    _within(priority, 0, 2, "priority")
    _within(attempt, 1, 0xFFFF, "attempt")
    _within(deferrals, 0, 0xFFFF, "deferrals")
    _within(crashes, 0, 0xFF, "crashes")
    _within(created_at, 0, 2**64 - 1, "created_at")
    _within(flags, 0, 0xFFFF, "flags")
    if flags & 0xFF & ~RESULTS:
        raise ValueError("unknown required flag")
    if len(producer) != 12:
        raise ValueError("a producer id has 12 bytes")
    texts = _texts(name, queue, trace)
    rows = tuple(rows)
    if not 1 <= len(rows) <= MAX_ROWS:
        raise ValueError("a frame holds 1 to 4096 rows")
    for row in rows:
        if not isinstance(row, bytes):
            raise TypeError("rows must be bytes")
        if len(row) > MAX_TASK:
            raise ValueError(f"row larger than {MAX_TASK} bytes")
    derived = origin != fid
    if (index is None) == derived:
        raise ValueError("index is required exactly where origin differs from fid")
    body = b"".join(rows)
    sections = [*texts, (ROWS, body), (ROW_ENDS, _ends(rows))]
    if index is not None:
        sections.append((INDEX, _indices(index, len(rows))))
    numbers = (flags, HEADER.size, priority, crashes, len(rows), fid, origin, producer, attempt, deferrals, created_at)
    return _assemble(0, numbers, sections)


def encode_columns(
    columns: Sequence[Any],
    count: int,
    *,
    name: str,
    queue: str,
    fid: int,
    producer: bytes,
    priority: int = 1,
    created_at: int = 0,
    flags: int = 0,
    trace: bytes = b"",
) -> bytes:
    """See `_core.pyi`."""
    _within(fid, 1, 2**64 - 1, "fid")
    _within(priority, 0, 2, "priority")
    _within(created_at, 0, 2**64 - 1, "created_at")
    _within(flags, 0, 0xFFFF, "flags")
    if flags & 0xFF & ~RESULTS:
        raise ValueError("unknown required flag")
    if len(producer) != 12:
        raise ValueError("a producer id has 12 bytes")
    texts = _texts(name, queue, trace)
    _within(count, 1, columnar.MAX_COLUMN_ROWS, "count")
    schema, buffers = columnar.sections(columnar.checked(columns, count))
    numbers = (flags, HEADER.size, priority, 0, count, fid, fid, producer, 1, 0, created_at)
    return _assemble(1, numbers, [*texts, (SCHEMA, schema), (COLUMNS, buffers)])


def _assemble(kind: int, numbers: tuple[Any, ...], sections: Sequence[tuple[int, bytes]]) -> bytes:
    """Header, directory, sections and trailer."""
    places = []
    offset = HEADER.size + ENTRY.size * len(sections)
    for section, data in sections:
        offset += -offset % (64 if section == COLUMNS else 8)
        places.append(offset)
        offset += len(data)
    size = _padded(offset) + TRAILER
    if size > MAX_FRAME:
        raise ValueError(f"frame larger than {MAX_FRAME} bytes")
    out = bytearray(HEADER.pack(b"TTPF", WIRE_MAJOR, kind, *numbers, size, len(sections), 0))
    for (section, data), at in zip(sections, places, strict=True):
        out += ENTRY.pack(section, 0, at, len(data), len(data))
    for (_, data), at in zip(sections, places, strict=True):
        out += bytes(at - len(out)) + data
    out += bytes(size - 4 - len(out))
    out += crc32c(out).to_bytes(4, "little")
    return bytes(out)


@final
class FrameView:
    """See `_core.pyi`."""

    def __init__(self, data: bytes, /) -> None:
        if not isinstance(data, bytes):
            raise TypeError("a frame is bytes")
        self.data = data
        self._count: int
        _check_outside(data)
        _, _, kind, self.flags, header, self.priority, self.crashes, self._count, *rest = HEADER.unpack_from(data)
        self.fid, self.origin, self.producer, self.attempt, self.deferrals, self.created_at, _, sections, _ = rest
        _refuse_if(kind > 1, "unknown kind")
        self.columnar = kind == 1
        _refuse_if(self.flags & 0xFF & ~RESULTS, "unknown required flag")
        _refuse_if(header != HEADER.size, "unknown header length")
        _refuse_if(self.priority > 2, "priority out of range")
        most = columnar.MAX_COLUMN_ROWS if self.columnar else MAX_ROWS
        _refuse_if(not 1 <= self._count <= most, "count out of range")
        _refuse_if(not self.fid or not self.origin, "fid or origin is zero")
        _refuse_if(not self.attempt, "attempt is zero")
        found = self._sections(sections)
        self.name = _checked_text(found.get(NAME), _name, "no valid name")
        self.queue = _checked_text(found.get(QUEUE), _queue, "no valid queue")
        self.trace = bytes(found.get(TRACE, b""))
        _refuse_if(len(self.trace) > MAX_TRACE, "trace context too long")
        self._columns: list[columnar.Column] = []
        if self.columnar:
            self._columns = self._check_columns(found.get(SCHEMA), found.get(COLUMNS))
        else:
            self._rows, self._ends = self._check_rows(found.get(ROWS), found.get(ROW_ENDS))
        self._index = self._check_index(found.get(INDEX))

    def _sections(self, count: int) -> dict[int, memoryview]:
        data = self.data
        begin, end = HEADER.size + ENTRY.size * count, len(data) - TRAILER
        _refuse_if(count > MAX_SECTIONS, "too many sections")
        _refuse_if(begin > end, "directory exceeds the frame")
        found: dict[int, memoryview] = {}
        seen = set()
        for i in range(count):
            kind, encoding, offset, length, raw = ENTRY.unpack_from(data, HEADER.size + ENTRY.size * i)
            _refuse_if(kind in seen, "section occurs twice")
            seen.add(kind)
            _refuse_if(offset % 8, "section is not aligned")
            _refuse_if(offset < begin or offset > end or length > end - offset, "section lies outside the frame")
            if NAME <= kind <= TRACE:
                _refuse_if(encoding, "unknown section encoding")
                _refuse_if(raw != length, "section's raw length differs from its length")
                found[kind] = memoryview(data)[offset : offset + length]
        return found

    def _check_rows(self, rows: memoryview | None, ends: memoryview | None) -> tuple[memoryview, tuple[int, ...]]:
        if rows is None or ends is None:
            raise CorruptFrame("no rows")
        _refuse_if(len(ends) != 4 * self._count, "row ends do not match the count")
        numbers = struct.unpack(f"<{self._count}I", ends)
        _refuse_if(any(b < a for a, b in pairwise(numbers)), "row ends are not rising")
        _refuse_if(numbers[-1] != len(rows), "row ends do not match the rows")
        return rows, numbers

    def _check_columns(self, schema: memoryview | None, buffers: memoryview | None) -> list[columnar.Column]:
        if schema is None or buffers is None:
            raise CorruptFrame("no columns")
        return columnar.parse(schema, buffers, self._count)

    def _check_index(self, index: memoryview | None) -> tuple[int, ...] | None:
        _refuse_if((index is not None) != (self.origin != self.fid), "index does not match the origin")
        if index is None:
            return None
        _refuse_if(len(index) != 2 * self._count, "index does not match the count")
        numbers = struct.unpack(f"<{self._count}H", index)
        _refuse_if(any(b <= a for a, b in pairwise(numbers)), "index is not rising")
        return numbers

    def __len__(self) -> int:
        return self._count

    @property
    def results(self) -> bool:
        """Whether outcomes are kept."""
        return bool(self.flags & RESULTS)

    def index(self, row: int, /) -> int:
        """See `_core.pyi`."""
        self._check_row(row)
        return row if self._index is None else self._index[row]

    def row(self, row: int) -> memoryview:
        """A row's bytes (the twin's own)."""
        self._check_row(row)
        return self._rows[self._ends[row - 1] if row else 0 : self._ends[row]]

    def arguments(self, row: int, /) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """See `_core.pyi`."""
        if not self.columnar:
            return decode_row(self.row(row))
        self._check_row(row)
        return decode_row(memoryview(columnar.packed_row(self._columns, row)))

    def columns(self) -> list[tuple[str, int, memoryview, memoryview, memoryview, memoryview]]:
        """See `_core.pyi`."""
        return [(c.name, c.type, c.validity, c.data, c.offsets, c.values) for c in self._columns]

    def rows_as_columns(
        self, start: int, stop: int, fields: Sequence[tuple[str, int, bool, bytes]], /
    ) -> list[Buffers] | None:
        """See `_core.pyi`."""
        if self.columnar:
            raise ValueError("a frame of columns has no rows")
        _within(stop, 0, self._count, "stop")
        _within(start, 0, stop, "start")
        return rows_as_columns((self.row(row) for row in range(start, stop)), fields)

    def derive(
        self,
        rows: Sequence[int],
        /,
        *,
        fid: int,
        attempt: int | None = None,
        deferrals: int | None = None,
        crashes: int | None = None,
    ) -> bytes:
        """See `_core.pyi`."""
        _within(fid, 1, 2**64 - 1, "fid")
        if fid == self.origin:
            raise ValueError("a derived frame needs a fid of its own")
        rows = tuple(rows)
        for row in rows:
            self._check_row(row)
        if any(b <= a for a, b in pairwise(rows)):
            raise ValueError("rows must rise")
        if not rows:
            raise ValueError("a frame holds 1 to 4096 rows")
        if self.columnar:
            return self._derive_columns(rows, fid, attempt, deferrals, crashes)
        return encode_frame(
            [bytes(self.row(row)) for row in rows],
            name=self.name,
            queue=self.queue,
            fid=fid,
            producer=self.producer,
            origin=self.origin,
            index=[self.index(row) for row in rows],
            priority=self.priority,
            attempt=self.attempt if attempt is None else attempt,
            deferrals=self.deferrals if deferrals is None else deferrals,
            crashes=self.crashes if crashes is None else crashes,
            created_at=self.created_at,
            flags=self.flags,
            trace=self.trace,
        )

    def _derive_columns(
        self, rows: Sequence[int], fid: int, attempt: int | None, deferrals: int | None, crashes: int | None
    ) -> bytes:
        attempt = _within(self.attempt if attempt is None else attempt, 1, 0xFFFF, "attempt")
        deferrals = _within(self.deferrals if deferrals is None else deferrals, 0, 0xFFFF, "deferrals")
        crashes = _within(self.crashes if crashes is None else crashes, 0, 0xFF, "crashes")
        schema, buffers = columnar.sections([column.gather(rows) for column in self._columns])
        index = _indices([self.index(row) for row in rows], len(rows))
        numbers = (self.flags, HEADER.size, self.priority, crashes, len(rows), fid, self.origin, self.producer)
        texts = _texts(self.name, self.queue, self.trace)
        sections = [*texts, (SCHEMA, schema), (COLUMNS, buffers), (INDEX, index)]
        return _assemble(1, (*numbers, attempt, deferrals, self.created_at), sections)

    def _check_row(self, row: int) -> None:
        if not 0 <= row < self._count:
            raise IndexError("row out of range")


def _check_outside(data: bytes) -> None:
    """What is checked before anything is read."""
    _refuse_if(len(data) < HEADER.size + TRAILER, "shorter than a frame")
    _refuse_if(len(data) > MAX_FRAME, "longer than a frame may be")
    _refuse_if(data[:4] != b"TTPF", "not a frame (magic)")
    _refuse_if(data[4] != WIRE_MAJOR, "unknown wire major")
    _refuse_if(int.from_bytes(data[56:60], "little") != len(data), "length differs from the header's")
    _refuse_if(int.from_bytes(data[-4:], "little") != crc32c(memoryview(data)[:-4]), "CRC does not match")
    _refuse_if(data[-8:-4] != bytes(4), "trailer is not zero")


def _refuse_if(wrong: object, why: str) -> None:
    if wrong:
        raise CorruptFrame(why)


def _checked_text(raw: memoryview | None, check: Any, why: str) -> str:
    try:
        text = bytes(raw or b"").decode()
        check(text)
    except ValueError:
        raise CorruptFrame(why) from None
    return text


def _within(value: int, low: int, high: int, what: str) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{what} must be an int")
    if not low <= value <= high:
        raise ValueError(f"{what} must be between {low} and {high}")
    return value


def _texts(name: str, queue: str, trace: bytes) -> list[tuple[int, bytes]]:
    """The sections of what a frame says of all its tasks in words."""
    sections = [(NAME, _name(name)), (QUEUE, _queue(queue))]
    if not isinstance(trace, bytes):
        raise TypeError("trace must be bytes")
    if len(trace) > MAX_TRACE:
        raise ValueError(f"a trace context has at most {MAX_TRACE} bytes")
    return [*sections, (TRACE, trace)] if trace else sections


def _name(name: str) -> bytes:
    raw = name.encode()
    if not 1 <= len(raw) <= 255:
        raise ValueError("a task name has 1 to 255 bytes of UTF-8")
    return raw


def _queue(queue: str) -> bytes:
    if not _QUEUE.fullmatch(queue):
        raise ValueError("a queue name has 1 to 64 characters of A-Z a-z 0-9 _ . -")
    return queue.encode()


def _ends(rows: Sequence[bytes]) -> bytes:
    ends, at = [], 0
    for row in rows:
        at += len(row)
        ends.append(at)
    return struct.pack(f"<{len(ends)}I", *ends)


def _indices(index: Sequence[int], count: int) -> bytes:
    numbers = tuple(index)
    for number in numbers:
        _within(number, 0, 0xFFFF, "index")
    if any(b <= a for a, b in pairwise(numbers)):
        raise ValueError("index must rise")
    if len(numbers) != count:
        raise ValueError("index must have one entry a row")
    return struct.pack(f"<{count}H", *numbers)


def _padded(size: int) -> int:
    return (size + 7) // 8 * 8
