"""Names of keys: docs/redis-keys.md."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ttp.errors import BadSignature

if TYPE_CHECKING:
    from ttp.coordination.signing import SigningKeys

GROUP = "g"
"""The consumer group of every stream."""

WIRE = "1"
"""The wire major, last part of a stream's name: workers of another major never receive these frames."""

MARK = b"TTPS"
OVERHEAD = 40  # bytes of a signature: mark, key number, HMAC

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def check_name(what: str, name: str) -> str:
    """Return the name of an app or queue. ValueError, beginning with `what`, if it may not be one."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{what} name {name!r}: use 1 to 64 of the characters A-Z a-z 0-9 _ . -")
    return name


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one queue in one partition, and how what lies there is signed. ValueError for names that are none.

    Attributes:
        signing: None: frames and results are neither signed nor checked.
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
    signing: "SigningKeys | None" = field(default=None, repr=False, compare=False)
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
        return Keys(self.app, queue, self.partition, self.signing)

    # A frame's signature holds in this queue, a result's in the field it is written to.

    @property
    def overhead(self) -> int:
        """Bytes that a signature adds to a frame."""
        return 0 if self.signing is None else OVERHEAD

    def sign(self, frame: bytes | memoryview) -> bytes | memoryview:
        """A frame as it is stored in this queue."""
        return frame if self.signing is None else self.signing.sign(self.prefix, frame)

    def verify(self, stored: bytes) -> bytes:
        """The frame in what is stored in this queue. BadSignature before anything of it is parsed."""
        if self.signing is not None:
            return self.signing.verify(self.prefix, stored)
        if stored[-OVERHEAD:].startswith(MARK) and int.from_bytes(stored[56:60], "little") == len(stored) - OVERHEAD:
            raise BadSignature("bad signature: no key is known here; give the app its signing_key")
        return stored

    def sign_results(self, origin: int, entry_id: str, blocks: bytes) -> bytes:
        """Result blocks as they are stored in the field of this entry."""
        return blocks if self.signing is None else self.signing.sign(self._scope(origin, entry_id), blocks)

    def verify_results(self, origin: int, entry_id: str, stored: bytes) -> bytes:
        """The blocks in the field of this entry. BadSignature before anything of them is parsed."""
        return stored if self.signing is None else self.signing.verify(self._scope(origin, entry_id), stored)

    def _scope(self, origin: int, entry_id: str) -> str:
        return f"{self.results(origin)} {entry_id}"
