"""Accepted frames that can be sent again for a while, should a failover take the server back before them. No I/O."""

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, TypeGuard, cast

from ttp.native import FrameWriter, Route

if TYPE_CHECKING:
    from ttp.producer.chain import Chain

RESEND_SECONDS = 5.0
RESEND_LIMIT = 64 << 20  # bytes
STEP = 1.0  # seconds: more than that is no time between two answers, but an outage
OVERHEAD = 300  # bytes of memory that a kept frame takes beside its own


class KeptFrame:
    """A copy of an accepted frame; to the sender it is what a `FrameWriter` is.

    Attributes:
        chain: where it was accepted.
        previous: fid of the frame before it there.
        at: when, by the window's clock.
        outcome: None while it is on its way again.
    """

    __slots__ = ("_count", "_data", "at", "chain", "fid", "outcome", "previous", "route")

    def __init__(self, frame: FrameWriter, chain: "Chain", previous: int | None, at: float) -> None:
        self.fid = frame.fid
        self.route: Route = frame.route
        self.chain = chain
        self.previous = previous
        self.at = at
        self.outcome: object = True
        self._count = len(frame)
        self._data = bytes(frame.data())

    def __len__(self) -> int:
        return self._count

    def data(self) -> bytes:
        """The frame's bytes; empty once they are forgotten."""
        return self._data

    @property
    def cost(self) -> int:
        """Bytes of memory that its bytes take."""
        return len(self._data) + OVERHEAD

    def forget(self) -> None:
        """Give the memory back, and remember no more than that there was this frame."""
        self._data = b""

    def release(self) -> None:
        """It holds no block of the pool."""


def kept(frame: object) -> "TypeGuard[KeptFrame]":
    """Whether a frame in hand was accepted before."""
    return isinstance(frame, KeptFrame)


def kept_tasks(frames: Iterable[FrameWriter]) -> int:
    """Tasks among these that were accepted before."""
    return sum(len(frame) for frame in frames if kept(frame))


class ResendWindow:
    """The last accepted frames of all chains, in the order of their acceptance.

    Its clock runs only while the server answers: however long an outage takes, what was accepted before it is there.

    Args:
        seconds: that a frame is remembered.
        limit: bytes; above that the bytes of the oldest go first, and only what they were is remembered.

    Attributes:
        lost: tasks that the server has lost and that could not be sent again; whoever reads it resets it.
    """

    def __init__(self, seconds: float = RESEND_SECONDS, limit: int = RESEND_LIMIT) -> None:
        self._seconds = seconds
        self._limit = limit
        self.lost = 0
        self._frames: deque[KeptFrame] = deque()
        self._bare = 0  # how many of them, from the oldest on, are without their bytes
        self._last: dict[Chain, KeptFrame] = {}
        self._size = 0
        self._now = 0.0
        self._answered: float | None = None

    def __len__(self) -> int:
        return len(self._frames)

    def __contains__(self, chain: object) -> bool:
        """Whether a frame of this chain is remembered."""
        return chain in self._last

    def answered(self, now: float) -> None:
        """The server has answered, and what it says of its chains is known. Forgets what is too old."""
        if self._answered is not None:
            self._now += min(now - self._answered, STEP)
        self._answered = now
        oldest = self._now - self._seconds
        while self._frames and self._frames[0].at < oldest:
            frame = self._frames[0]
            if self._bare:
                self._bare -= 1
            else:
                self._size -= frame.cost
            self._frames.popleft()
            if self._last[frame.chain] is frame:
                del self._last[frame.chain]

    def interrupted(self) -> None:
        """The connection is gone: until the next answer no time passes."""
        self._answered = None

    def keep(self, chain: "Chain", previous: int | None, frame: FrameWriter) -> None:
        """Copy a frame that is accepted now. A MemoryError leaves it out."""
        if not self._limit or not self._seconds:
            return
        copy = KeptFrame(frame, chain, previous, self._now)
        cost = copy.cost
        while self._size + cost > self._limit and self._bare < len(self._frames):
            oldest = self._frames[self._bare]
            self._size, self._bare = self._size - oldest.cost, self._bare + 1
            oldest.forget()
        size, bare = self._size + cost, self._bare
        if size > self._limit:  # by itself
            copy.forget()
            size, bare = 0, bare + 1
        self._last[chain] = copy
        self._frames.append(copy)
        self._size, self._bare = size, bare

    def take_after(self, chain: "Chain", last: int | None) -> list[FrameWriter] | None:
        """Take out the frames of a chain that come after this one, which the server has last: it has lost them.

        Returns:
            Those to be sent again. None if the server's last frame is not remembered here.
        """
        mine = [frame for frame in self._frames if frame.chain is chain]
        first = next((place for place, frame in enumerate(mine) if frame.previous == last), None)
        if first is None:
            return None
        return self._take(chain, mine[first:])

    def take_all(self, chain: "Chain") -> list[FrameWriter]:
        """Take out all frames of a chain: the server has lost them, and some before them, too."""
        return self._take(chain, [frame for frame in self._frames if frame.chain is chain])

    def drop(self, chain: "Chain") -> None:
        """Forget a chain."""
        lost = self.lost
        self.take_all(chain)
        self.lost = lost

    def _take(self, chain: "Chain", taken: list[KeptFrame]) -> list[FrameWriter]:
        gone = set(map(id, taken))
        bare = sum(id(frame) not in gone for frame in islice(self._frames, self._bare))
        self._frames = deque(frame for frame in self._frames if id(frame) not in gone)
        self._bare = bare
        self._size = sum(frame.cost for frame in islice(self._frames, bare, None))
        self._last.pop(chain, None)
        self._last.update((chain, frame) for frame in self._frames if frame.chain is chain)
        again = [frame for frame in taken if frame.data()]
        self.lost += sum(map(len, taken)) - sum(map(len, again))
        for frame in again:
            frame.outcome = None
        return cast("list[FrameWriter]", again)
