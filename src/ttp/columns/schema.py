"""Which columns a row class has."""

import inspect
import types
import typing
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

BOOL, INT64, FLOAT64, TIMESTAMP, TIMESTAMP_UTC, STRING, VALUE = range(1, 8)  # docs/wire-format.md, Columns

_TYPES = {bool: BOOL, int: INT64, float: FLOAT64, datetime: TIMESTAMP, str: STRING}

Buffers = tuple[str, int, Any, Any, Any, Any]
"""Name, type, validity, data, offsets, values; docs/wire-format.md, Columns."""


class Field(NamedTuple):
    """A column to be.

    Attributes:
        type: as on the wire.
        nullable: whether None fits the annotation.
        default: fills a column that is not given; `inspect.Parameter.empty` where there is none.
    """

    name: str
    type: int
    nullable: bool
    default: Any


@lru_cache(maxsize=256)
def fields_of(row: Callable[..., Any]) -> tuple[Field, ...]:
    """The columns of a row class, in order of declaration."""
    made: Any = row.__init__ if isinstance(row, type) else row  # type: ignore[misc]
    try:
        hints = typing.get_type_hints(made)
    except Exception:  # a name that only type checkers know: such columns take any value
        hints = {}
    return tuple(
        _field(parameter, hints.get(parameter.name)) for parameter in inspect.signature(row).parameters.values()
    )


def _field(parameter: inspect.Parameter, annotation: Any) -> Field:
    nullable = False
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        nullable = len(members) < len(typing.get_args(annotation))
        annotation = members[0] if len(members) == 1 else None
    kind = _TYPES.get(annotation, VALUE) if isinstance(annotation, type) else VALUE
    # A dataclass's default_factory shows as a private marker.
    factory = repr(parameter.default) == "<factory>"
    default = inspect.Parameter.empty if factory else parameter.default
    return Field(parameter.name, kind, nullable or kind == VALUE, default)


def numpy() -> Any:
    """The module. ImportError, which names the extra, where it is not installed."""
    try:
        import numpy as np  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ImportError("columns need NumPy: pip install 'ttp[columns]'") from error
    return np
