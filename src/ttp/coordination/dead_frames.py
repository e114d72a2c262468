"""Dead frames: read, and replaced by what is left of them. Commands and parsers, no I/O."""

from typing import Any

from ttp.coordination.commands import Command, evalsha
from ttp.coordination.keys import Keys
from ttp.coordination.records import DeadEntry
from ttp.coordination.replies import checked, pairs
from ttp.coordination.scripts import BURY

_FID = slice(16, 24)  # of a frame's header


def page(keys: Keys, *, after: str = "-", count: int = 64) -> Command:
    """Ask for dead frames, oldest first, from behind the entry id `after`; "-": from the first."""
    return ("XRANGE", keys.dead, after if after == "-" else f"({after}", "+", "COUNT", count)


def entries(reply: Any) -> list[DeadEntry]:
    """The dead frames of `page`, or of `entry` with the stream of dead frames."""
    out = []
    for entry_id, fields in checked(reply):
        named = pairs(fields)
        out.append(DeadEntry(entry_id.decode(), int(named[b"n"]), named[b"f"], named.get(b"e", b"")))
    return out


def bury(
    keys: Keys,
    *,
    entry_id: str,
    rest: bytes = b"",
    rest_tasks: int = 0,
    rest_errors: bytes = b"",
    revive: bytes | None = None,
    revive_fid: int = 0,
    revive_tasks: int = 0,
    priority: int = 1,
) -> Command:
    """Replace a dead entry by the rest of it (b"": nothing) and a revived frame of the given priority."""
    rest_fid = int.from_bytes(rest[_FID], "little")
    revived: tuple[bytes | memoryview, str, int] = (b"", "", 0)
    if revive is not None:
        revived = (keys.sign(revive), str(revive_fid), revive_tasks)
    where = (keys.dead, keys.counters, keys.stream(priority))
    return evalsha(
        BURY, where, (entry_id, keys.sign(rest) if rest else b"", str(rest_fid), rest_tasks, rest_errors, *revived)
    )


def bury_reply(reply: Any) -> tuple[str, str]:
    """("OK" or "GONE", id of the rest's entry or ""). GONE: somebody else replaced it."""
    status, entry_id = checked(reply)
    return status.decode(), entry_id.decode()
