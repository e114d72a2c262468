"""What a mutant is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """A guard of a file below src/ttp, what stands in its place, and the test that notices."""

    file: str
    guard: str
    instead: str
    test: str
