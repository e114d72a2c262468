"""When a failed task is tried again."""

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from ttp.errors import Reject, RetryAfter

if TYPE_CHECKING:
    from random import Random


LONGEST = 1e11  # seconds: three thousand years, whose milliseconds every part of the way still holds


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS 2015).

    The delay before attempt n+1 is uniform in (0, min(max_delay, base_delay * 2**(n-1))), in seconds.

    Attributes:
        max_attempts: attempts in all, the first included; at least 1.
        base_delay: upper bound of the first delay, seconds.
        max_delay: upper bound of every delay, seconds.
        retry_on: exceptions that are worth another attempt; all others are final.
        give_up_on: exceptions that are final even where retry_on matches.

    Raises:
        ValueError, TypeError: a number that is none or out of range, or what is no exception class.
    """

    max_attempts: int = 3
    _: KW_ONLY
    base_delay: float = 0.1
    max_delay: float = 30.0
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    give_up_on: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        attempts: object = self.max_attempts
        if not isinstance(attempts, int) or attempts < 1:
            raise ValueError(f"max_attempts must be a whole number, at least 1, not {attempts!r}")
        for name in ("base_delay", "max_delay"):
            if not 0 <= getattr(self, name) <= LONGEST:
                raise ValueError(f"{name} must be 0 to {LONGEST:g} seconds, not {getattr(self, name)!r}")
        for name in ("retry_on", "give_up_on"):
            kinds = getattr(self, name)
            kinds = (kinds,) if isinstance(kinds, type) else tuple(kinds)
            if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
                raise TypeError(f"{name} must be exception classes, not {kinds!r}")
            object.__setattr__(self, name, kinds)

    def delay(self, attempt: int, error: BaseException, rng: "Random") -> float | None:
        """Seconds until the next attempt, or None where this failure is final.

        Args:
            attempt: the attempt that failed, from 1.
            error: what it raised. `Reject` is always final; `RetryAfter` picks the delay itself.
            rng: source of the jitter.
        """
        if isinstance(error, Reject) or attempt >= self.max_attempts:
            return None
        if isinstance(error, RetryAfter):
            return min(max(0.0, error.seconds), LONGEST)
        if isinstance(error, self.give_up_on) or not isinstance(error, self.retry_on):
            return None
        # 2**60 seconds is beyond any max_delay; the bound keeps the power a float.
        return rng.random() * min(self.max_delay, self.base_delay * 2.0 ** min(attempt - 1, 60))
