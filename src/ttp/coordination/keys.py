"""Names of keys: docs/redis-keys.md."""

import re
from dataclasses import dataclass, field

GROUP = "g"
"""The consumer group of every stream."""

WIRE = "1"
"""The wire major, last part of a stream's name: workers of another major never receive these frames."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def check_name(what: str, name: str) -> str:
    """Return the name of an app or queue. ValueError, beginning with `what`, if it may not be one."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{what} name {name!r}: use 1 to 64 of the characters A-Z a-z 0-9 _ . -")
    return name


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one queue in one partition. ValueError for names that are none.

    Attributes:
        streams: ready frames, by priority high, normal, low.
        held: stream of the running tasks of split frames.
        delayed: zset of delayed frames by due time; their bytes are in delayed_frames.
        dead: stream of dead frames.
        flight: stream of the flight recorder's records.
        counters, workers, cancels: hashes.
    """

    app: str
    queue: str
    partition: str = "0"
    prefix: str = field(init=False, repr=False, compare=False)
    streams: tuple[str, str, str] = field(init=False, repr=False, compare=False)
    held: str = field(init=False, repr=False, compare=False)
    delayed: str = field(init=False, repr=False, compare=False)
    delayed_frames: str = field(init=False, repr=False, compare=False)
    dead: str = field(init=False, repr=False, compare=False)
    flight: str = field(init=False, repr=False, compare=False)
    counters: str = field(init=False, repr=False, compare=False)
    workers: str = field(init=False, repr=False, compare=False)
    cancels: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        slot = f"ttp:{{{check_name('app', self.app)}.{check_name('partition', self.partition)}}}:"
        prefix = f"{slot}{check_name('queue', self.queue)}:"
        # Formatted once: a commit names a dozen of them.
        names = {
            "prefix": prefix,
            "streams": tuple(f"{prefix}s{priority}.{WIRE}" for priority in range(3)),
            "held": f"{prefix}h.{WIRE}",
            "delayed": f"{prefix}d",
            "delayed_frames": f"{prefix}dp",
            "dead": f"{prefix}x",
            "flight": f"{prefix}f",
            "counters": f"{prefix}c",
            "workers": f"{prefix}w",
            "cancels": f"{prefix}z",
        }
        for name, value in names.items():
            object.__setattr__(self, name, value)

    def stream(self, priority: int) -> str:
        """Ready frames of a priority: 0 high, 1 normal, 2 low."""
        return self.streams[priority]

    def chain(self, priority: int, chain_id: str) -> str:
        """The last accepted fid of a producer's chain."""
        return f"{self.prefix}p{priority}:{chain_id}"

    def results(self, origin: int) -> str:
        """Results of the tasks first written in this frame."""
        return f"{self.prefix}R:{origin:016x}"

    def channel(self, producer: bytes) -> str:
        """Where a producer hears of its results."""
        return f"ttp:{{{self.app}.{self.partition}}}:n:{producer.hex()}"

    def sibling(self, queue: str) -> "Keys":
        """Another queue of the same partition."""
        return Keys(self.app, queue, self.partition)
