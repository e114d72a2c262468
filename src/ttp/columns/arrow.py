"""Between Arrow and columns. Needs pyarrow."""

from typing import Any

from ttp.columns.dictionary import Dictionary
from ttp.columns.schema import numpy


def columns_in(table: Any) -> dict[str, Any]:
    """An Arrow table's columns, as `submit_columns` takes them."""
    pa = pyarrow()
    if not hasattr(table, "__arrow_c_stream__"):
        raise TypeError(f"a table has the Arrow stream interface, which {type(table).__qualname__} has not")
    whole = pa.table(table)
    return {name: _column(pa, whole[name].combine_chunks()) for name in whole.column_names}


def _column(pa: Any, column: Any) -> Any:
    np = numpy()
    if isinstance(column, pa.ChunkedArray):  # of no chunks, or of more than Arrow joins
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    kind = column.type
    if pa.types.is_dictionary(kind) and pa.types.is_integer(kind.index_type):
        texts = column.dictionary
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view":
        column = column.cast(pa.string()).dictionary_encode()
        texts = column.dictionary
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        mask = column.is_null().to_numpy(zero_copy_only=False)
        return np.ma.MaskedArray(column.fill_null(0).to_numpy(zero_copy_only=False), mask)
    elif pa.types.is_timestamp(kind) and kind.tz is None:
        return column.cast(pa.timestamp("us"), safe=False).to_numpy(zero_copy_only=False)
    else:
        return column.to_pylist()
    return Dictionary(column.indices.fill_null(-1).to_numpy(zero_copy_only=False), texts.to_pylist())


def record_batch(columns: list[tuple[str, int, Any, Any, Any, Any]], rows: int) -> Any:
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
        texts = pa.Array.from_buffers(
            pa.string(), len(buffers[2]) // 4 - 1, [None, offsets, values or pa.py_buffer(b"")]
        )
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
