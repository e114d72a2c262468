"""Dead letters: what failed for good, why, and back into the queue or out."""

from collections.abc import Callable, Iterator
from typing import Any

from ttp.coordination import commands, dead_frames
from ttp.coordination.keys import Keys
from ttp.coordination.records import DeadEntry
from ttp.errors import CorruptFrame, TtpError
from ttp.native import FrameView, pack, unpack
from ttp.task import TaskId
from ttp.worker.draft import new_fid

PAGE = 64  # entries read at a time

Call = Callable[[commands.Command], Any]


class DeadLetter:
    """One dead task.

    Attributes:
        id: the task's id; None for a frame that cannot be read.
        task: its name.
        args: positional arguments as they arrived (keyword arguments as a last dict).
        reason: error type and message.
        traceback: the remote traceback as text, or empty.
        dead_at: when it died, seconds since 1970, server time.
    """

    args: tuple[Any, ...]
    traceback: str
    dead_at: float

    def __init__(self, entry: "_Entry", row: int, record: list[Any]) -> None:
        self._entry = entry
        self._row = row
        _, error_type, reason, self.traceback, dead_ms = record
        self.reason = f"{error_type}: {reason}" if reason else str(error_type)
        self.dead_at = dead_ms / 1000
        view = entry.view
        self.task = view.name if view is not None else "?"
        self.id = None if view is None else str(entry.task_id(row))
        self.args = () if view is None else _arguments(view, row)

    def __repr__(self) -> str:
        return f"<DeadLetter {self.id} {self.task}: {self.reason}>"

    def retry(self) -> None:
        """Back into its queue as a first attempt, under the same id. Handles show the old failure until it has run.

        Raises:
            TtpError: it cannot be read, or is no longer dead: another retried or dropped it.
        """
        self._entry.take(self._row, revive=True)

    def drop(self) -> None:
        """Out, for good. TtpError as `retry`."""
        self._entry.take(self._row, revive=False)


def dead_letters(keys: Keys, call: Call) -> Iterator[DeadLetter]:
    """All dead tasks of a queue, oldest first, read page by page."""
    last, made = "-", set[str]()
    while True:
        page = dead_frames.entries(call(dead_frames.page(keys, after=last, count=PAGE)))
        if not page:
            return
        for entry in page:
            last = entry.id
            if entry.id not in made:
                yield from _Entry(keys, call, entry, made).letters()


class _Entry:
    """One entry of the stream of dead frames; taking a task out of it replaces it.

    Args:
        made: takes the ids of the entries that stand for the rest, at the end of the stream.
    """

    def __init__(self, keys: Keys, call: Call, entry: DeadEntry, made: set[str]) -> None:
        self._keys = keys
        self._call = call
        self._id = entry.id
        self._made = made
        self._records: list[list[Any]] = unpack(entry.errors)
        self.view: FrameView | None
        try:
            self.view = FrameView(keys.verify(entry.frame))
        except CorruptFrame:
            self.view = None
            self._rows = [0]
        else:
            self._rows = list(range(len(self.view)))

    def letters(self) -> Iterator[DeadLetter]:
        if self.view is None:
            yield DeadLetter(self, 0, self._records[0])
            return
        record_of = {index: record for record in self._records for index in record[0]}
        for row in list(self._rows):
            yield DeadLetter(self, row, record_of[self.view.index(row)])

    def task_id(self, row: int) -> TaskId:
        assert self.view is not None
        return TaskId(self._keys.queue, self._keys.partition, self.view.origin, self.view.index(row))

    def take(self, row: int, *, revive: bool) -> None:
        view = self.view
        if view is None and revive:
            raise TtpError("this frame cannot be read, so it cannot be retried; drop it")
        if row not in self._rows:
            raise TtpError("this task is no longer dead: it was retried or dropped")
        rest = [r for r in self._rows if r != row]
        fid = new_fid()
        say = dead_frames.bury(
            self._keys,
            entry_id=self._id,
            rest=view.derive(rest, fid=new_fid()) if view is not None and rest else b"",
            rest_tasks=len(rest),
            rest_errors=pack(self._records_of(rest)) if rest else b"",
            revive=view.derive([row], fid=fid, attempt=1, deferrals=0, crashes=0) if view and revive else None,
            revive_fid=fid,
            revive_tasks=1,
            priority=view.priority if view is not None else 1,
        )
        status, rest_id = dead_frames.bury_reply(self._call(say))
        if status != "OK":
            raise TtpError("this task is no longer dead: another retried or dropped it")
        self._id, self._rows = rest_id, rest
        self._made.add(rest_id)

    def _records_of(self, rows: list[int]) -> list[list[Any]]:
        assert self.view is not None
        left = {self.view.index(row) for row in rows}
        kept = [[[i for i in record[0] if i in left], *record[1:]] for record in self._records]
        return [record for record in kept if record[0]]


def _arguments(view: FrameView, row: int) -> tuple[Any, ...]:
    try:
        args, kwargs = view.arguments(row)
    except CorruptFrame as error:
        return (f"unreadable: {error}",)
    return (*args, kwargs) if kwargs else args
