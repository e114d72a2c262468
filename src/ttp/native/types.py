"""Types that MessagePack has not: how they travel, and how annotations bring them back. Shared by both twins.

docs/wire-format.md lists the extension codes.
"""

import dataclasses
import enum
import struct
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

DATETIME: Final = 1
UUID_: Final = 2
DECIMAL: Final = 3
NDARRAY: Final = 4

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the wall clock's zero, whatever the zone
_MICROSECOND = timedelta(microseconds=1)
_PLAIN: Final[tuple[Any, ...]] = (int, float, str, bytes, list, tuple, dict)
_LISTS: Final[tuple[Any, ...]] = (list, Sequence, MutableSequence, Collection, Iterable)
_DICTS: Final[tuple[Any, ...]] = (dict, Mapping, MutableMapping)


class Ext:
    """An extension value: application code 0 to 127, and its bytes."""

    __slots__ = ("code", "data")

    def __init__(self, code: int, data: bytes) -> None:
        self.code = code
        self.data = data


def encode(value: Any) -> Any:  # noqa: PLR0911 - one line a type
    """Something plainer to encode in place of the value, or an `Ext`. TypeError or ValueError if it cannot travel."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return Ext(DATETIME, _pack_datetime(value))
    # A value of these cannot exist unless somebody imported its module.
    uuid, decimal = sys.modules.get("uuid"), sys.modules.get("decimal")
    if uuid is not None and isinstance(value, uuid.UUID):
        return Ext(UUID_, value.bytes)
    if decimal is not None and isinstance(value, decimal.Decimal):
        return Ext(DECIMAL, str(value).encode("ascii"))
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        if isinstance(value, numpy.ndarray | numpy.datetime64 | numpy.timedelta64 | numpy.complexfloating):
            return Ext(NDARRAY, _pack_array(value))
        if isinstance(value, numpy.floating):
            return float(value)  # item() of a long double is one again
        if isinstance(value, numpy.bool_ | numpy.integer | numpy.str_ | numpy.bytes_):
            return value.item()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields_of(value)
    for plain in _PLAIN:
        if isinstance(value, plain):
            return plain(value)
    raise TypeError(
        f"cannot encode {type(value).__qualname__}; arguments and results are made of None, bool, int, float, str,"
        " bytes, list, tuple, dict, datetime, UUID, Decimal, enums, dataclasses and NumPy values"
    )


def decode(code: int, data: bytes) -> Any:
    """The value of an extension. ValueError if the code is unknown or the data malformed."""
    if code == DATETIME:
        return _unpack_datetime(data)
    if code == UUID_:
        from uuid import UUID  # noqa: PLC0415 - as below: only those who receive one need it

        return UUID(bytes=data)
    if code == DECIMAL:
        from decimal import Decimal, InvalidOperation  # noqa: PLC0415

        try:
            return Decimal(data.decode("ascii"))
        except InvalidOperation:
            raise ValueError("malformed Decimal") from None
    if code == NDARRAY:
        return _unpack_array(data)
    raise ValueError(f"unknown extension type {code}")


def _fields_of(value: Any) -> dict[str, Any]:
    fields = dataclasses.fields(value)
    if len(fields) < len(value.__dataclass_fields__):  # others are of the class, or of its __init__ alone
        _check_init_vars(type(value), fields)
    return {field.name: getattr(value, field.name) for field in fields}


def _check_init_vars(cls: Any, fields: tuple[Any, ...]) -> None:
    import inspect  # noqa: PLC0415

    for name, field in cls.__dataclass_fields__.items():
        if field.default is dataclasses.MISSING and field not in fields and name in inspect.signature(cls).parameters:
            raise TypeError(f"cannot encode {cls.__qualname__}: it cannot be made again without its InitVar {name!r}")


def _pack_datetime(value: datetime) -> bytes:
    wall = (value.replace(tzinfo=None) - _EPOCH) // _MICROSECOND
    offset = value.utcoffset()
    return struct.pack("<q", wall) if offset is None else struct.pack("<qi", wall, round(offset.total_seconds()))


def _unpack_datetime(data: bytes) -> datetime:
    if len(data) not in (8, 12):
        raise ValueError("malformed datetime")
    try:
        wall = _EPOCH + int.from_bytes(data[:8], "little", signed=True) * _MICROSECOND
        if len(data) == 8:
            return wall
        offset = int.from_bytes(data[8:], "little", signed=True)
        return wall.replace(tzinfo=timezone(timedelta(seconds=offset)) if offset else UTC)
    except OverflowError:
        raise ValueError("datetime out of range") from None


def _pack_array(value: Any) -> bytes:
    """An array, or a scalar, which is one of shape ()."""
    from ttp.native import pack  # noqa: PLC0415 - the twins import this module

    if isinstance(value, getattr(sys.modules.get("numpy.ma"), "MaskedArray", ())):
        raise TypeError("cannot encode a masked array: send its filled(), or its data and its mask")
    if value.dtype.hasobject or value.dtype.fields is not None:
        raise TypeError(f"cannot encode a NumPy array of dtype {value.dtype}")
    return pack([value.dtype.str, list(value.shape), value.tobytes()])


def _unpack_array(data: bytes) -> Any:
    from ttp.native import unpack  # noqa: PLC0415

    try:
        import numpy as np  # noqa: PLC0415 - not a dependency: only those who send arrays need it
    except ModuleNotFoundError:
        raise ValueError("a NumPy array arrived, and NumPy is not installed here") from None
    found = unpack(data)
    if not (isinstance(found, list) and len(found) == 3 and isinstance(found[0], str) and isinstance(found[2], bytes)):
        raise ValueError("malformed array")
    try:
        dtype = np.dtype(found[0])
        if dtype.hasobject or dtype.fields is not None:
            raise ValueError("array of objects")
        return np.frombuffer(found[2], dtype).reshape(found[1])[()]  # one of shape () becomes a scalar
    except (TypeError, SyntaxError) as error:
        raise ValueError(f"malformed array: {error}") from None


Convert = Callable[[Any], Any]


def converter(annotation: Any) -> Convert | None:  # noqa: PLR0911 - one case a kind of annotation
    """What makes the annotated type out of what arrived; None where nothing needs converting.

    Knows dataclasses, enums, tuples, and Optional, Union, NewType, list and dict of these, also where they are
    called Sequence, Iterable, Mapping and so on. What does not fit the annotation is left as it arrived: the wire
    has no types but its own. Only a dict that does not fit its dataclass, and a value that is no member of its
    enum, raise what the class raises: TypeError, ValueError.
    """
    import types  # noqa: PLC0415
    import typing  # noqa: PLC0415

    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is typing.Annotated:
        return converter(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _union([a for a in arguments if a is not type(None)])
    if annotation is tuple or origin is tuple:
        return _tuple(arguments)
    if origin in _LISTS and len(arguments) == 1:
        return _list(converter(arguments[0]))
    if origin in _DICTS and len(arguments) == 2:
        return _dict(converter(arguments[0]), converter(arguments[1]))
    if isinstance(annotation, typing.NewType):
        return converter(annotation.__supertype__)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _enum(annotation)
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return _dataclass(annotation)
    return None


def argument_converter(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The function behind a wrapper that converts its arguments as annotated; None where none needs it."""
    import functools  # noqa: PLC0415
    import inspect  # noqa: PLC0415

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some builtins have none
        return None
    hints = _hints(_annotated(function))
    found = {p.name: converter(hints.get(p.name)) for p in parameters}
    if not any(found.values()):
        return None
    positional = [found[p.name] for p in parameters if p.kind <= p.POSITIONAL_OR_KEYWORD]
    named = {p.name: found[p.name] for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    other = next((found[p.name] for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    other_named = next((found[p.name] for p in parameters if p.kind is p.VAR_KEYWORD), None)

    @functools.wraps(function)
    def convert(*args: Any, **kwargs: Any) -> Any:
        each = [*positional[: len(args)], *[other] * (len(args) - len(positional))]
        converted = [a if c is None else c(a) for c, a in zip(each, args, strict=True)]
        by_name = {k: named.get(k, other_named) for k in kwargs}
        return function(*converted, **{k: v if (c := by_name[k]) is None else c(v) for k, v in kwargs.items()})

    return convert


def result_converter(function: Callable[..., Any]) -> Convert | None:
    """What makes the type that a function is annotated to return; None where nothing needs converting."""
    return converter(_hints(_annotated(function)).get("return"))


def _annotated(function: Any) -> Any:
    """Where a callable's annotations are."""
    import functools  # noqa: PLC0415
    import inspect  # noqa: PLC0415

    if isinstance(function, functools.partial):
        return _annotated(function.func)
    if isinstance(function, type):
        return function.__init__  # type: ignore[misc]
    return function if inspect.isroutine(function) or hasattr(function, "__wrapped__") else type(function).__call__


def _hints(function: Any) -> dict[str, Any]:
    import typing  # noqa: PLC0415

    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        return {}


def _list(item: Convert | None) -> Convert | None:
    if item is None:
        return None
    return lambda value: [item(v) for v in value] if isinstance(value, list) else value


def _dict(key: Convert | None, item: Convert | None) -> Convert | None:
    if key is None and item is None:
        return None
    of_key, of_item = key or _as_it_is, item or _as_it_is
    return lambda value: {of_key(k): of_item(v) for k, v in value.items()} if isinstance(value, dict) else value


def _as_it_is(value: Any) -> Any:
    return value


def _enum(cls: Callable[[Any], Any]) -> Convert:
    # A member's value may be a tuple, which arrives as a list.
    return lambda value: value if value is None else cls(tuple(value) if isinstance(value, list) else value)


def _tuple(items: tuple[Any, ...]) -> Convert:
    if len(items) == 2 and items[1] is Ellipsis:
        item = converter(items[0])
        if item is not None:
            return lambda value: tuple(map(item, value)) if isinstance(value, list) else value
    elif any(each := [converter(a) for a in items]):
        return lambda value: (
            tuple(c(v) if c is not None else v for c, v in zip(each, value, strict=True))
            if isinstance(value, list) and len(value) == len(each)
            else value
        )
    return lambda value: tuple(value) if isinstance(value, list) else value


def _union(members: list[Any]) -> Convert | None:
    """The first member that takes the value; what none takes stays as it is."""
    converters = [c for c in map(converter, members) if c is not None]
    if not converters:
        return None

    def convert(value: Any) -> Any:
        if value is None:
            return None
        for each in converters:
            try:
                converted = each(value)
            except (TypeError, ValueError):
                continue
            if converted is not value:
                return converted
        return value

    return convert


def _dataclass(cls: type) -> Convert:
    convert_field: dict[str, Convert] | None = None
    later = {field.name for field in dataclasses.fields(cls) if not field.init}

    def convert(value: Any) -> Any:
        nonlocal convert_field
        if not isinstance(value, dict):
            return value
        if convert_field is None:  # late, so that a class may refer to itself
            hints = _hints(cls)
            fields = dataclasses.fields(cls)
            convert_field = {f.name: c for f in fields if (c := converter(hints.get(f.name))) is not None}
        arrived = {k: convert_field[k](v) if k in convert_field else v for k, v in value.items()}
        made = cls(**{k: v for k, v in arrived.items() if k not in later})
        for name in later & arrived.keys():
            object.__setattr__(made, name, arrived[name])  # the class may be frozen
        return made

    return convert
