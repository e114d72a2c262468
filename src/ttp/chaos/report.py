"""What a run comes to."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Report:
    """One fault's line of the table.

    Attributes:
        wanted, injected: how often the fault was to happen, and did.
        lost: tasks accepted and never committed (as done, or as a dead letter where the fault is to make some).
        doubled: commits beyond the first of a task, and commits of tasks that nobody sent.
        fenced: stale commits that were refused.
        recoveries: seconds from each fault to the first commit of what it hit.
        took: seconds, all in all.
        problems: what else is wrong.
        measured: more numbers by what they are of, where the fault is about them.
    """

    fault: str
    server: str
    tasks: int
    seed: int
    wanted: int = 0
    injected: int = 0
    lost: int = 0
    doubled: int = 0
    fenced: int = 0
    run_twice: int = 0
    took: float = 0.0
    recoveries: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    measured: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Nothing lost, nothing doubled, and the fault really happened."""
        return not (self.lost or self.doubled or self.problems) and self.injected >= self.wanted > 0

    def quantile(self, share: float) -> float | None:
        """Seconds within which this share of the recoveries was over; None where nothing was to recover."""
        if not self.recoveries:
            return None
        ordered = sorted(self.recoveries)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def in_short(self) -> str:
        """One line, for whoever waits for the rest."""
        return (
            f"{'ok' if self.passed else 'FAILED'}: {self.injected:,} of {self.wanted:,},"
            f" lost {self.lost:,}, doubled {self.doubled:,}, {self.took:,.0f} s"
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        line = asdict(self) | {"passed": self.passed, "p50": self.quantile(0.5), "p99": self.quantile(0.99)}
        del line["recoveries"]
        return line
