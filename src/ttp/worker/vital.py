"""Threads that a worker cannot do without."""

import threading
from collections.abc import Callable


class Vital:
    """Where one of them fails, the worker ends: others run what it had in hand, which else it would hold for ever.

    Attributes:
        failure: of the thread that failed first.
    """

    def __init__(self) -> None:
        self.failure: BaseException | None = None

    def thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """A thread that is not started yet."""

        def run() -> None:
            try:
                work()
            except BaseException as error:
                self.failure = self.failure or error

        return threading.Thread(target=run, name=name, daemon=True)

    def check(self) -> None:
        """Raise what has failed."""
        if self.failure is not None:
            raise self.failure
