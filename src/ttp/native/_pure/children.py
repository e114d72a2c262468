"""What the rows of a slice submit, until it is settled."""

from ttp.errors import QueueFull
from ttp.native._pure.frame import MAX_FRAME, frame_size
from ttp.native._pure.outbox import Route
from ttp.native._pure.pool import FrameWriter

MAX_UNSETTLED = 1_048_576


class ChildFrames:
    """Open frames, and how much of each the row in hand has written: that is dropped if it fails."""

    def __init__(self) -> None:
        self._frames: list[FrameWriter] = []
        self._marks: dict[FrameWriter, int] | None = None  # rows of each frame before those of the row in hand
        self._own = 0  # bytes of the row in hand
        self.size = 0

    def append(self, route: Route, row: bytes, producer: bytes) -> tuple[FrameWriter, int]:
        """Put a row of the running task into an open frame of its route."""
        frame = next((f for f in reversed(self._frames) if f.route is route), None)
        if frame is not None and not frame.fits(len(row), MAX_FRAME):
            frame = None
        cost = len(row) + 4 + (frame_size(*route.raw, 0, 0, derived=True) if frame is None else 0)
        if self._own + cost > MAX_UNSETTLED:
            raise QueueFull(
                f"one task may submit {MAX_UNSETTLED} bytes of children: submit with options(detached=True)"
            )
        if self._marks is None:
            self._marks = {each: len(each) for each in self._frames}
        if frame is None:
            frame = FrameWriter(route, producer, None)
            self._frames.append(frame)
        self._own += cost
        self.size += cost
        return frame, frame.append(row)

    def end(self, *, keep: bool) -> None:
        """The row in hand has ended, or failed and may still submit in on_error."""
        if self._marks is not None and not keep:
            for frame in self._frames:
                frame.truncate(self._marks.get(frame, 0))
                frame.settled = not frame.rows  # such a one is nobody's
            self._frames = [frame for frame in self._frames if frame.rows]
            self.size -= self._own
        self._marks = None
        self._own = 0

    def take(self) -> list[FrameWriter]:
        """The frames of finished rows, sealed."""
        marks, taken, left = self._marks, [], []
        for frame in self._frames:
            rows = len(frame) if marks is None else marks.get(frame, 0)
            if rows == len(frame):
                taken.append(frame)
            elif rows == 0:
                left.append(frame)
            else:
                taken.append(frame.cut(rows))
                left.append(frame)
        for frame in taken:
            frame.seal()
            frame.settled = True
        self._frames = left
        if marks is not None:
            self._marks = dict.fromkeys(left, 0)
        self.size = self._own
        return taken
