"""Makes the golden vectors: `PYTHONPATH=src python tests/parity/golden_vectors.py` writes tests/parity/golden.

Written once for each wire major. A difference to what is committed means that frames on servers become unreadable.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID


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
    return {
        "plain": first,
        "results": results,
        "derived": twin.FrameView(first).derive([0, 2], fid=7, attempt=2, crashes=1),
        "value": twin.pack(value),
    }


def main() -> None:
    """Write them."""
    from ttp.native import _pure  # noqa: PLC0415

    directory = Path(__file__).parent / "golden"
    directory.mkdir(exist_ok=True)
    described: dict[str, Any] = {}
    for name, data in build(_pure).items():
        (directory / f"{name}.bin").write_bytes(data)
        if name == "value":
            described[name] = {"value": repr(_pure.unpack(data))}
        else:
            view = _pure.FrameView(data)
            described[name] = {"frame": [repr(view.arguments(i)) for i in range(len(view))]}
    (directory / "golden.json").write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
