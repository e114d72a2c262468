"""The clock that decisions read, so that a test can move it."""

import time


class Clock:
    """Wall and monotonic time, both shifted by `offset` seconds (0 outside tests).

    Scripts get the same offset added to the server's time.
    """

    def __init__(self) -> None:
        self.offset = 0.0

    def time(self) -> float:
        """Seconds since 1970 by this machine's clock."""
        return time.time() + self.offset

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic() + self.offset

    @property
    def offset_ms(self) -> int:
        """The offset as scripts take it."""
        return round(self.offset * 1000)
