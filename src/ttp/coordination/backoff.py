"""How long to wait before the next try. No I/O."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random


class Backoff:
    """Exponential, with full jitter: uniform in (0, min(cap, base · 2ⁿ)).

    Args:
        rng: where chance comes from.
        base, cap: seconds.
    """

    def __init__(self, rng: "Random | None" = None, base: float = 0.05, cap: float = 2.0) -> None:
        self._rng = rng
        self._base = base
        self._cap = cap
        self._tries = 0

    def next(self) -> float:
        """Seconds to wait now."""
        ceiling = min(self._cap, self._base * 2.0 ** min(self._tries, 60))
        self._tries += 1
        if self._rng is None:
            from random import Random  # noqa: PLC0415 - import ttp has to be quick

            self._rng = Random()  # noqa: S311 - nothing secret
        return self._rng.uniform(0.0, ceiling)

    def reset(self) -> None:
        """It worked: begin anew."""
        self._tries = 0
