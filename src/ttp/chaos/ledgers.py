"""Three ledgers: what the producer was told is accepted, what was executed, what was committed."""

import os
import struct
from collections import Counter
from pathlib import Path

from ttp.coordination.connection import Connection
from ttp.coordination.keys import Keys
from ttp.native import FrameView

_RANGE = struct.Struct("<cII")
_NUMBER = struct.Struct("<I")


class ProducerLedger:
    """Ranges of task numbers, on disk before anything else happens: `tried` before they are sent, then `accepted`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)

    def write(self, what: str, start: int, stop: int) -> None:
        """Note that tasks start to stop - 1 are "tried" or "accepted"."""
        self._file.write(_RANGE.pack(what[:1].encode(), start, stop))
        os.fsync(self._file.fileno())

    def read(self, what: str) -> set[int]:
        """All task numbers of which this is noted."""
        letter, numbers = what[:1].encode(), set[int]()
        for noted, start, stop in _RANGE.iter_unpack(self._path.read_bytes()):
            if noted == letter:
                numbers.update(range(start, stop))
        return numbers

    def end(self, what: str) -> int:
        """The number behind the last range of which this is noted; 0 without one. Reads the last notes only."""
        with self._path.open("rb") as file:
            whole = file.seek(0, os.SEEK_END) // _RANGE.size
            file.seek(max(0, whole - 4) * _RANGE.size)
            last = file.read(min(whole, 4) * _RANGE.size)
        return max((stop for noted, _, stop in _RANGE.iter_unpack(last) if noted == what[:1].encode()), default=0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class ExecutionLedger:
    """A worker process's file of the numbers its handler was called with. It outlives the process."""

    def __init__(self, directory: Path) -> None:
        self._file = (directory / f"executed.{os.getpid()}").open("ab", buffering=0)

    def write(self, number: int) -> None:
        """Note an execution: straight to the kernel."""
        self._file.write(_NUMBER.pack(number))

    @staticmethod
    def read(directory: Path) -> Counter[int]:
        """Executions by task number, of all workers."""
        counted: Counter[int] = Counter()
        for file in directory.glob("executed.*"):
            whole = file.read_bytes()
            counted.update(n for (n,) in _NUMBER.iter_unpack(whole[: len(whole) // 4 * 4]))
        return counted


def commit_ledger(connection: Connection, keys: Keys) -> Counter[int]:
    """Commits by task number: each task's child, read as plain entries of a queue that nobody serves."""
    counted: Counter[int] = Counter()
    after = "-"
    while page := connection.call("XRANGE", keys.stream(1), after, "+", "COUNT", 100):
        for entry_id, fields in page:
            frame = FrameView(dict(zip(fields[::2], fields[1::2], strict=True))[b"f"])
            counted.update(frame.arguments(row)[0][0] for row in range(len(frame)))
            after = "(" + entry_id.decode()
    return counted
