"""What goes over a connection, counted."""

import time
from dataclasses import dataclass


@dataclass(slots=True)
class Traffic:
    """Whoever holds the connection counts, and gives the same object to its successor; anybody may read.

    Attributes:
        requests: sends, each of one command or many.
        round_trips: those whose answer was waited for at once.
        seconds: that these took, from the sending to the last reply.
    """

    requests: int = 0
    round_trips: int = 0
    seconds: float = 0.0

    def waited(self, since: float) -> None:
        """An answer is there that was asked for at this monotonic time."""
        self.round_trips += 1
        self.seconds += time.monotonic() - since
