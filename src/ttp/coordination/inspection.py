"""Looking at a queue from outside: its numbers. Commands and parsers, no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ttp.coordination.commands import Command
from ttp.coordination.keys import Keys
from ttp.coordination.replies import checked, pairs


@dataclass(slots=True)
class Stats:
    """A queue now. Tasks are those ready, pending and held; bytes are of all frames, delayed and dead ones too.

    The last five are totals.
    """

    tasks: int
    bytes: int
    waiting: int
    frames: int
    delayed_frames: int
    dead_frames: int
    accepted: int
    done: int
    retried: int
    dead: int
    cancelled: int


def stats(keys: Keys) -> tuple[Command, ...]:
    """Ask how a queue is. Seven commands."""
    lengths = (("XLEN", stream) for stream in (*keys.streams, keys.held, keys.dead))
    return (*lengths, ("ZCARD", keys.delayed), ("HGETALL", keys.counters))


def stats_reply(replies: Sequence[Any]) -> Stats:
    """The replies to `stats`."""
    *frames, dead_frames, delayed_frames, counters = map(checked, replies)
    known: Mapping[bytes, Any] = pairs(counters)
    names = ("tasks", "bytes", "waiting", "accepted", "done", "retried", "dead", "cancelled")
    return Stats(
        frames=sum(map(int, frames)),
        delayed_frames=int(delayed_frames),
        dead_frames=int(dead_frames),
        **{name: int(known.get(name.encode(), 0)) for name in names},
    )
