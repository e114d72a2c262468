"""Hot spots that were found and fixed, each with the run before and the run after: benchmarks/results/hot-spots/NAME/.

To keep one, run the same command at the commit before and at the commit after, on a quiet machine:

    python benchmarks/run_all.py --only stages --save benchmarks/results/hot-spots/NAME/before.json
    python benchmarks/run_all.py --only stages --save benchmarks/results/hot-spots/NAME/after.json

and say in about.json: `title`; `found`: what cost the time, and how it was seen; `fixed`: what was changed; `parts`:
what --only named; `numbers`: which of the numbers that `compare.py before.json after.json --all` prints are shown. Then
`make bench-report`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import compare
import environment
from tables import table

KEPT = environment.RESULTS / "hot-spots"


@dataclass(frozen=True)
class HotSpot:
    """What was slow, why, and by how much it is better."""

    name: str
    title: str
    found: str
    fixed: str
    parts: str
    numbers: tuple[str, ...]
    before: dict[str, Any]
    after: dict[str, Any]

    def changes(self) -> list[compare.Change]:
        """The numbers that are shown; raises ValueError where both runs do not have one."""
        changed = {change.what: change for change in compare.changes(self.before, self.after)}
        if missing := [what for what in self.numbers if what not in changed]:
            raise ValueError(f"{self.name}: not in both runs: {', '.join(missing)}")
        return [changed[what] for what in self.numbers]

    def section(self) -> str:
        """For docs/benchmarks.md."""
        rows = [(change.what, f"{change.old:,.6g}", f"{change.new:,.6g}", f"{change.ratio:.2f} ×")
                for change in self.changes()]  # fmt: skip
        folder = f"benchmarks/results/hot-spots/{self.name}"
        shown = table(("number", "before", "after", "better"), rows)
        return (
            f"### {self.title}\n\n{self.found} {self.fixed}\n\n{shown}\n\n"
            f"- before: {environment.one_line(self.before['environment'])}\n"
            f"- after: {environment.one_line(self.after['environment'])}\n"
            f"- again: `python benchmarks/run_all.py --only {self.parts} --save FILE` at each commit;"
            f" `python benchmarks/compare.py {folder}/before.json {folder}/after.json`\n"
        )


def load(kept: Path = KEPT) -> list[HotSpot]:
    """All that are kept, in the order in which they were fixed."""
    found = [_read(folder) for folder in sorted(kept.iterdir()) if folder.is_dir()] if kept.is_dir() else []
    return sorted(found, key=lambda spot: str(spot.after["environment"]["at"]))


def _read(folder: Path) -> HotSpot:
    about, before, after = (json.loads((folder / f"{name}.json").read_text()) for name in ("about", "before", "after"))
    return HotSpot(folder.name, **about | {"numbers": tuple(about["numbers"])}, before=before, after=after)
