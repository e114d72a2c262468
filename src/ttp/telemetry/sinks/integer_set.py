"""Many integers in little memory, where they run on."""

from bisect import bisect_right


class IntegerSet:
    """Integers, kept as ranges."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self) -> None:
        # Ranges in order, that neither overlap nor touch.
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number)
        return at > 0 and number <= self._lasts[at - 1]

    def add(self, first: int, last: int) -> None:
        """Add all integers from first to last."""
        # Those ranges that overlap or touch the new one become part of it.
        begin = bisect_right(self._lasts, first - 2)
        end = bisect_right(self._firsts, last + 1)
        if begin < end:
            first = min(first, self._firsts[begin])
            last = max(last, self._lasts[end - 1])
        self._firsts[begin:end] = [first]
        self._lasts[begin:end] = [last]
