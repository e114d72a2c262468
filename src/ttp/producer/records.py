"""The records of a journal: frames in a segment file, each with a checksum. No I/O.

record: magic `TTPJ` (4) | CRC32 of all that follows (4) | length of the frame (4) | due, float64 (8) | frame
"""

import struct
import zlib
from dataclasses import dataclass

MAGIC = b"TTPJ"
HEAD = 20
_HEAD = struct.Struct("<4sIId")
_CHECKED = 8  # where the checksum begins
_COUNT = slice(12, 16)  # of a frame's header
_FID = slice(16, 24)
_FRAME_HEADER = 64


@dataclass(frozen=True, slots=True)
class Record:
    """Where a frame lies.

    Attributes:
        segment: number of the file.
        offset, size: of the frame's bytes in it.
        due: seconds since 1970 from which its tasks may run; 0: at once.
    """

    segment: int
    offset: int
    size: int
    due: float
    fid: int
    tasks: int

    @property
    def end(self) -> int:
        """Offset behind it."""
        return self.offset + self.size


def encode(frame: bytes | memoryview, due: float) -> bytes:
    """A record."""
    checked = struct.pack("<Id", len(frame), due)
    return b"".join((MAGIC, zlib.crc32(frame, zlib.crc32(checked)).to_bytes(4, "little"), checked, frame))


def describe(frame: bytes | memoryview, due: float, segment: int, at: int) -> Record:
    """What is known of a frame whose record begins here."""
    fid, count = int.from_bytes(frame[_FID], "little"), int.from_bytes(frame[_COUNT], "little")
    return Record(segment, at + HEAD, len(frame), due, fid, count)


def scan(data: bytes, segment: int) -> tuple[list[Record], list[tuple[int, int]]]:
    """The sound records in a segment's bytes, and the spans (start, stop) between them that are none."""
    found: list[Record] = []
    damage: list[tuple[int, int]] = []
    view, at, stop = memoryview(data), 0, len(data)
    while at < stop:
        record = _record(view, at, segment)
        if record is not None:
            found.append(record)
            at = record.end
            continue
        following = at
        while (following := data.find(MAGIC, following + 1)) >= 0 and _record(view, following, segment) is None:
            pass
        damage.append((at, following if following >= 0 else stop))
        at = damage[-1][1]
    return found, damage


def _record(view: memoryview, at: int, segment: int) -> Record | None:
    """The record that begins here; None where none does."""
    if len(view) - at < HEAD + _FRAME_HEADER:
        return None
    magic, checksum, size, due = _HEAD.unpack_from(view, at)
    end = at + HEAD + size
    if magic != MAGIC or size < _FRAME_HEADER or end > len(view) or zlib.crc32(view[at + _CHECKED : end]) != checksum:
        return None
    return describe(view[at + HEAD : end], due, segment, at)
