"""What a server says of itself, asked without judging: also of one that no app would use."""

import time
from dataclasses import dataclass, field
from typing import Any

from ttp.coordination import preflight
from ttp.coordination.commands import Command
from ttp.coordination.connection import Connection
from ttp.coordination.durability import Settings, settings
from ttp.coordination.faults import full_text
from ttp.coordination.keys import Keys
from ttp.coordination.replies import ReplyError, info, maxmemory_policy, text

PINGS = 50


@dataclass(slots=True)
class Facts:
    """A server, as it is found. None: it does not tell.

    Attributes:
        role: master, or what a replica calls itself.
        policy: maxmemory-policy.
        maxmemory, used: bytes; maxmemory 0 is no limit.
        write_error: the last write of the append-only file, or of its rewrite, failed.
        round_trips: seconds, of `PINGS` pings, ascending.
        offset: seconds that the server's clock is ahead of this machine's.
        old: it lacks what Redis 6.2 has.
        denied: "COMMAND on key" that this user may not use.
        optional: commands of which the same is true, and which are only better to have.
    """

    server: str
    role: str
    policy: str | None
    maxmemory: int | None
    used: int | None
    durability: Settings
    write_error: bool
    round_trips: list[float]
    offset: float
    old: bool
    denied: list[str] = field(default_factory=list)
    optional: list[str] = field(default_factory=list)


class Visitor(Connection):
    """A connection that takes a server as it is."""

    def _greet(self, hello: dict[Any, Any], deadline: float) -> None:  # noqa: ARG002 - nothing is asked here
        about = {text(key): text(value) for key, value in hello.items()}
        self.server = f"{about.get('server', 'redis')} {about.get('version', '?')}"
        self.role = about.get("role", "master")

    def _judge(self, error: Exception) -> ReplyError:
        """Whatever the server refuses, the connection goes on."""
        from redis.exceptions import ConnectionError as RedisConnectionError  # noqa: PLC0415
        from redis.exceptions import ResponseError  # noqa: PLC0415

        if isinstance(error, ResponseError) and not isinstance(error, RedisConnectionError):
            return ReplyError(full_text(error))
        return super()._judge(error)


def examine(visitor: Visitor, queues: list[Keys]) -> Facts:
    """Ask a server, connected to, about itself and about what is permitted on these queues. It changes nothing."""
    memory, config, persistence, claims = visitor.call_many(
        [
            ("INFO", "memory"),
            ("CONFIG", "GET", "maxmemory-policy"),
            ("INFO", "persistence"),
            ("COMMAND", "INFO", "XAUTOCLAIM"),
        ]
    )
    numbers, disk = info(memory), info(persistence)
    round_trips, offset = _clock(visitor)
    denied, optional = _denied(visitor, queues)
    return Facts(
        server=visitor.server,
        role=visitor.role,
        policy=maxmemory_policy(memory, config),
        maxmemory=_number(numbers.get("maxmemory")),
        used=_number(numbers.get("used_memory")),
        durability=settings(visitor),
        write_error="err" in (disk.get("aof_last_write_status"), disk.get("aof_last_bgrewrite_status")),
        round_trips=round_trips,
        offset=offset,
        old=isinstance(claims, list) and claims[:1] == [None],
        denied=denied,
        optional=optional,
    )


def _clock(visitor: Visitor) -> tuple[list[float], float]:
    """Round trips, and the clock's offset by the fastest of them: its error is at most half of that."""
    seen = []
    for _ in range(PINGS):
        wall, begun = time.time(), time.monotonic()
        (reply,) = visitor.call_many([("TIME",)])
        trip = time.monotonic() - begun
        if isinstance(reply, ReplyError):
            return [], 0.0
        seconds, micros = map(int, reply)
        seen.append((trip, seconds + micros / 1e6 - (wall + trip / 2)))
    seen.sort()
    return [trip for trip, _ in seen], seen[0][1]


def _denied(visitor: Visitor, queues: list[Keys]) -> tuple[list[str], list[str]]:
    """What an app or a worker would be refused. Nothing of this does anything: see `preflight.probes`."""
    needed: list[Command] = [("SCRIPT", "LOAD"), ("SUBSCRIBE",)]
    for keys in queues:
        needed += preflight.probes(keys, "worker")
        needed += [("XGROUP", "CREATE", keys.dead, "g", "x"), ("XINFO", "GROUPS", keys.dead), ("TYPE", keys.dead)]
    better: list[Command] = [("CLIENT", "LIST"), ("CLIENT", "UNBLOCK", 0), ("INFO", "server"), ("SCAN", 0)]
    better += [("CONFIG", "GET", "appendonly"), ("COMMAND", "INFO", "GET")]
    replies = iter(visitor.call_many([*needed, *better]))
    denied = [_place(command) for command in needed if _not_permitted(next(replies))]
    optional = [_command(command) for command in better if _not_permitted(next(replies))]
    return list(dict.fromkeys(denied)), optional


def _not_permitted(reply: Any) -> bool:
    return isinstance(reply, ReplyError) and reply.code == "NOPERM"


def _command(command: Command) -> str:
    two = command[0] in ("SCRIPT", "CLIENT", "CONFIG", "XGROUP", "XINFO", "COMMAND")
    return " ".join(map(str, command[: 2 if two else 1]))


def _place(command: Command) -> str:
    keys = [word for word in command[1:] if isinstance(word, str) and word.startswith("ttp:")]
    return f"{_command(command)} on {keys[0]}" if keys else _command(command)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
