"""The handle of one accepted task."""

from collections.abc import Generator
from typing import Any, final


@final
class TaskHandle:
    """See `_core.pyi`."""

    __slots__ = ("_owner", "index", "origin")

    def __init__(self, owner: Any, origin: int, index: int, /) -> None:
        if not 0 <= origin < 2**64 or not 0 <= index < 2**16:
            raise ValueError("origin has 64 bits, index 16")
        self._owner: Any = owner
        self.origin = origin
        self.index = index

    def __class_getitem__(cls, _: Any) -> type:
        return cls

    @property
    def id(self) -> str:
        """See `_core.pyi`."""
        name: str = self._owner.task_id(self.origin, self.index)
        return name

    def status(self) -> Any:
        """See `_core.pyi`."""
        return self._owner.status(self)

    def astatus(self) -> Any:
        """See `_core.pyi`."""
        return self._owner.astatus(self)

    def result(self, timeout: float | None = None) -> Any:
        """See `_core.pyi`."""
        return self._owner.result(self, timeout)

    def __await__(self) -> Generator[Any, None, Any]:
        waiting: Generator[Any, None, Any] = self._owner.wait(self).__await__()
        return waiting

    def cancel(self) -> bool:
        """See `_core.pyi`."""
        asked: bool = self._owner.cancel(self)
        return asked

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TaskHandle):
            return NotImplemented
        return (self.origin, self.index) == (other.origin, other.index)

    def __hash__(self) -> int:
        return hash((self.origin, self.index))

    def __repr__(self) -> str:
        return f"<TaskHandle {self.id}>"
