"""Arrays, lists and Arrow columns, checked against a field, as what a frame holds."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from inspect import Parameter
from typing import Any

from ttp.columns.dictionary import Dictionary
from ttp.columns.schema import BOOL, FLOAT64, INT64, STRING, TIMESTAMP, TIMESTAMP_UTC, VALUE, Buffers, Field, numpy
from ttp.errors import SerializationError
from ttp.native import MAX_TASK, pack

WHOLE = 4096  # categories up to which a dictionary goes into a frame as it is
YEAR_1, YEAR_10000 = -62_135_596_800_000_000, 253_402_300_800_000_000  # microseconds: what a datetime can hold


class Column:
    """One column of a call.

    Attributes:
        type: as on the wire.
        data: numbers, truth values, codes; packed values as a list of bytes.
        mask: bool array, True where there is no value; None where all are there.
        texts: of a text column, encoded.
    """

    def __init__(self, name: str, kind: int, data: Any, mask: Any = None, texts: Sequence[bytes] = ()) -> None:
        self.name = name
        self.type = kind
        self.data = data
        self.mask = mask if mask is not None and mask.any() else None
        self.texts = texts

    def __len__(self) -> int:
        return len(self.data)

    @property
    def size(self) -> int:
        """Bytes of all rows, roughly."""
        if self.type == VALUE:
            return sum(map(len, self.data)) + 4 * len(self.data)
        return len(self.data) * (4 if self.type == STRING else 1 if self.type == BOOL else 8)

    @property
    def largest(self) -> int:
        """Bytes of the largest value."""
        if self.type == VALUE:
            return max(map(len, self.data), default=0)
        return max(map(len, self.texts), default=0) if self.type == STRING else 9

    def cut(self, start: int, stop: int) -> Buffers:
        """The buffers of some rows."""
        np = numpy()
        data = self.data[start:stop]
        validity = b"" if self.mask is None else np.packbits(~self.mask[start:stop], bitorder="little")
        if self.type == VALUE:
            return self.name, self.type, b"", b"", _ends(np, data), b"".join(data)
        if self.type == BOOL:
            return self.name, self.type, validity, np.packbits(data, bitorder="little"), b"", b""
        if self.type != STRING:
            return self.name, self.type, validity, data, b"", b""
        texts: Sequence[bytes] = self.texts
        if len(texts) > min(WHOLE, len(data)):
            used = np.zeros(len(texts), bool)
            used[data] = True
            data = (np.cumsum(used, dtype=np.int32) - np.int32(1))[data]
            texts = [texts[i] for i in np.flatnonzero(used)]
        return self.name, self.type, validity, data, _ends(np, texts), b"".join(texts)


def columns_of(fields: Sequence[Field], given: Mapping[str, Any]) -> list[Column]:
    """The columns of a call.

    Raises:
        TypeError: a column is unknown or missing.
        SerializationError: a column does not fit its annotation, or its length differs from the others'.
    """
    names = [field.name for field in fields]
    if unknown := [name for name in given if name not in names]:
        raise TypeError(f"unknown column {unknown[0]!r}; the row has {', '.join(names)}")
    if missing := [f.name for f in fields if f.name not in given and f.default is Parameter.empty]:
        raise TypeError(f"missing column {missing[0]!r}")
    lengths = {name: len(column) for name, column in given.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise SerializationError(f"columns differ in length: {listed}")
    rows = next(iter(lengths.values()), 0)
    columns = [column_of(field, given.get(field.name, [field.default] * rows)) for field in fields]
    if sum(column.largest for column in columns) > MAX_TASK:
        raise SerializationError(f"a row may take {MAX_TASK} bytes")
    return columns


def column_of(field: Field, values: Any) -> Column:
    """One column. SerializationError names it and says what is wrong."""
    try:
        column = _convert(field, values)
    except (TypeError, ValueError, OverflowError) as error:
        raise SerializationError(f"column {field.name!r}: {error}") from None
    if column.mask is not None and not field.nullable:
        row = int(column.mask.argmax())
        raise SerializationError(f"column {field.name!r}: null in row {row}; annotate it with `| None` to allow that")
    return column


def _convert(field: Field, values: Any) -> Column:
    np = numpy()
    if field.type == STRING:
        return _texts(np, field.name, values)
    if isinstance(values, Dictionary):
        if field.type != VALUE:
            raise ValueError(f"{_WORDS[field.type]} cannot be made from text")
        text = _texts(np, field.name, values)
        texts = np.array([*values.categories, None], dtype=object)
        values = texts[text.data if text.mask is None else np.where(text.mask, -1, text.data)]
    if field.type == VALUE:
        items = values.tolist() if isinstance(values, np.ndarray) else values
        return Column(field.name, VALUE, [pack(value) for value in items])
    mask = None
    if isinstance(values, np.ma.MaskedArray):
        mask, values = np.ma.getmaskarray(values), values.data
    kind = field.type
    if isinstance(values, (list, tuple)):
        mask, values, kind = _items(np, field, values)
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"one dimension, not {array.ndim}")
    if array.dtype.kind not in _DTYPES[field.type] or (kind in (INT64, FLOAT64) and array.dtype.itemsize > 8):
        raise ValueError(f"{_WORDS[field.type]} cannot be made from dtype {array.dtype}")
    if field.type == TIMESTAMP:
        array, nat = _microseconds(np, array)
        mask = nat if mask is None else mask | nat
    elif array.dtype.kind == "u" and field.type == INT64 and array.size and int(array.max()) >= 2**63:
        raise ValueError(f"row {int(array.argmax())} is beyond 64 bits with sign")
    dtype = {BOOL: "?", INT64: "<i8", FLOAT64: "<f8", TIMESTAMP: "<i8"}[field.type]
    array = np.ascontiguousarray(array, dtype=dtype)
    if mask is not None and mask.any():
        array = np.where(mask, _NULLS[field.type], array).astype(dtype)
    return Column(field.name, kind, array, mask)


_DTYPES = {BOOL: "b", INT64: "iu", FLOAT64: "fiu", TIMESTAMP: "M"}
_WORDS = {BOOL: "bool", INT64: "int", FLOAT64: "float", TIMESTAMP: "datetime"}
_NULLS = {BOOL: False, INT64: 0, FLOAT64: float("nan"), TIMESTAMP: -(2**63)}


def _items(np: Any, field: Field, values: Sequence[Any]) -> tuple[Any, Any, int]:
    """(mask, array, type) of a list of Python values."""
    mask = np.fromiter((value is None for value in values), bool, len(values))
    if field.type != TIMESTAMP:
        wanted: Any = {BOOL: (bool, np.bool_), INT64: (int, np.integer), FLOAT64: (float, int, np.floating, np.integer)}
        for row, value in enumerate(values):
            boolean = isinstance(value, (bool, np.bool_)) and field.type != BOOL
            if value is not None and (boolean or not isinstance(value, wanted[field.type])):
                raise ValueError(f"row {row} is a {type(value).__qualname__}, not {_WORDS[field.type]}")
        filled = [_NULLS[field.type] if value is None else value for value in values]
        return mask, np.array(filled, dtype={BOOL: bool, INT64: np.int64, FLOAT64: np.float64}[field.type]), field.type
    kind, out = TIMESTAMP, []
    for row, value in enumerate(values):
        if isinstance(value, datetime):
            if value.tzinfo is not None:
                kind = TIMESTAMP_UTC
                value = value.astimezone(UTC).replace(tzinfo=None)  # noqa: PLW2901
        elif value is not None and not isinstance(value, np.datetime64):
            raise ValueError(f"row {row} is a {type(value).__qualname__}, not datetime")
        out.append(value)
    return mask, np.array(out, dtype="datetime64[us]"), kind


def _microseconds(np: Any, array: Any) -> tuple[Any, Any]:
    """Microseconds since 1970, and which rows have no time."""
    nat = np.isnat(array)
    unit = np.datetime_data(array.dtype)
    if unit[0] == "generic" and not nat.all():
        raise ValueError("datetime64 needs a unit")
    if unit != ("us", 1) and np.can_cast(array.dtype, "M8[us]") and not nat.all():
        # Coarser: what is beyond 64 bits would wrap, or raise, with the version of NumPy.
        first, last = np.array(["0000-01-01", "10001-01-01"], "M8[us]").astype(array.dtype)
        array = np.where((array < first) | (array > last), np.array("NaT", array.dtype), array)
    numbers = array.astype("datetime64[us]").view("<i8")
    wrong = ~nat & ((numbers < YEAR_1) | (numbers >= YEAR_10000))
    if wrong.any():
        raise ValueError(f"row {int(wrong.argmax())} lies outside the years 1 to 9999")
    return numbers, nat


def _texts(np: Any, name: str, values: Any) -> Column:
    if isinstance(values, Dictionary):
        codes = np.ascontiguousarray(values.codes)
        if codes.dtype.kind not in "iu" or codes.ndim != 1:
            raise ValueError("codes are a one-dimensional array of integers")
        texts = [text.encode() for text in values.categories]
        if codes.size and (int(codes.min()) < -1 or int(codes.max()) >= len(texts)):
            raise ValueError(f"codes must be between -1 (null) and {len(texts) - 1}")
        mask = codes < 0
        if mask.any():
            codes = np.where(mask, 0, codes)
            texts = texts or [b""]
        return Column(name, STRING, codes.astype("<i4", copy=False), mask, texts)
    if isinstance(values, np.ndarray):
        if values.dtype.kind not in "UTO":
            raise ValueError(f"str cannot be made from dtype {values.dtype}")
        values = values.tolist()
    known: dict[Any, int] = {}
    numbers = [known.setdefault(value, len(known)) for value in values]
    for value, number in known.items():
        if value is not None and not isinstance(value, str):
            raise ValueError(f"row {numbers.index(number)} is a {type(value).__qualname__}, not str")
    codes = np.array(numbers, dtype="<i4")
    mask = codes == known[None] if None in known else None
    return Column(name, STRING, codes, mask, [b"" if text is None else text.encode() for text in known])


def _ends(np: Any, items: Sequence[bytes]) -> Any:
    ends = np.zeros(len(items) + 1, dtype="<i4")
    np.cumsum([len(item) for item in items], out=ends[1:])
    return ends
