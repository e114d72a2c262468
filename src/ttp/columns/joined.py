"""Columns of several frames as one."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ttp.columns.schema import BOOL, STRING, TIMESTAMP_UTC, VALUE, Buffers, numpy


class Part(NamedTuple):
    """Rows of some columns."""

    columns: Sequence[Buffers]
    rows: slice


def join(parts: Sequence[Part], number: int) -> Buffers:
    """A column of all parts, one after the other: of one name and type in each, but that times may differ in zone."""
    return _column([(part.columns[number], part.rows.start, part.rows.stop) for part in parts])


def _column(parts: Sequence[tuple[Buffers, int, int]]) -> Buffers:
    np = numpy()
    name, kind = parts[0][0][:2]
    if any(column[1] == TIMESTAMP_UTC for column, *_ in parts):
        kind = TIMESTAMP_UTC
    if kind == VALUE:
        return name, kind, b"", b"", *_values(np, parts)
    validity: Any = b""
    if any(len(column[2]) for column, *_ in parts):
        flags = [
            _bits(np, column[2], start, stop) if len(column[2]) else np.ones(stop - start, "u1")
            for column, start, stop in parts
        ]
        validity = np.packbits(np.concatenate(flags), bitorder="little")
    if kind == BOOL:
        truths = np.concatenate([_bits(np, column[3], start, stop) for column, start, stop in parts])
        return name, kind, validity, np.packbits(truths, bitorder="little"), b"", b""
    if kind == STRING:
        return name, kind, validity, *_texts(np, parts)
    return name, kind, validity, np.concatenate([_numbers(np, "<i8", *part) for part in parts]), b"", b""


def _bits(np: Any, bitmap: Any, start: int, stop: int) -> Any:
    return np.unpackbits(np.frombuffer(bitmap, "u1"), bitorder="little")[start:stop]


def _numbers(np: Any, dtype: str, column: Buffers, start: int, stop: int) -> Any:
    """A column's data, whatever it means: bits are moved, not values."""
    return np.frombuffer(column[3], dtype)[start:stop]


def _values(np: Any, parts: Sequence[tuple[Buffers, int, int]]) -> tuple[Any, bytes]:
    ends, values, size = [np.zeros(1, "<u4")], [], 0
    for (*_, offsets, items), start, stop in parts:
        own = np.frombuffer(offsets, "<u4")[start : stop + 1]
        ends.append(own[1:] - own[0] + np.uint32(size))
        values.append(items[int(own[0]) : int(own[-1])])
        size += int(own[-1]) - int(own[0])
    return np.concatenate(ends), b"".join(values)


def _texts(np: Any, parts: Sequence[tuple[Buffers, int, int]]) -> tuple[Any, Any, bytes]:
    """Codes into one dictionary, of every text once."""
    known: dict[bytes, int] = {}
    codes = []
    for column, start, stop in parts:
        offsets = np.frombuffer(column[4], "<u4").tolist()
        texts = bytes(column[5])
        numbers = [known.setdefault(texts[a:b], len(known)) for a, b in pairwise(offsets)]
        own = _numbers(np, "<i4", column, start, stop)
        codes.append(np.array(numbers, "<i4")[own] if numbers else own)
    ends = np.zeros(len(known) + 1, "<u4")
    np.cumsum([len(text) for text in known], out=ends[1:])
    return np.concatenate(codes), ends, b"".join(known)
