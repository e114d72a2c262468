"""HDR-style histogram (after G. Tene's HdrHistogram): 32 linear steps to each power of two."""

import math
from collections import Counter
from typing import final

_MAX = 2**40 - 1


@final
class Histogram:
    """See `_core.pyi`."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = self.sum = self.max = 0

    def record(self, value: int, weight: int = 1, /) -> None:
        """See `_core.pyi`."""
        if value < 0 or weight < 0:
            raise ValueError("value and weight must not be negative")
        if weight == 0:
            return
        value = min(value, _MAX)
        self._buckets[_bucket(value)] += weight
        self.count += weight
        self.sum += value * weight
        self.max = max(self.max, value)

    def percentile(self, q: float, /) -> int:
        """See `_core.pyi`."""
        if not 0 <= q <= 100:
            raise ValueError("q must be between 0 and 100")
        rank = max(1, math.ceil(q / 100 * self.count))
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return min(_highest(bucket), self.max)
        return 0

    def merge(self, other: "Histogram", /) -> None:
        """See `_core.pyi`."""
        self._buckets.update(other._buckets)
        self.count += other.count
        self.sum += other.sum
        self.max = max(self.max, other.max)

    def counts(self) -> list[tuple[int, int]]:
        """See `_core.pyi`."""
        return [(_highest(bucket), self._buckets[bucket]) for bucket in sorted(self._buckets)]

    def clear(self) -> None:
        """See `_core.pyi`."""
        self._buckets.clear()
        self.count = self.sum = self.max = 0


def _bucket(value: int) -> int:
    if value < 32:
        return value
    bit = value.bit_length() - 1
    return (bit - 4) * 32 + (value >> (bit - 5)) - 32


def _highest(bucket: int) -> int:
    if bucket < 32:
        return bucket
    bit = bucket // 32 + 4
    return ((bucket % 32 + 33) << (bit - 5)) - 1
