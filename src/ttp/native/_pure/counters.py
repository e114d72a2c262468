"""Counters in memory that processes share."""

import threading
from mmap import mmap
from typing import final

_LIMIT = 1 << 64


@final
class Counters:
    """See `_core.pyi`."""

    def __init__(self, memory: bytearray | memoryview | mmap, /) -> None:
        view = memoryview(memory)
        if view.readonly:
            raise BufferError("counters need memory that can be written")
        if view.nbytes % 8:
            raise ValueError("counters need memory of whole cells of 8 bytes, aligned to 8")
        self._cells = view.cast("B").cast("Q")
        self._lock = threading.Lock()

    def add(self, cell: int, amount: int, /) -> None:
        """See `_core.pyi`."""
        cells, cell, amount = self._cells, self._checked(cell), _number(amount)
        with self._lock:
            cells[cell] = (cells[cell] + amount) % _LIMIT

    def set(self, cell: int, value: int, /) -> None:
        """See `_core.pyi`."""
        cell, value = self._checked(cell), _number(value)
        self._cells[cell] = value

    def get(self, cell: int, /) -> int:
        """See `_core.pyi`."""
        return self._cells[self._checked(cell)]

    def values(self, first: int, last: int, /) -> list[int]:
        """See `_core.pyi`."""
        first = self._checked(first)
        return self._cells[first : self._checked(last) + 1].tolist()

    def __len__(self) -> int:
        return len(self._cells)

    def _checked(self, cell: int) -> int:
        if not 0 <= cell < len(self._cells):
            raise IndexError("no such counter")
        return cell


def _number(value: int) -> int:
    if not 0 <= value < _LIMIT:
        raise ValueError("a counter holds 0 to 2**64 - 1")
    return value
