"""Makes the golden vectors: `PYTHONPATH=src python tests/parity/golden_vectors.py` writes tests/parity/golden.

Written once for each wire major. A difference to what is committed means that frames on servers become unreadable.
"""

import json
import struct
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\nvendor=value"


def build(twin: Any) -> dict[str, bytes]:
    """Name → bytes."""
    plain = [twin.encode_row([n, n * 0.5, "pump"]) for n in range(3)]
    common = {"name": "ingest", "queue": "default", "producer": bytes(range(12)), "created_at": 1_700_000_000_000_000}
    first = twin.encode_frame(plain, fid=0x0123456789ABCDEF, **common)
    results = twin.encode_frame(
        [twin.encode_row([], {"device": "ü", "at": datetime(2026, 1, 2, 3, 4, 5, 6)})],  # noqa: DTZ001
        fid=2**64 - 1, priority=0, attempt=3, deferrals=2, crashes=1, flags=1, **common,
    )  # fmt: skip
    value = {
        "none": None, "bools": [True, False], "ints": [0, 127, 128, 65_536, 2**64 - 1, -1, -32, -33, -(2**63)],
        "floats": [0.0, -0.0, 1.5, 1e308], "text": "ünï", "bytes": b"\x00\xff", "map": {1: 2, None: 3},
        "at": datetime(2026, 1, 2, tzinfo=UTC), "id": UUID(int=5), "price": Decimal("1.10"), "long": "x" * 300,
    }  # fmt: skip
    derived = twin.FrameView(first).derive([0, 2], fid=7, attempt=2, crashes=1)
    return {
        "plain": first,
        "results": results,
        "derived": derived,
        "traced": twin.FrameView(twin.encode_frame(plain, fid=8, trace=TRACE, **common)).derive([1], fid=9),
        "columns": build_columns(twin),
        "value": twin.pack(value),
        "block": settled(twin, twin.FrameView(results).derive([0], fid=9)) + settled(twin, first_with_results(twin)),
    }


def build_columns(twin: Any) -> bytes:
    """A frame of three events in columns of every type, with nulls."""
    numbers = struct.pack("<3q", -(2**63), 0, 1_700_000_000_000_000)
    columns = [
        ("truth", 1, b"\x03", b"\x01", b"", b""),
        ("int", 2, b"", numbers, b"", b""),
        ("float", 3, b"\x05", struct.pack("<3d", 1.5, 0.0, float("inf")), b"", b""),
        ("wall", 4, b"\x04", numbers, b"", b""),
        ("utc", 5, b"\x06", numbers, b"", b""),
        ("device", 6, b"", struct.pack("<3i", 1, 0, 1), struct.pack("<3i", 0, 3, 7), "zü".encode() + b"pump"),
        ("more", 7, b"", b"", struct.pack("<4i", 0, 1, 4, 5), twin.pack(None) + twin.pack([1, 2]) + twin.pack({})),
    ]
    frame: bytes = twin.encode_columns(
        columns, 3, name="store", queue="q", fid=5, producer=bytes(range(12)), priority=2, created_at=6, flags=1
    )
    return frame


def first_with_results(twin: Any) -> bytes:
    """A frame of five tasks whose outcomes are kept."""
    rows = [twin.encode_row([n]) for n in range(5)]
    frame: bytes = twin.encode_frame(rows, name="t", queue="q", fid=3, producer=bytes(12), flags=1)
    return frame


def settled(twin: Any, frame: bytes) -> bytes:
    """The results of a frame whose tasks end in every way."""
    part = twin.Slice(twin.FrameView(frame), 0, len(twin.FrameView(frame)))
    for row in range(part.stop):
        if row == 3:
            part.cancel(row)
            continue
        part.begin(row)
        if row == 1:
            part.record(row, twin.RETRY, 1_700_000_000_123)
        if row == 2:
            part.record(row, twin.DEAD, ["ValueError", "too hot", "Traceback …"])
        part.finish(row, {1: twin.RETRY, 2: twin.DEAD}.get(row, twin.DONE), {"row": row})
    block: bytes = part.settle()[2]
    return block


FIELDS = ["name", "queue", "fid", "origin", "priority", "attempt", "deferrals", "crashes", "created_at", "flags"]


def describe(twin: Any, name: str, data: bytes) -> dict[str, Any]:
    """What a reader must find in a vector, for golden.json."""
    if name == "value":
        return {"value": repr(twin.unpack(data))}
    if name == "block":
        return {"results": [repr(item) for item in twin.ResultBlock(data).items()]}
    view = twin.FrameView(data)
    rows = [[view.index(i), repr(view.arguments(i))] for i in range(len(view))]
    more = {"producer": view.producer.hex(), "rows": rows, **({"trace": view.trace.decode()} if view.trace else {})}
    return {field: getattr(view, field) for field in FIELDS} | more


def main() -> None:
    """Write them."""
    from ttp.native import _pure  # noqa: PLC0415

    directory = Path(__file__).parent / "golden"
    directory.mkdir(exist_ok=True)
    vectors = build(_pure)
    for name, data in vectors.items():
        (directory / f"{name}.bin").write_bytes(data)
    described = {name: describe(_pure, name, data) for name, data in vectors.items()}
    (directory / "golden.json").write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
