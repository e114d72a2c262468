"""Counts over the last seconds. No I/O, no clock of its own."""

BUCKETS = 10


class Window:
    """A sliding window of counters, in ten buckets of equal time.

    Args:
        seconds: how long a count stays in it, to a tenth of that.
    """

    def __init__(self, seconds: float) -> None:
        self._width = seconds / BUCKETS
        self._buckets: dict[int, list[int]] = {}

    def add(self, now: float, *counts: int) -> None:
        """Count; the same number of counters each time."""
        at = int(now / self._width)
        bucket = self._buckets.get(at)
        if bucket is None:
            self._buckets = {n: kept for n, kept in self._buckets.items() if at - BUCKETS < n}
            self._buckets[at] = list(counts)
        else:
            for i, count in enumerate(counts):
                bucket[i] += count

    def sums(self, now: float, counters: int) -> list[int]:
        """The counters' sums over the window."""
        oldest = int(now / self._width) - BUCKETS
        kept = [bucket for n, bucket in self._buckets.items() if n > oldest]
        return [sum(bucket[i] for bucket in kept) for i in range(counters)]

    def clear(self) -> None:
        """Forget everything."""
        self._buckets.clear()
