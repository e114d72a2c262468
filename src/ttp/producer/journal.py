"""Frames on disk, first in, first out: a folder of segment files that are written at the end and deleted whole."""

import logging
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ttp.producer.keeper import Fsync
from ttp.producer.records import Record, describe, encode, scan

log = logging.getLogger("ttp.producer")

EVERY = 1.0  # seconds of "everysec"


@dataclass(slots=True)
class _Segment:
    """A file, how much of it counts, and what that is."""

    number: int
    size: int = 0
    frames: int = 0
    tasks: int = 0


class Journal:
    """The frames of one chain that wait on disk. Not thread-safe. OSError where the disk does not do.

    Opening it recovers: a torn record at the end, that of a process which died in its writing, is cut off; what
    is damaged elsewhere is passed over, reported, and kept aside as `<segment>.damaged`.

    Args:
        folder: of its own; made when something is written.
        segment_bytes: size from which on another file is begun.
        fsync: "always" syncs each frame, "everysec" at most once a second (`sync_due` must be called), "never" leaves
            it to the system. Only a power cut makes a difference.

    Attributes:
        frames, tasks: not removed yet.
        unread: frames of them that `read` has not given yet.
        size: bytes on disk.
    """

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int,
        fsync: Fsync = "everysec",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self._segment_bytes = segment_bytes
        self._fsync = fsync
        self._monotonic = monotonic
        self._synced_at = monotonic()
        self._file: int | None = None  # the last segment, open for appending
        self._dirty = False
        self._segments: deque[_Segment] = deque()
        self._last: list[Record] = []  # records of the last segment
        self._reading: list[Record] = []  # of the segment `_read_from`
        self._read_from = 0
        self._read_next = 0  # index in `_reading`
        self.frames = self.tasks = self.unread = self.size = 0
        self._next = 1
        self._recover()

    # at the start

    def _recover(self) -> None:
        numbers = sorted(int(file.stem) for file in self.folder.glob("*.journal"))
        for number in numbers:
            records = self._sound(number, torn=number == numbers[-1])
            size = self._path(number).stat().st_size
            segment = _Segment(number, size, len(records), sum(record.tasks for record in records))
            self._segments.append(segment)
            self._last = records
            self.frames += segment.frames
            self.tasks += segment.tasks
            self.size += size
            self._next = number + 1
        self.unread = self.frames
        if not self.frames:
            self._forget_all()

    def _sound(self, number: int, *, torn: bool) -> list[Record]:
        """The records of a segment, once the file holds nothing else."""
        path = self._path(number)
        data = path.read_bytes()
        records, damage = scan(data, number)
        if torn and damage and damage[-1][1] == len(data):
            log.warning("%s: the last record is torn, %d bytes of it are cut off", path, len(data) - damage[-1][0])
            data = data[: damage.pop()[0]]
            os.truncate(path, len(data))
        if damage:
            aside = path.with_suffix(".damaged")
            lost = sum(stop - start for start, stop in damage)
            log.error("%s is damaged: %d bytes are no frames, kept aside in %s", path, lost, aside)
            path.rename(aside)
            data = b"".join(encode(data[r.offset : r.end], r.due) for r in records)
            _write_whole(path, data)
            records, _ = scan(data, number)
        return records

    # at the end of the line

    def append(self, frame: bytes | memoryview, due: float = 0.0) -> None:
        """Write a frame; it outlives this process once this returns. After an OSError it is not there."""
        data = encode(frame, due)
        last = self._segments[-1] if self._segments else None
        if self._file is None or last is None or last.size + len(data) > self._segment_bytes:
            last = self._begin_segment()
        assert self._file is not None
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:])
            if self._fsync == "always":
                os.fsync(self._file)
        except OSError:
            self._cut(last)
            raise
        record = describe(frame, due, last.number, last.size)
        self._last.append(record)
        last.size += len(data)
        last.frames += 1
        last.tasks += record.tasks
        self.size += len(data)
        self.frames += 1
        self.tasks += record.tasks
        self.unread += 1
        self._dirty = self._fsync == "everysec"

    def _begin_segment(self) -> _Segment:
        self._close_file()
        self.folder.mkdir(mode=0o700, exist_ok=True)
        segment = _Segment(self._next)
        self._next += 1
        self._file = os.open(self._path(segment.number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        if self._fsync != "never":
            _sync_folder(self.folder)
        self._segments.append(segment)
        self._last = []
        return segment

    def _cut(self, segment: _Segment) -> None:
        """Take back what a failed write has left. Where that fails too, nothing more is written to the file."""
        assert self._file is not None
        try:
            os.ftruncate(self._file, segment.size)
        except OSError:
            self._close_file()

    def sync_due(self) -> None:
        """Sync what was written, if it is time."""
        if self._dirty and self._file is not None and self._monotonic() - self._synced_at >= EVERY:
            self._sync()

    def _sync(self) -> None:
        assert self._file is not None
        os.fsync(self._file)
        self._dirty = False
        self._synced_at = self._monotonic()

    # at its front

    def read(self) -> Record | None:
        """The next frame that was not read yet; None where all are. It stays until `remove`."""
        if not self.unread:
            return None
        while self._read_next == len(self._reading):
            segment = next((segment for segment in self._segments if segment.number > self._read_from), None)
            if segment is None:
                return None
            self._reading, self._read_from, self._read_next = self._records(segment), segment.number, 0
        self._read_next += 1
        self.unread -= 1
        return self._reading[self._read_next - 1]

    def _records(self, segment: _Segment) -> list[Record]:
        """The records of a segment; what was damaged since it was opened is gone from all counts."""
        if segment is self._segments[-1]:
            return self._last
        records = self._sound(segment.number, torn=False)
        gone = segment.frames - len(records)
        tasks = sum(record.tasks for record in records)
        self.frames -= gone
        self.unread -= gone
        self.tasks -= segment.tasks - tasks
        segment.frames, segment.tasks = len(records), tasks
        return records

    def load(self, record: Record) -> bytes:
        """A frame's bytes."""
        with self._path(record.segment).open("rb", buffering=0) as file:
            file.seek(record.offset)
            return file.read(record.size)

    def remove(self, record: Record) -> None:
        """Forget the oldest frame, which has been read: this one. Files go when nothing in them is left."""
        self.frames -= 1
        self.tasks -= record.tasks
        if self.frames <= 0:
            self._forget_all()
            return
        while self._segments[0].number < record.segment:
            self._delete(self._segments.popleft())

    def skip_through(self, fid: int) -> int:
        """Forget all frames up to this one, if it is here and none has been read; how many that were."""
        for segment in self._segments:
            if any(record.fid == fid for record in self._records(segment)):
                break
        else:
            return 0
        skipped = 0
        while (record := self.read()) is not None:
            self.remove(record)
            skipped += 1
            if record.fid == fid:
                break
        return skipped

    def _forget_all(self) -> None:
        self._close_file()
        while self._segments:
            self._delete(self._segments.popleft())
        self._last = []
        self._reading, self._read_from, self._read_next = [], self._next - 1, 0

    def _delete(self, segment: _Segment) -> None:
        self._path(segment.number).unlink(missing_ok=True)
        self.size -= segment.size

    def close(self) -> None:
        """Sync and close."""
        if self._dirty and self._file is not None:
            self._sync()
        self._close_file()

    def disown(self) -> None:
        """After a fork, in the child: the file is the parent's."""
        self._dirty = False
        self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            if self._dirty:
                self._sync()
            os.close(self._file)
            self._file = None

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08}.journal"


def _write_whole(path: Path, data: bytes) -> None:
    """A file that is there whole or not at all."""
    half = path.with_suffix(".half")
    with half.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    half.rename(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make new names in a folder outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
