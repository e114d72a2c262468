"""Between Arrow and columns. Needs pyarrow."""

from collections.abc import Sequence
from typing import Any

from ttp.columns.dictionary import Dictionary
from ttp.columns.schema import numpy
from ttp.errors import SerializationError


def columns_in(table: Any) -> dict[str, Any]:
    """An Arrow table's columns, as `submit_columns` takes them.

    Raises:
        TypeError: it is no table, or has two columns of one name.
        SerializationError: a column cannot be read.
    """
    pa = pyarrow()
    if not hasattr(table, "__arrow_c_stream__"):
        raise TypeError(f"a table has the Arrow stream interface, which {type(table).__qualname__} has not")
    whole = pa.table(table)
    columns: dict[str, Any] = {}
    for name, column in zip(whole.column_names, whole.columns, strict=True):
        if name in columns:
            raise TypeError(f"column {name!r} is there twice")
        try:
            columns[name] = _column(pa, column.combine_chunks())
        except (ValueError, OverflowError, pa.ArrowException) as error:
            raise SerializationError(f"column {name!r}: {error}") from None
    return columns


def _column(pa: Any, column: Any) -> Any:
    np = numpy()
    if isinstance(column, pa.ChunkedArray):  # of no chunks, or of more than Arrow joins
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(column.type) and (column.dictionary.null_count or not _is_text(pa, column.dictionary)):
        column = column.dictionary_decode()
    kind = column.type
    if _is_text(pa, column):
        column = column.cast(pa.string()).dictionary_encode()
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        mask = column.is_null().to_numpy(zero_copy_only=False)
        return np.ma.MaskedArray(column.fill_null(0).to_numpy(zero_copy_only=False), mask)
    elif pa.types.is_timestamp(kind):
        # Nanoseconds are cut; a time in a coarser unit may be beyond 64 bits of microseconds, which is an error.
        times = column.cast(pa.timestamp("us", kind.tz and "UTC"), safe=kind.unit != "ns")
        return times.to_pylist() if kind.tz else times.to_numpy(zero_copy_only=False)
    elif not pa.types.is_dictionary(kind):
        return column.to_pylist()
    codes = column.indices.cast(pa.int32()).fill_null(-1)  # of other libraries without a sign
    return Dictionary(codes.to_numpy(zero_copy_only=False), column.dictionary.to_pylist())


def _is_text(pa: Any, column: Any) -> bool:
    kind = column.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view")


def record_batch(columns: Sequence[tuple[str, int, Any, Any, Any, Any]], rows: int) -> Any:
    """The columns of a frame as a record batch over the frame's own memory."""
    pa = pyarrow()
    arrays = [_array(pa, rows, *column[1:]) for column in columns]
    return pa.RecordBatch.from_arrays(arrays, [column[0] for column in columns])


def _array(pa: Any, rows: int, kind: int, *buffers: Any) -> Any:
    validity, data, offsets, values = (pa.py_buffer(part) if len(part) else None for part in buffers)
    if kind == 7:
        packed = pa.Array.from_buffers(pa.binary(), rows, [None, offsets, values])
        from ttp.native import unpack  # noqa: PLC0415

        return pa.array([unpack(value) for value in packed.to_pylist()])
    if kind == 6:
        count = memoryview(buffers[2]).nbytes // 4 - 1
        texts = pa.Array.from_buffers(pa.string(), count, [None, offsets, values or pa.py_buffer(b"")])
        codes = pa.Array.from_buffers(pa.int32(), rows, [validity, data])
        return pa.DictionaryArray.from_arrays(codes, texts)
    types = {1: pa.bool_(), 2: pa.int64(), 3: pa.float64(), 4: pa.timestamp("us"), 5: pa.timestamp("us", tz="UTC")}
    return pa.Array.from_buffers(types[kind], rows, [validity, data])


def pyarrow() -> Any:
    """The module. ImportError, which names the extra, where it is not installed."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ImportError("Arrow tables need pyarrow: pip install 'ttp[columns]'") from error
    return pa
