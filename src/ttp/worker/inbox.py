"""From a stream entry to a job, or straight to where it must go: defer, bury, take apart."""

import hashlib
from collections.abc import Mapping
from random import Random
from typing import Any

from ttp.coordination import commands
from ttp.coordination.commands import Entry, Placement
from ttp.coordination.keys import Keys
from ttp.errors import CorruptFrame
from ttp.native import FrameView, pack
from ttp.policy import Clock
from ttp.worker.draft import bury, new_fid
from ttp.worker.handler import Handler
from ttp.worker.job import Job, crashes_of
from ttp.worker.stats import Stats

DEFERRALS = 24  # of a task that no worker here knows: 1, 2, 4 … 30 s apart, ten minutes in all
CRASHES = 3  # workers that may die over a task before it is dead


class Inbox:
    """Decides what becomes of an entry that was read or claimed. No I/O."""

    def __init__(
        self, handlers: Mapping[str, Handler], *, consumer: str, clock: Clock, rng: Random, stats: Stats, state: Any
    ) -> None:
        self._handlers = handlers
        self._consumer = consumer
        self._clock = clock
        self._rng = rng
        self._stats = stats
        self._state = state

    def open(self, entry: Entry, keys: Keys, now_ms: int) -> Job | commands.Command:
        """A job to run, or the commit that puts the entry elsewhere."""
        frame = entry.frame or b""
        try:
            view = FrameView(keys.verify(frame))
            if len(view) != entry.tasks:
                raise CorruptFrame(f"the entry says {entry.tasks} tasks, its frame has {len(view)}")
        except CorruptFrame as error:
            self._stats.slot.event("corrupt")
            digest = hashlib.sha256(frame).hexdigest()[:16]
            record = bury(type(error).__name__, f"{error} ({len(frame)} bytes, sha256 {digest}…)", [], now_ms)
            placement = _dead(frame, new_fid(), entry.tasks, 1, record)
            placement.unread = True
            return self._replace(entry, keys, [placement], dead=entry.tasks)
        crashes = crashes_of(entry, view, keys)
        rows = range(len(view))
        if crashes >= CRASHES - 1 and len(view) > 1:
            # Each alone from now on: the one that does harm is charged, not its neighbours.
            return self._replace(entry, keys, [self._ready(view, [row], CRASHES - 1) for row in rows])
        if crashes >= CRASHES:
            record = bury("WorkerLost", f"{crashes} workers died while it ran", [view.index(0)], now_ms)
            fid = new_fid()
            derived = view.derive(rows, fid=fid, crashes=min(crashes, 255))
            return self._replace(entry, keys, [_dead(derived, fid, 1, view.priority, record)], dead=1)
        handler = self._handlers.get(view.name)
        if handler is None:
            return self._defer(entry, keys, view, now_ms)
        return Job(entry, view, handler, keys, clock=self._clock, rng=self._rng, state=self._state)

    def _defer(self, entry: Entry, keys: Keys, view: FrameView, now_ms: int) -> commands.Command:
        """A task no handler here knows: perhaps a newer worker does (a rolling deploy)."""
        rows, fid = range(len(view)), new_fid()
        if view.deferrals >= DEFERRALS:
            record = bury("UnknownTask", f"no worker knows {view.name!r}", [view.index(r) for r in rows], now_ms)
            placement = _dead(view.derive(rows, fid=fid), fid, len(view), view.priority, record)
            return self._replace(entry, keys, [placement], dead=len(view))
        self._stats.deferred(view.name, len(view))
        placement = Placement(
            kind="delayed",
            frame=view.derive(rows, fid=fid, deferrals=view.deferrals + 1),
            fid=fid,
            tasks=len(view),
            priority=view.priority,
            due_ms=now_ms + min(30_000, 1000 << min(view.deferrals, 5)),
        )
        return self._replace(entry, keys, [placement])

    def _ready(self, view: FrameView, rows: list[int], crashes: int) -> Placement:
        fid = new_fid()
        frame = view.derive(rows, fid=fid, crashes=crashes)
        return Placement(kind="ready", frame=frame, fid=fid, tasks=len(rows), priority=view.priority)

    def give_back(self, entry: Entry, keys: Keys) -> commands.Command | None:
        """The commit that makes an entry ready again as it is; None for a corrupt one."""
        try:
            view = FrameView(keys.verify(entry.frame or b""))
        except CorruptFrame:
            return None
        crashes = min(crashes_of(entry, view, keys), 255)
        return self._replace(entry, keys, [self._ready(view, list(range(len(view))), crashes)])

    def _replace(self, entry: Entry, keys: Keys, placements: list[Placement], dead: int = 0) -> commands.Command:
        return commands.commit(
            keys,
            source=entry.stream,
            entry_id=entry.id,
            consumer=self._consumer,
            tasks=entry.tasks,
            size=len(entry.frame or b""),
            placements=placements,
            dead=dead,
            offset_ms=self._clock.offset_ms,
        )


def _dead(frame: bytes, fid: int, tasks: int, priority: int, record: list[object]) -> Placement:
    return Placement(kind="dead", frame=frame, fid=fid, tasks=tasks, priority=priority, errors=pack([record]))
