"""What a server must allow: tried before anything depends on it, since a script that fails half-way loses tasks."""

from collections.abc import Sequence
from typing import Any, Literal

from ttp.coordination.commands import Command
from ttp.coordination.keys import GROUP, Keys
from ttp.coordination.replies import ReplyError
from ttp.coordination.scripts import CANCEL
from ttp.errors import ServerRefused

Role = Literal["producer", "worker"]
"""What a connection does with a queue. A worker does all; docs/security.md has the permissions of each."""


def probes(keys: Keys, role: Role) -> list[Command]:
    """Every command the role's scripts use, on the keys they use, so written that the server does nothing.

    Permission is checked before the arguments are: a command that is allowed fails for its arguments, or finds nothing.
    """
    return _producer(keys) if role == "producer" else [*_producer(keys), *_worker(keys)]


def _producer(keys: Keys) -> list[Command]:
    chain, results = keys.chain(1, "preflight"), keys.results(0)
    out: list[Command] = [("GET", chain), ("SET", chain, "0", "PX", 0), ("TIME",)]
    for stream in keys.streams:
        out += [("XADD", stream, "0-0", "n", 0), ("XLEN", stream)]
    for name in (keys.counters, keys.delayed_frames, keys.cancels, results):
        out += [("HSET", name, "f", "v", "odd"), ("HINCRBY", name, "f", "x"), ("HGET", name, "")]
    out += [
        ("ZADD", keys.delayed, "x", "m"),
        ("ZRANGE", keys.delayed, 0, 0),
        ("HGETALL", results),
        ("PEXPIRE", results, "x"),
        ("PEXPIRE", keys.cancels, "x"),
        ("EVALSHA", CANCEL.sha, 2, keys.cancels, keys.delayed, "no request", 0),
    ]
    return out


def _worker(keys: Keys) -> list[Command]:
    results = keys.results(0)
    out: list[Command] = []
    for stream in (*keys.streams, keys.held, keys.dead):
        out += [("XADD", stream, "0-0", "n", 0), ("XDEL", stream, "0-0"), ("XRANGE", stream, "0-0", "0-0")]
        out.append(("XLEN", stream))
    for stream in (*keys.streams, keys.held):
        out += [
            ("XACK", stream, GROUP, "0-0"),
            ("XPENDING", stream, GROUP),
            ("XCLAIM", stream, GROUP, "preflight", 0, "x"),
            ("XREADGROUP", "GROUP", GROUP, "preflight", "COUNT", 1, "STREAMS", stream, "x"),
            ("XGROUP", "DELCONSUMER", stream, GROUP, "preflight"),
        ]
    for name in (keys.counters, keys.delayed_frames, keys.workers, keys.cancels, results):
        out += [("HSET", name, "f", "v", "odd"), ("HINCRBY", name, "f", "x"), ("HDEL", name, "")]
        out += [("HGET", name, ""), ("HGETALL", name), ("HLEN", name), ("HKEYS", name), ("EXISTS", name)]
    out += [
        ("ZREM", keys.delayed, ""),
        ("ZRANGEBYSCORE", keys.delayed, "-inf", "-inf"),
        ("ZCARD", keys.delayed),
        ("EXISTS", keys.delayed),
        ("PTTL", results),
        ("PUBLISH", keys.channel(bytes(12)), ""),
    ]
    return out


def types(keys: Keys) -> list[tuple[str, str]]:
    """(key, type it must have if it exists)."""
    streams = (*keys.streams, keys.held, keys.dead)
    hashes = (keys.counters, keys.delayed_frames, keys.workers, keys.cancels)
    return [*((key, "stream") for key in streams), *((key, "hash") for key in hashes), (keys.delayed, "zset")]


def check(keys: Keys, sent: Sequence[Command], replies: Sequence[Any]) -> None:
    """Judge the replies to `probes`. ServerRefused if a permission is missing."""
    for command, reply in zip(sent, replies, strict=True):
        if isinstance(reply, ReplyError) and reply.code == "NOPERM":
            raise ServerRefused(f"queue {keys.queue!r}: the server does not permit {command[0]!s} on {_key(command)}")


def check_types(keys: Keys, replies: Sequence[Any]) -> None:
    """Judge the replies to TYPE of each of `types`. ServerRefused if a key is somebody else's."""
    for (key, wanted), reply in zip(types(keys), replies, strict=True):
        found = reply.decode() if isinstance(reply, bytes) else str(reply)
        if found not in ("none", wanted) and not isinstance(reply, ReplyError):
            raise ServerRefused(f"queue {keys.queue!r}: key {key} is a {found}, not a {wanted}: another program's?")


def _key(command: Command) -> str:
    names = [word for word in command[1:] if isinstance(word, str) and word.startswith("ttp:")]
    return names[0] if names else "the server"
