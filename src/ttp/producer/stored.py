"""The chain of a producer with a store: what cannot be sent now waits on disk, in its order."""

import contextlib
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard, cast

from ttp.errors import ServerUnavailable
from ttp.native import FrameWriter
from ttp.policy import Clock
from ttp.producer.counts import SendingCounts
from ttp.producer.journal import Journal
from ttp.producer.owned import OwnedChain
from ttp.producer.records import Record
from ttp.producer.window import kept

if TYPE_CHECKING:
    from ttp.producer.store import Store

log = logging.getLogger("ttp.producer")


class _Route(NamedTuple):
    """As much of a route as sending needs; emitted tasks keep no results."""

    at: float
    delay: float = 0.0
    results: bool = False


class StoredFrame:
    """A frame that lies in a journal; to the sender it is what a `FrameWriter` is."""

    __slots__ = ("_data", "_load", "fid", "outcome", "record", "route")

    def __init__(self, record: Record, load: Callable[[Record], bytes]) -> None:
        self.record = record
        self.fid = record.fid
        self.route = _Route(record.due)
        self.outcome: Any = None
        self._load = load
        self._data: bytes | None = None

    def __len__(self) -> int:
        return self.record.tasks

    def data(self) -> bytes:
        """The frame's bytes, read once, when it is sent."""
        if self._data is None:
            self._data = self._load(self.record)
        return self._data

    def release(self) -> None:
        """There is nothing to give back."""


def on_disk(frame: object) -> TypeGuard[StoredFrame]:
    """Whether a frame in hand lies on disk."""
    return isinstance(frame, StoredFrame)


class StoredChain(OwnedChain):
    """First the frames in hand, which are sent; then those on disk; then those that wait for room there.

    While the server answers and has room, frames pass through memory only. From the moment it does not, each goes
    to disk, behind those in hand, until all that lies there is accepted.

    Attributes:
        away: there is no connection.
        pushed, settled: frames that came in, those of an earlier process included, and those that were accepted.
    """

    on_disk = True

    def __init__(self, chain_id: str, journal: Journal, store: "Store", counts: SendingCounts, clock: Clock) -> None:
        super().__init__(chain_id)
        self.journal = journal
        self.away = True
        self.pushed = journal.frames
        self.settled = 0
        self._store = store
        self._counts = counts
        self._clock = clock
        self._tail: deque[FrameWriter] = deque()  # of the pool

    def __len__(self) -> int:
        return super().__len__() + self.journal.unread + len(self._tail)

    @property
    def tasks(self) -> int:
        """Tasks that are not accepted."""
        in_memory = sum(len(frame) for frame in (*self._frames, *self._tail) if not on_disk(frame) and not kept(frame))
        return self.journal.tasks + in_memory

    def push(self, frame: FrameWriter) -> None:
        """Append a frame that is to be sent."""
        pushed = self.pushed + 1
        self._tail.append(frame)
        self.pushed = pushed
        with contextlib.suppress(MemoryError):  # it is here, and is brought on with the next
            self._advance()

    def sendable(self, window: int) -> list[tuple[int | None, FrameWriter]]:
        """See `Chain`; what lies on disk comes into hand here."""
        try:
            while len(self._frames) < window and (record := self.journal.read()) is not None:
                self._frames.append(self._in_hand(record))
        except OSError as error:
            raise self._unreadable(error) from error
        self._advance()
        return super().sendable(window)

    def keep(self) -> bool:
        """Write to disk all frames in memory, and give their blocks back. False if the store takes no more."""
        # Frames of the pool are only in hand while no unread frame is on disk: these are next there.
        for place, frame in enumerate(self._frames):
            if not on_disk(frame) and not kept(frame):
                if not self._write(frame):
                    return False
                record = self.journal.read()
                assert record is not None
                self._frames[place] = self._in_hand(record)
        while self._tail:
            if not self._write(self._tail[0]):
                return False
            self._tail.popleft()
        return True

    def _advance(self) -> None:
        """Bring on what waits for room."""
        if not self._tail:
            return
        if self.away or self.full or self.journal.unread:
            self.keep()
        else:
            self._frames += self._tail
            self._tail.clear()

    def _write(self, frame: FrameWriter) -> bool:
        route = frame.route
        due = route.at or (self._clock.time() + route.delay if route.delay else 0.0)
        if not self._store.write(self.journal, frame.data(), due):
            return False
        self._counts.stored += len(frame)
        frame.outcome = True  # nobody waits for it
        frame.release()
        return True

    def _in_hand(self, record: Record) -> FrameWriter:
        return cast("FrameWriter", StoredFrame(record, self._load))

    def _load(self, record: Record) -> bytes:
        try:
            return self.journal.load(record)
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> ServerUnavailable:
        return ServerUnavailable(f"the store {self.journal.folder} cannot be read: {error}")

    def resumed(self, last: int | None, position: int, owner: int) -> None:
        """See `OwnedChain`; what an earlier process has sent without being told is passed over."""
        if last is not None and not self._frames:
            self.settled += self.journal.skip_through(last)
        super().resumed(last, position, owner)

    def _went_back(self, last: int | None) -> bool:
        before = len(self._frames)
        went_back = super()._went_back(last)
        self.pushed += len(self._frames) - before
        return went_back

    def _count(self, frame: FrameWriter) -> None:
        super()._count(frame)
        self.settled += 1
        if on_disk(frame):
            self._counts.forwarded += len(frame)
            self.journal.remove(frame.record)

    def connected(self) -> None:
        """See `Chain`."""
        self.away = False

    def disconnected(self) -> None:
        """See `Chain`; from now on frames go to disk."""
        super().disconnected()
        self.away = True
        self.keep()
