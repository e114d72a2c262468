"""Two runs of the same benchmark, number by number, as ratios: `compare.py OLD NEW [--tolerance 0.8] [--all]`.

Exits with 1 where a number has become worse than the tolerance allows. Tails beyond p99 are left out: they differ
between two runs of the same code.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MORE_IS_BETTER = {"rate", "emit_rate", "submit_rate", "drain_rate", "mb_per_second", "single", "bulk", "drain"}
LESS_IS_BETTER = {
    "p50",
    "p99",
    "submit_p50",
    "submit_p99",
    "stored",
    "import_ttp",
    "first_submit",
    "first_task",
    "ns",
    "memory",
    "bytes_per_task",
    "bytes_in_bulk",
    "alone",
}
LESS_IS_BETTER_IN = {"by_stage", "by_process"}
MORE_IS_BETTER_IN = {"rates"}
NAMED_BY = ("what", "policy", "bytes", "group", "name")


@dataclass(frozen=True, slots=True)
class Change:
    """One number in both runs.

    Attributes:
        ratio: above 1 is better, whichever way the number counts; 0.5 is half as good.
    """

    what: str
    old: float
    new: float
    ratio: float


def numbers(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float, bool]]:
    """Each comparable number: where it stands, what it is, and whether more of it is better."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from numbers(part, (*path, name))
    elif isinstance(value, list):
        for part in value:
            if isinstance(part, dict):
                yield from _row(part, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and path:
        inside = path[-2] if len(path) > 1 else ""
        if path[-1] in MORE_IS_BETTER or inside in MORE_IS_BETTER_IN:
            yield path, float(value), True
        elif path[-1] in LESS_IS_BETTER or inside in LESS_IS_BETTER_IN:
            yield path, float(value), False


def _row(row: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], float, bool]]:
    """A row of a list goes by its name, or by the rate that it was held at, or by its number of tasks."""
    names = [str(row[name]) for name in NAMED_BY if name in row]
    if "held" in row:
        names, row = [f"{row['rate']}/s"], {name: part for name, part in row.items() if name != "rate"}
    elif not names:
        names = [f"{row.get('tasks', '')} tasks"]
    yield from numbers(row, (*path, ", ".join(names)))


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """What both runs have, worst first."""
    before = {path: number for path, number, _ in numbers(old)}
    out = []
    for path, number, more in numbers(new):
        was = before.get(path)
        if was and number:
            out.append(Change(" · ".join(path), was, number, number / was if more else was / number))
    return sorted(out, key=lambda change: change.ratio)


def main(arguments: list[str]) -> int:
    """Print every number whose ratio leaves the tolerance, and how many do not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--tolerance", type=float, default=0.8, help="worse than this ratio fails (default: 0.8)")
    parser.add_argument("--all", action="store_true", help="print what has not left the tolerance too")
    options = parser.parse_args(arguments)
    found = changes(json.loads(options.old.read_text()), json.loads(options.new.read_text()))
    if not found:
        print("the two runs have no number in common")
        return 2
    worse = [change for change in found if change.ratio < options.tolerance]
    better = [change for change in found if change.ratio > 1 / options.tolerance]
    rest = [change for change in found if change not in worse and change not in better] if options.all else []
    for title, part in (("worse", worse), ("", rest), ("better", better)):
        for change in part:
            print(f"{title:6} {change.ratio:5.2f}  {change.old:14,.2f} → {change.new:14,.2f}  {change.what}")
    print(f"{len(found)} numbers: {len(worse)} worse, {len(better)} better, beyond {options.tolerance:g}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
