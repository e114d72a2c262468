"""What a task is called and what can become of it: ids, priorities, outcomes, context."""

from dataclasses import dataclass
from typing import Any, Literal, Self

Priority = Literal["high", "normal", "low"]
Status = Literal["queued", "delayed", "done", "failed", "cancelled", "unknown"]

PRIORITIES: dict[Priority, int] = {"high": 0, "normal": 1, "low": 2}


def check_priority(priority: Priority) -> int:
    """Return its number. ValueError if it is none."""
    if priority not in PRIORITIES:
        raise ValueError(f"priority must be one of {', '.join(PRIORITIES)}, not {priority!r}")
    return PRIORITIES[priority]


@dataclass(frozen=True, slots=True)
class TaskId:
    """Where a task was first written: queue, partition, origin frame and index in it.

    Retry, split, resend and a new producer never change it, so it serves as an idempotency key.
    """

    queue: str
    partition: str
    origin: int
    index: int

    def __str__(self) -> str:
        return f"{self.queue}.{self.partition}.{self.origin:016x}.{self.index}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an id back. ValueError if it is none."""
        try:
            queue, partition, origin, index = text.rsplit(".", 3)
            if not queue or len(origin) != 16:
                raise ValueError
            return cls(queue, partition, int(origin, 16), int(index))
        except ValueError:
            raise ValueError(
                f"not a task id: {text!r} (expected <queue>.<partition>.<16 hex digits>.<index>)"
            ) from None


@dataclass(frozen=True, slots=True)
class TaskContext:
    """The task that runs here (`current_task`).

    Attributes:
        id: the task's id, the idempotency key for external effects.
        name: the task's registered name.
        attempt: 1 at first.
        state: what the app's lifespan yielded.
    """

    id: str
    name: str
    attempt: int
    state: Any
