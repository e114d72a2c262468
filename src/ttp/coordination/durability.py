"""What an accepted task survives: what a server's settings give, and what more a producer can ask of it."""

from dataclasses import dataclass
from typing import Any, Literal

from ttp.coordination.commands import Command
from ttp.coordination.connection import Connection
from ttp.coordination.keys import Keys
from ttp.coordination.levels import Durability
from ttp.coordination.replies import ReplyError, checked, pairs
from ttp.errors import ServerRefused

WAIT_MS = 1000  # of one WAIT; then it is asked again


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server says of itself; None where it does not tell.

    Attributes:
        appendonly: whether it keeps an append-only file.
        appendfsync: when that is on disk: always, everysec or no.
        replicas: connected now.
        waitaof: whether a client can wait for the file to be on disk.
    """

    appendonly: bool | None
    appendfsync: str | None
    replicas: int | None
    waitaof: bool

    @property
    def level(self) -> Literal["memory", "everysec", "fsync", "unknown"]:
        """What every accepted task survives without being asked for: the end of the server, a power cut, or neither."""
        if self.appendonly is False or self.appendfsync == "no":
            return "memory"
        if self.appendonly is None or self.appendfsync is None:
            return "unknown"
        return "fsync" if self.appendfsync == "always" else "everysec"

    def can_give(self, level: Durability) -> str | None:
        """None, or why a producer cannot have this level here."""
        if level == "memory":
            return None
        if level == "replica":
            if self.replicas is None:
                return "it does not tell its replicas: permit INFO"
            return None if self.replicas else "it has no replica connected"
        return self._why_not_on_disk(level)

    def _why_not_on_disk(self, level: Durability) -> str | None:
        if self.appendonly is None or self.appendfsync is None:
            return "it does not tell its settings: permit INFO and CONFIG|GET"
        if not self.appendonly:
            return "it keeps no append-only file: set appendonly yes"
        if self.appendfsync == "no":
            return "its appendfsync is no: set it to everysec or always"
        if level == "fsync" and self.appendfsync != "always" and not self.waitaof:
            return f"its appendfsync is {self.appendfsync} and it has no WAITAOF: set appendfsync always"
        return None


def settings(connection: Connection) -> Settings:
    """Ask a server."""
    aof, fsync, replication, waitaof = connection.call_many(
        [
            ("INFO", "persistence"),
            ("CONFIG", "GET", "appendfsync"),
            ("INFO", "replication"),
            ("COMMAND", "INFO", "WAITAOF"),
        ]
    )
    policy = "" if isinstance(fsync, ReplyError) else pairs(fsync).get(b"appendfsync", b"").decode()
    enabled = _info(aof).get("aof_enabled")
    replicas = _info(replication).get("connected_slaves")
    return Settings(
        appendonly=None if enabled is None else enabled == "1",
        appendfsync=policy or None,
        replicas=None if replicas is None else int(replicas),
        waitaof=isinstance(waitaof, (list, dict)) and bool(waitaof) and waitaof != [None],
    )


class Barrier:
    """What a producer sends behind its frames, and waits for, before they count as accepted.

    Raises:
        ServerRefused: the server cannot give this level.
    """

    def __init__(self, connection: Connection, level: Durability) -> None:
        found = settings(connection) if level != "memory" else None
        if found is not None and (why := found.can_give(level)) is not None:
            raise ServerRefused(f"{connection.target} cannot give durability {level!r}: {why}")
        self._wait: Command | None = None
        if level == "replica":
            self._wait = ("WAIT", 1, WAIT_MS)
        elif level == "fsync" and found is not None and found.appendfsync != "always":
            self._wait = ("WAITAOF", 1, 0, WAIT_MS)

    @property
    def needed(self) -> bool:
        """False where the server gives the level by itself."""
        return self._wait is not None

    def commands(self, keys: Keys) -> list[Command]:
        """A write of nothing, and the wait for it and all before it.

        Without that write a new connection would wait for nothing, though its frames were written by the one before.
        """
        assert self._wait is not None
        return [("HINCRBY", keys.counters, "accepted", 0), self._wait]

    @staticmethod
    def passed(reply: Any) -> bool:
        """Whether the reply to the wait says that it is done; False: ask again."""
        number = checked(reply)
        return int(number[0] if isinstance(number, list) else number) >= 1


def _info(reply: Any) -> dict[str, str]:
    """A section of INFO; empty where it is not permitted."""
    if isinstance(reply, ReplyError):
        return {}
    lines = reply.decode(errors="replace").splitlines()
    return {name: value for name, _, value in (line.partition(":") for line in lines if ":" in line)}
