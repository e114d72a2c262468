"""What a group of processes holds in memory, in four readings, which differ by what they do with shared pages.

Processes share pages after a fork, and pages of the files that they map (the interpreter, libraries). `rss` counts a
shared page in every process, `pss` in parts, one for every process *of the machine* that has it, `uss` not at all.
`alone` counts it once: own memory by PSS, as only forks share it, and of each file the most that one of them has. That
is what the group would need if nothing else ran, and does not depend on who else has the same interpreter in use.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

MB = 1e6
READINGS = ("alone", "pss", "rss", "uss")
_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ (\d+) *(.*)")


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and all below it."""
    return [process, *process.children(recursive=True)]


def footprint(processes: Iterable[psutil.Process], without: Iterable[Path] = ()) -> dict[str, float]:
    """Megabytes by reading, and the number of processes.

    Args:
        without: mapped files that do not count.
    """
    ignored = set(map(str, without))
    kilobytes = dict.fromkeys(READINGS, 0)
    files: defaultdict[str, int] = defaultdict(int)
    number = 0
    for number, process in enumerate(processes, 1):  # noqa: B007 - the last is their number
        mapped: defaultdict[str, int] = defaultdict(int)
        for name, is_file, part in _mappings(process.pid):
            if name in ignored:
                continue
            kilobytes["rss"] += part["Rss"]
            kilobytes["pss"] += part["Pss"]
            kilobytes["uss"] += part["Private_Clean"] + part["Private_Dirty"]
            if is_file:
                mapped[name] += part["Rss"] - part["Anonymous"]
        for name, most in mapped.items():
            files[name] = max(files[name], most)
        kilobytes["alone"] += _fields(Path(f"/proc/{process.pid}/smaps_rollup"))["Pss_Anon"]
    kilobytes["alone"] += sum(files.values())
    return {"processes": number, **{reading: amount * 1024 / MB for reading, amount in kilobytes.items()}}


def _mappings(pid: int) -> Iterator[tuple[str, bool, dict[str, int]]]:
    """Each mapping of a process: name, whether it is of a file, and its kilobytes by field."""
    lines: list[str] = []
    for line in reversed(Path(f"/proc/{pid}/smaps").read_text().splitlines()):
        if (head := _MAPPING.fullmatch(line)) is None:
            lines.append(line)
        else:
            yield head[2], head[1] != "0", _kilobytes(lines)
            lines = []


def _fields(path: Path) -> dict[str, int]:
    return _kilobytes(path.read_text().splitlines())


def _kilobytes(lines: Iterable[str]) -> dict[str, int]:
    """`Rss:   8 kB` → Rss: 8."""
    words = (line.split() for line in lines if line.endswith(" kB"))
    return {field[:-1]: int(amount) for field, amount, _ in words}
