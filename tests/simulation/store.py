"""What a server keeps, as far as `ttp` uses it: strings, hashes, sorted sets and streams with one group each.

It is held to the real servers by `test_model_server.py`, reply by reply.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Id = tuple[int, int]

# Refused when memory is short, unless the script they stand in has written already.
DENIED = frozenset({"SET", "HSET", "HINCRBY", "ZADD", "XADD"})
WRITES = DENIED | {"HDEL", "ZREM", "XDEL", "XACK", "XCLAIM", "XREADGROUP", "XGROUP", "PEXPIRE"}


class Refused(Exception):
    """The reply to a command is an error."""


@dataclass
class Stream:
    """Entries by id, and what its group has delivered and not heard of again."""

    entries: dict[Id, list[bytes]] = field(default_factory=dict)
    last: Id = (0, 0)
    delivered: Id = (0, 0)
    pending: dict[Id, tuple[bytes, int]] = field(default_factory=dict)  # consumer, deliveries


def read_id(text: bytes) -> Id:
    """An id as a pair."""
    high, _, low = text.partition(b"-")
    return int(high), int(low)


def write_id(entry: Id) -> bytes:
    """A pair as an id."""
    return b"%d-%d" % entry


class Store:
    """The commands, one method each; replies are those of RESP2.

    Args:
        clock: the server's time, microseconds.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self.keys: dict[bytes, Any] = {}
        self.expires: dict[bytes, int] = {}  # ms

    def run(self, name: str, arguments: list[bytes]) -> Any:
        """One command."""
        if self.expires and min(self.expires.values()) <= (now := self._clock() // 1000):
            for key in [key for key, at in self.expires.items() if at <= now]:
                self._remove(key)
        return getattr(self, f"_{name.lower()}")(*arguments)

    def _remove(self, key: bytes) -> None:
        self.keys.pop(key, None)
        self.expires.pop(key, None)

    def _time(self) -> list[bytes]:
        return [b"%d" % part for part in divmod(self._clock(), 1_000_000)]

    def _exists(self, key: bytes) -> int:
        return int(key in self.keys)

    def _pexpire(self, key: bytes, ms: bytes) -> int:
        if key in self.keys:
            self.expires[key] = self._clock() // 1000 + int(ms)
        return int(key in self.keys)

    def _pttl(self, key: bytes) -> int:
        return self.expires[key] - self._clock() // 1000 if key in self.expires else -1 - (key not in self.keys)

    def _publish(self, _channel: bytes, _message: bytes) -> int:
        return 0

    # strings

    def _get(self, key: bytes) -> Any:
        return self.keys.get(key)

    def _set(self, key: bytes, value: bytes, _px: bytes, ms: bytes) -> bytes:
        self.keys[key] = value
        self._pexpire(key, ms)
        return b"OK"

    # hashes

    def _hget(self, key: bytes, name: bytes) -> Any:
        return self.keys.get(key, {}).get(name)

    def _hset(self, key: bytes, *pairs: bytes) -> int:
        values = self.keys.setdefault(key, {})
        before = len(values)
        values.update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(values) - before

    def _hincrby(self, key: bytes, name: bytes, amount: bytes) -> int:
        values = self.keys.setdefault(key, {})
        number = int(values.get(name, 0)) + int(amount)
        values[name] = b"%d" % number
        return number

    def _hdel(self, key: bytes, *names: bytes) -> int:
        values = self.keys.get(key, {})
        gone = sum(values.pop(name, None) is not None for name in names)
        if not values:
            self._remove(key)
        return gone

    def _hgetall(self, key: bytes) -> list[bytes]:
        return [part for pair in self.keys.get(key, {}).items() for part in pair]

    def _hkeys(self, key: bytes) -> list[bytes]:
        return list(self.keys.get(key, {}))

    def _hlen(self, key: bytes) -> int:
        return len(self.keys.get(key, {}))

    # sorted sets

    def _zadd(self, key: bytes, score: bytes, member: bytes) -> int:
        members = self.keys.setdefault(key, {})
        new = member not in members
        members[member] = float(score)
        return int(new)

    def _zrem(self, key: bytes, member: bytes) -> int:
        members = self.keys.get(key, {})
        gone = members.pop(member, None) is not None
        if not members:
            self._remove(key)
        return int(gone)

    def _zcard(self, key: bytes) -> int:
        return len(self.keys.get(key, {}))

    def _sorted(self, key: bytes) -> list[tuple[float, bytes]]:
        return sorted((score, member) for member, score in self.keys.get(key, {}).items())

    def _zrange(self, key: bytes, start: bytes, _stop: bytes, _withscores: bytes) -> list[bytes]:
        members = self._sorted(key)  # asked for one, the first or the last
        return [members[int(start)][1], b"%.17g" % members[int(start)][0]] if members else []

    def _zrangebyscore(self, key: bytes, _low: bytes, high: bytes, _limit: bytes, _at: bytes, n: bytes) -> list[bytes]:
        return [member for score, member in self._sorted(key) if score <= float(high)][: int(n)]

    # streams

    def make_stream(self, key: bytes) -> None:
        """XGROUP CREATE … MKSTREAM, if need be."""
        self.keys.setdefault(key, Stream())

    def _stream(self, key: bytes) -> Stream:
        return self.keys.get(key) or Stream()

    def _xadd(self, key: bytes, entry: bytes, *fields: bytes) -> bytes:
        if entry == b"MAXLEN":
            return b""  # the flight recorder's: nobody looks
        stream = self.keys.setdefault(key, Stream())
        if read_id(entry) <= stream.last:
            raise Refused("ERR The ID specified in XADD is equal or smaller than the target stream top item")
        stream.last = read_id(entry)
        stream.entries[stream.last] = list(fields)
        return entry

    def _xlen(self, key: bytes) -> int:
        return len(self._stream(key).entries)

    def _xdel(self, key: bytes, entry: bytes) -> int:
        return int(self._stream(key).entries.pop(read_id(entry), None) is not None)

    def _xrange(self, key: bytes, first: bytes, last: bytes, *count: bytes) -> list[Any]:
        entries = self._stream(key).entries
        least = (0, 0) if first == b"-" else read_id(first.lstrip(b"("))
        most = (2**64, 0) if last == b"+" else read_id(last)
        found = [entry for entry in entries if least <= entry <= most and not (first[:1] == b"(" and entry == least)]
        return [[write_id(entry), list(entries[entry])] for entry in found[: int(count[1]) if count else None]]

    def _xreadgroup(self, _g: bytes, _group: bytes, consumer: bytes, *rest: bytes) -> list[Any] | None:
        at = rest.index(b"STREAMS")
        count, names = int(rest[rest.index(b"COUNT") + 1]), rest[at + 1 : at + 1 + (len(rest) - at - 1) // 2]
        out = []
        for name in names:
            stream = self._stream(name)
            found = [entry for entry in stream.entries if entry > stream.delivered][:count]
            for entry in found:
                stream.pending[entry] = (consumer, 1)
                stream.delivered = entry
            if found:
                out.append([name, [[write_id(entry), list(stream.entries[entry])] for entry in found]])
        return out or None

    def _xpending(self, key: bytes, _group: bytes, *which: bytes) -> list[Any]:
        pending = sorted(self._stream(key).pending.items())
        if which:
            _, _, count, name = which
            mine = [[write_id(entry), name, 0, n] for entry, (consumer, n) in pending if consumer == name]
            return mine[: int(count)]
        if not pending:
            return [0, None, None, None]
        owners: dict[bytes, int] = {}
        for _, (consumer, _n) in pending:
            owners[consumer] = owners.get(consumer, 0) + 1
        listed = [[consumer, b"%d" % n] for consumer, n in sorted(owners.items())]
        return [len(pending), write_id(pending[0][0]), write_id(pending[-1][0]), listed]

    def _xack(self, key: bytes, _group: bytes, entry: bytes) -> int:
        return int(self._stream(key).pending.pop(read_id(entry), None) is not None)

    def _xclaim(self, key: bytes, _g: bytes, to: bytes, _idle: bytes, entry: bytes, *count: bytes) -> list[Any]:
        stream, at = self._stream(key), read_id(entry)
        if at not in stream.pending:
            return []
        if at not in stream.entries:
            del stream.pending[at]
            return []
        stream.pending[at] = (to, int(count[1]) if count else stream.pending[at][1] + 1)
        return [[entry, list(stream.entries[at])]]

    def _xgroup(self, _what: bytes, key: bytes, _group: bytes, consumer: bytes) -> int:
        pending = self._stream(key).pending
        gone = [entry for entry, (owner, _) in pending.items() if owner == consumer]
        for entry in gone:
            del pending[entry]
        return len(gone)
