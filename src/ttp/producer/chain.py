"""A producer's chain on one stream: which frames are on the wire, which are accepted. No I/O.

Each submit names the frame before it; the server accepts only the successor of the last frame it
accepted, and answers with that frame's fid. So a request may be lost, late or doubled, and the
answer always tells what to resend: also what was accepted before, where the server has lost that.
"""

import os
from collections import deque
from collections.abc import Iterator
from itertools import islice

from ttp.native import FrameWriter
from ttp.producer.window import ResendWindow


class Chain:
    """Frames in order of their acceptance to come.

    Attributes:
        id: names the chain to the server; a new one is drawn when another producer (a clone, or this
            one before its server lost state) turns out to have continued it.
        on_disk: its frames may wait there.
        full: the server refused a frame for want of room, and has accepted none since.
        accepted: its frames that are accepted, and that nobody has been told of yet; whoever sends takes them out.
        window: where accepted frames are kept for a while.
    """

    on_disk = False
    _alone = False  # nobody else ever sends under this id

    def __init__(self, chain_id: str) -> None:
        self.id = chain_id
        self.full = False
        self.accepted: deque[FrameWriter] = deque()
        self.window = ResendWindow(limit=0)
        self._accepted: int | None = None
        self._frames: deque[FrameWriter] = deque()
        self._sent = 0  # how many of _frames are on the wire
        self._replies = 0  # replies outstanding
        self._doubtful: set[int] = set()
        self._broken = False  # what is on the wire will be refused: resend once all replies are in

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[FrameWriter]:
        return iter(self._frames)

    def push(self, frame: FrameWriter) -> None:
        """Append a frame that is to be sent."""
        self._frames.append(frame)

    def sendable(self, window: int) -> list[tuple[int | None, FrameWriter]]:
        """The frames to send now, each with its predecessor's fid; at most window stay unanswered."""
        if self._broken:
            return []
        out = []
        while self._sent < len(self._frames) and self._replies < window:
            frame = self._frames[self._sent]
            out.append((self._frames[self._sent - 1].fid if self._sent else self._accepted, frame))
            self._sent += 1
            self._replies += 1
        return out

    def answer(self, status: str, last: int | None) -> None:
        """Take one reply: OK, NO or FULL, and the last fid the server accepted."""
        self._replies -= 1
        self._hear(last)
        if status == "OK":
            self.full = False
        else:
            self._broken = True
            self.full = self.full or status == "FULL"  # those behind a refused frame are answered NO
        self._mend()

    def stands(self, last: int | None) -> None:
        """The server was asked, and has this frame last."""
        self._hear(last)
        self._mend()

    def _hear(self, last: int | None) -> None:
        """The server's last frame is this one."""
        if last == self._accepted:
            return
        if any(frame.fid == last for frame in self._frames):
            self._accept_through(last)
        else:
            self._broken = True
            if not self._went_back(last):
                self._diverged(last)

    def _mend(self) -> None:
        """Once all replies are in, what was refused is sent again."""
        if self._broken and self._replies == 0:
            self._broken = False
            self._sent = 0

    def _accept_through(self, last: int | None) -> None:
        """Everything up to this frame, which is one of ours, is accepted."""
        while self._accepted != last:
            frame = self._frames[0]
            fid, sent = frame.fid, max(0, self._sent - 1)
            self.accepted.append(frame)
            try:
                self.window.keep(self, self._accepted, frame)
            except BaseException:
                self.accepted.pop()  # it is still to be accepted, as the next answer will say
                raise
            # From here to the end of its turn nothing takes memory: a frame moves whole or not at all.
            self._frames.popleft()
            self._accepted = fid
            self._doubtful.discard(fid)
            self._sent = sent
            self._count(frame)

    def _count(self, frame: FrameWriter) -> None:
        """This one is accepted."""

    def _went_back(self, last: int | None) -> bool:
        """Whether the server went back to where it had this frame last: what came after it is sent again."""
        again = self.window.take_after(self, last)
        if again is None and self in self.window and (self._alone or last is None):
            # It went back behind all that is remembered. (A frame that is not known here may also be a clone's.)
            again = self.window.take_all(self)
        if again is None:
            return False
        self._frames.extendleft(reversed(again))
        self._doubtful.update(frame.fid for frame in again)  # they were sent before
        self._sent += len(again)
        self._accepted = last
        return True

    def _diverged(self, last: int | None) -> None:  # noqa: ARG002 - owned chains go on from there
        """The server has somebody else's frame, or none at all: this chain is not ours any more."""
        self.window.drop(self)
        self.id = os.urandom(12).hex()
        self._accepted = None

    def connected(self) -> None:
        """There is a connection."""

    def disconnected(self) -> None:
        """The connection is gone, and all replies with it: everything unaccepted is sent again."""
        # A request in the old socket may still reach the server: these frames can never be taken back.
        self._doubtful.update(frame.fid for frame in islice(self._frames, self._sent))
        self._sent = self._replies = 0
        self._broken = False

    def first_unsent(self) -> FrameWriter | None:
        """The first frame that `withdraw` would take back."""
        unsent = islice(self._frames, self._sent, None)
        return next((frame for frame in unsent if frame.fid not in self._doubtful), None)

    def withdraw(self, frame: FrameWriter) -> bool:
        """Take back a frame that is surely not on the server; False where that is not sure."""
        position = next((i for i, f in enumerate(self._frames) if f is frame), -1)
        if position < self._sent or frame.fid in self._doubtful:
            return False
        del self._frames[position]
        return True
