"""Which readings are out of bounds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """Bounds of a field.

    Attributes:
        field: its name, as in the events.
        below: readings below this are anomalies; None: none are.
        above: the same for readings above.
        device: the only device it holds for; None: all.
    """

    field: str
    below: float | None = None
    above: float | None = None
    device: str | None = None

    def broken_by(self, value: float) -> str | None:
        """What is wrong with a reading, in words; None if nothing is."""
        if self.below is not None and value < self.below:
            return f"{self.field} below {self.below:g}"
        if self.above is not None and value > self.above:
            return f"{self.field} above {self.above:g}"
        return None


DEFAULT_LIMITS = (
    Limit("temperature", below=-20.0, above=80.0),  # °C
    Limit("humidity", above=95.0),  # %
    Limit("voltage", below=2.8),  # V
    Limit("current", above=2.0),  # A
)


class Limits:
    """Limits, found by field."""

    def __init__(self, limits: Iterable[Limit]) -> None:
        self._of_field: dict[str, list[Limit]] = {}
        for limit in limits:
            self._of_field.setdefault(limit.field, []).append(limit)

    def concern(self, numbers: Mapping[str, float]) -> bool:
        """Whether there is a limit for any of these fields."""
        return not self._of_field.keys().isdisjoint(numbers)

    def broken_by(self, device: str, numbers: Mapping[str, float]) -> list[tuple[str, float, str]]:
        """(field, value, reason) for each field that is out of bounds."""
        broken = []
        for field, limits in self._of_field.items():
            value = numbers.get(field)
            if value is None:
                continue
            for limit in limits:
                if limit.device in (None, device) and (reason := limit.broken_by(value)) is not None:
                    broken.append((field, value, reason))
                    break  # one alert for a reading
        return broken
