"""What commands take and bring back."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["ready", "held", "delayed", "dead"]


@dataclass(slots=True)
class Placement:
    """A frame that a commit puts in place of its entry.

    Attributes:
        due_ms: of delayed frames, server time.
        retry: of delayed frames: a retry waits (a burst waits for it), not a scheduled task.
        errors: of dead frames: the error records, packed.
        results_ttl_ms: of children that keep results: how long the server remembers them without an outcome.
        queue: another queue of the same partition; None: the entry's own.
        unread: the bytes are stored as they came, and not signed: nobody here vouches for them.
        new: these tasks did not exist before; they count as accepted.
    """

    kind: Kind
    frame: bytes | memoryview
    fid: int
    tasks: int
    priority: int
    due_ms: int = 0
    retry: bool = True
    errors: bytes = b""
    results_ttl_ms: int = 0
    queue: str | None = None
    new: bool = False
    unread: bool = False


@dataclass(slots=True)
class Results:
    """Outcomes that a commit stores and announces.

    Attributes:
        origin, producer: of the entry's frame.
        ttl_ms: how long they are kept once every task of the origin frame has an outcome.
        blocks: result blocks (docs/wire-format.md).
    """

    origin: int
    producer: bytes
    ttl_ms: int
    blocks: bytes


@dataclass(slots=True)
class Entry:
    """A stream entry that was delivered.

    Attributes:
        frame: None if the entry has none: it was deleted, or is not ours.
        deliveries: 1, and one more for each worker that crashed over it.
    """

    stream: str
    id: str
    tasks: int
    frame: bytes | None
    deliveries: int = 1


class DeadEntry(NamedTuple):
    """A dead frame. Its errors are packed records: ``[[task indices], type, reason, traceback, at_ms]``."""

    id: str
    tasks: int
    frame: bytes
    errors: bytes
