"""Threads that a worker cannot do without."""

import threading
from collections.abc import Callable
from types import TracebackType


class Vital:
    """Where one of them fails, the worker ends: others run what it had in hand, which else it would hold for ever.

    As a context manager it notes what fails inside, and goes on behind it.

    Attributes:
        failure: the first.
    """

    def __init__(self) -> None:
        self.failure: BaseException | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> bool:
        self.failure = self.failure or error
        return True

    def thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """A thread that is not started yet."""

        def run() -> None:
            with self:
                work()

        return threading.Thread(target=run, name=name, daemon=True)

    def check(self) -> None:
        """Raise what has failed."""
        if self.failure is not None:
            raise self.failure
