"""Hot spots that were found and fixed, each with the run before and the run after: benchmarks/results/hot-spots/NAME/.

    python benchmarks/hot_spots.py NAME BEFORE AFTER --only throughput,stages

builds both commits in build/hot-spots and measures these parts of today's benchmarks on each. about.json beside the two
runs then says: `title`; `found`: what cost the time, and how it was seen; `fixed`: what was changed; `parts`: what
--only named; `numbers`: which of the numbers that `compare.py before.json after.json --all` prints are shown. Then
`make bench-report`.
"""

import argparse
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import compare
import environment
from tables import table

ROOT = Path(__file__).parents[1]
KEPT = environment.RESULTS / "hot-spots"
TREES = ROOT / "build" / "hot-spots"


def number(value: float) -> str:
    """With as many digits as say something."""
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"


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
        rows = [(change.what, number(change.old), number(change.new), f"{change.ratio:.2f} ×")
                for change in self.changes()]  # fmt: skip
        folder = f"benchmarks/results/hot-spots/{self.name}"
        commits = " ".join(run["environment"]["commit"] for run in (self.before, self.after))
        shown = table(("number", "before", "after", "better"), rows)
        return (
            f"### {self.title}\n\n{self.found} {self.fixed}\n\n{shown}\n\n"
            f"- before: {environment.one_line(self.before['environment'])}\n"
            f"- after: {environment.one_line(self.after['environment'])}\n"
            f"- again: `python benchmarks/hot_spots.py {self.name} {commits} --only {self.parts}`;"
            f" `python benchmarks/compare.py {folder}/before.json {folder}/after.json`\n"
        )


def load(kept: Path = KEPT) -> list[HotSpot]:
    """All that are kept, in the order in which they were fixed."""
    found = [_read(folder) for folder in sorted(kept.iterdir()) if folder.is_dir()] if kept.is_dir() else []
    return sorted(found, key=lambda spot: str(spot.after["environment"]["at"]))


def _read(folder: Path) -> HotSpot:
    about, before, after = (json.loads((folder / f"{name}.json").read_text()) for name in ("about", "before", "after"))
    return HotSpot(folder.name, **about | {"numbers": tuple(about["numbers"])}, before=before, after=after)


def measure(commit: str, parts: str, file: Path) -> None:
    """Build a commit, and measure parts of today's benchmarks on it."""
    tree = TREES / commit
    if not tree.exists():
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], cwd=ROOT, check=True)
    subprocess.run(["make", "build"], cwd=tree, check=True, env=os.environ | {"MAKEFLAGS": ""})
    shutil.copytree(ROOT / "benchmarks", tree / "benchmarks", dirs_exist_ok=True)
    command = [tree / ".venv" / "bin" / "python", "benchmarks/run_all.py", "--only", parts, "--save", file]
    subprocess.run(command, cwd=tree, check=True, env=os.environ | {"TTP_BACKEND": "native"})


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the folder in benchmarks/results/hot-spots")
    parser.add_argument("before", help="a commit")
    parser.add_argument("after", help="a commit")
    parser.add_argument("--only", default="throughput,stages", help="these parts, with commas between")
    options = parser.parse_args()
    for which in ("before", "after"):
        measure(getattr(options, which), options.only, KEPT / options.name / f"{which}.json")


if __name__ == "__main__":
    main()
