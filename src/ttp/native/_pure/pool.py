"""The memory pool, which here only counts, and a frame on its way out."""

import secrets
import time
from collections import deque
from typing import TYPE_CHECKING, Any, final

from ttp.native._pure.frame import MAX_ROWS, RESULTS, encode_frame, frame_size

if TYPE_CHECKING:
    from ttp.native._pure.outbox import Outbox, Route


@final
class MemoryPool:
    """See `_core.pyi`."""

    def __init__(self, block_size: int, blocks: int, /) -> None:
        if block_size < 1 or blocks < 1:
            raise ValueError("block_size and blocks must be at least 1")
        self.block_size = block_size
        self.capacity = blocks
        self._free = deque([None] * blocks)  # its operations are atomic

    @property
    def available(self) -> int:
        """Free blocks."""
        return len(self._free)

    def acquire(self) -> bool:
        """Take a block. False if there is none."""
        try:
            self._free.pop()
        except IndexError:
            return False
        return True

    def give_back(self) -> None:
        """One block is free again."""
        self._free.append(None)


@final
class FrameWriter:
    """See `_core.pyi`."""

    def __init__(self, route: "Route", producer: bytes, outbox: "Outbox | None") -> None:
        self.route = route
        self.fid = self.origin = random_fid()
        self.outcome: Any = None
        self.rows: list[bytes] = []
        self.size = 0  # of the rows
        self.base = 0  # index of the first row in the origin frame
        self.settled = outbox is not None  # False: a running slice may still take rows back
        self.released = False
        self._outbox = outbox  # None: it belongs, or belonged, to a slice
        self._producer = producer
        self._created_at = time.time_ns() // 1000 + route.outbox.offset_us
        self._data: bytes | None = None
        self._count: int | None = None

    @property
    def sealed(self) -> bool:
        """Whether it takes no more rows."""
        return self._count is not None

    def __len__(self) -> int:
        return len(self.rows) if self._count is None else self._count

    def fits(self, row: int, limit: int) -> bool:
        """Whether a row of this size keeps the whole frame within the limit."""
        count = len(self.rows)
        if count == MAX_ROWS or self.base + count > 0xFFFF:
            return False
        # A slice's frame may be cut, and then needs an index.
        derived = self._outbox is None
        return frame_size(*self.route.raw, self.size + row, count + 1, derived=derived) <= limit

    def append(self, row: bytes) -> int:
        """Add a row that fits. Its index in the origin frame."""
        self.rows.append(row)
        self.size += len(row)
        return self.base + len(self.rows) - 1

    def truncate(self, rows: int) -> None:
        """Take back all but the first rows."""
        del self.rows[rows:]
        self.size = sum(map(len, self.rows))

    def seal(self) -> None:
        """Take no more rows."""
        if self._count is None:
            self._data = encode_frame(
                self.rows,
                name=self.route.name,
                queue=self.route.queue,
                fid=self.fid,
                origin=self.origin,
                index=range(self.base, self.base + len(self.rows)) if self.base else None,
                producer=self._producer,
                priority=self.route.priority,
                created_at=self._created_at,
                flags=RESULTS if self.route.results else 0,
                trace=self.route.trace,
            )
            self._count = len(self.rows)

    def data(self) -> memoryview:
        """See `_core.pyi`."""
        self._check_settled()
        if self._count is None and self._outbox is not None:
            self._outbox.seal_frame(self)
        if self._data is None:
            raise ValueError("the frame is released")
        return memoryview(self._data)

    def release(self) -> None:
        """See `_core.pyi`."""
        self._check_settled()
        if self.released:
            return
        self.released = True
        self._count = len(self)
        self._data = None
        self.rows = []
        if self._outbox is not None:
            self._outbox.forget(self)

    def _check_settled(self) -> None:
        if not self.settled:
            raise ValueError("the frame belongs to a slice until it is settled")

    def cut(self, rows: int) -> "FrameWriter":
        """The first rows as a frame of their own, under this one's fid; the rest goes on under a new one."""
        first = FrameWriter(self.route, self._producer, None)
        first.fid, first.origin, first.base = self.fid, self.origin, self.base
        first._created_at = self._created_at
        first.rows, self.rows = self.rows[:rows], self.rows[rows:]
        first.size = sum(map(len, first.rows))
        self.size -= first.size
        self.base += rows
        self.fid = random_fid()
        return first


def random_fid() -> int:
    """64 random bits, never all 0."""
    return secrets.randbits(64) or 1
