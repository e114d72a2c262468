"""What a batch handler gets: the events of a frame slice."""

from collections.abc import Callable
from itertools import groupby
from typing import Any, Generic, TypeVar

from ttp.native import FrameView
from ttp.task import TaskId

Row = TypeVar("Row")


class Batch(Generic[Row]):
    """Events of one task, in order.

    First form: rows as tuples or as objects of the row class. Columns come later.
    """

    def __init__(
        self, row: Callable[..., Row] | None, view: FrameView, span: range, task_id: Callable[[int], TaskId]
    ) -> None:
        self._row = row
        self._view = view
        self._span = span
        self._task_id = task_id

    def __len__(self) -> int:
        return len(self._span)

    def tuples(self) -> list[tuple[Any, ...]]:
        """The events' fields in order of declaration, as sent."""
        arguments = self._view.arguments
        out = []
        for row in self._span:
            args, kwargs = arguments(row)
            out.append((*args, *kwargs.values()) if kwargs else args)
        return out

    def rows(self) -> list[Row]:
        """The events as objects of the row class."""
        if self._row is None:
            raise TypeError("this batch has no row class")
        arguments = self._view.arguments
        return [self._row(*args, **kwargs) for args, kwargs in map(arguments, self._span)]

    def task_id(self, row: int) -> str:
        """The id of an event's task: the idempotency key of its external effects."""
        return str(self._task_id(self._span[row]))

    def ranges(self) -> list[tuple[str, int, int]]:
        """The batch's task ids in order, as (`<queue>.<partition>.<origin>`, first index, last index)."""
        prefix = self.task_id(0).rpartition(".")[0]
        indices = [self._view.index(row) for row in self._span]
        runs = groupby(enumerate(indices), key=lambda pair: pair[1] - pair[0])
        return [(prefix, (run := [index for _, index in group])[0], run[-1]) for _, group in runs]
