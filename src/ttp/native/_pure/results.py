"""Result blocks: the specification of docs/wire-format.md, Results."""

import struct
from typing import Any, final

from ttp.errors import CorruptFrame
from ttp.native._pure.codec import unpack


def encode_block(records: list[tuple[int, int, bytes]]) -> bytes:
    """One block of (index, outcome, encoded value); b'' of none."""
    if not records:
        return b""
    count = len(records)
    head = struct.pack(f"<{count}H{count}B", *(r[0] for r in records), *(r[1] for r in records))
    head += bytes(-(8 + len(head)) % 4)
    ends, at = [], 0
    for _, _, value in records:
        at += len(value)
        ends.append(at)
    body = head + struct.pack(f"<{count}I", *ends) + b"".join(r[2] for r in records)
    return struct.pack("<II", 8 + len(body), count) + body


@final
class ResultBlock:
    """See `_core.pyi`."""

    def __init__(self, data: bytes, /) -> None:
        self._found: list[tuple[int, int, memoryview]] = []
        rest = memoryview(data)
        if not rest:
            raise CorruptFrame("no result block")
        while rest:
            if len(rest) < 8:
                raise CorruptFrame("truncated result block")
            length, count = struct.unpack_from("<II", rest)
            if not 8 <= length <= len(rest):
                raise CorruptFrame("truncated result block")
            self._read(rest[:length], count)
            rest = rest[length:]

    def _read(self, block: memoryview, count: int) -> None:
        ends_at = 8 + 3 * count + -(8 + 3 * count) % 4
        values_at = ends_at + 4 * count
        if values_at > len(block):
            raise CorruptFrame("result count exceeds the block")
        indices = struct.unpack_from(f"<{count}H", block, 8)
        outcomes = struct.unpack_from(f"<{count}B", block, 8 + 2 * count)
        ends = struct.unpack_from(f"<{count}I", block, ends_at)
        begin = values_at
        for index, outcome, end in zip(indices, outcomes, ends, strict=True):
            if not 1 <= outcome <= 4:
                raise CorruptFrame("unknown outcome")
            if not begin <= values_at + end <= len(block):
                raise CorruptFrame("result ends do not match the values")
            self._found.append((index, outcome, block[begin : values_at + end]))
            begin = values_at + end
        if begin != len(block):
            raise CorruptFrame("result ends do not match the values")

    def __len__(self) -> int:
        return len(self._found)

    def find(self, index: int, /) -> tuple[int, Any] | None:
        """See `_core.pyi`."""
        return next(((outcome, unpack(value)) for i, outcome, value in self._found if i == index), None)

    def items(self) -> list[tuple[int, int, Any]]:
        """See `_core.pyi`."""
        return [(index, outcome, unpack(value)) for index, outcome, value in self._found]
