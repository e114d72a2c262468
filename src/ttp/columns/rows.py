"""Rows of a frame as columns of the row class."""

from collections.abc import Callable
from functools import lru_cache
from inspect import Parameter
from typing import Any

from ttp.columns.schema import Buffers, fields_of
from ttp.errors import SerializationError
from ttp.native import FrameView, pack

LARGEST_DEFAULT = 64  # bytes: it is written for every row that does not say it
MAX_COLUMNS = 64


def columns_of_rows(row: Callable[..., Any], view: FrameView, rows: range) -> list[Buffers]:
    """The columns of some rows of a frame.

    Raises:
        SerializationError: a row does not fit the annotations.
        CorruptFrame: a row is malformed.
    """
    if wanted := _wanted(row):
        plain = view.rows_as_columns(rows.start, rows.stop, wanted)
        if plain is not None:
            return list(plain)
    return as_objects(row, view, rows)


def as_objects(row: Callable[..., Any], view: FrameView, rows: range) -> list[Buffers]:
    """The same by way of Python objects, for rows that are not plain; says what is wrong with those that do not fit."""
    from ttp.columns.arrays import columns_of  # noqa: PLC0415 - only for rows that are not plain

    fields = fields_of(row)
    names = [field.name for field in fields]
    given: dict[str, list[Any]] = {name: [] for name in names}
    defaults = {field.name: field.default for field in fields}
    for args, kwargs in map(view.arguments, rows):
        event = {**defaults, **dict(zip(names, args, strict=False)), **kwargs}
        for name, values in given.items():
            values.append(event[name])
    return [column.cut(0, len(rows)) for column in columns_of(fields, given)]


@lru_cache(maxsize=256)
def _wanted(row: Callable[..., Any]) -> list[tuple[str, int, bool, bytes]]:
    """The fields as `rows_as_columns` takes them; none if it cannot."""
    fields = fields_of(row)
    if len(fields) > MAX_COLUMNS:
        return []
    return [(field.name, field.type, field.nullable, _default(field.default)) for field in fields]


def _default(value: Any) -> bytes:
    """Packed; b'' where there is none, or none that is written for row after row."""
    if value is Parameter.empty:
        return b""
    try:
        packed = pack(value)
    except SerializationError:
        return b""
    return packed if len(packed) <= LARGEST_DEFAULT else b""
