"""Every measurement in one run: the table that `make bench` prints, and a JSON file in benchmarks/results/.

`--full` holds rates for 30 s and queues ten million; `--only NAME,NAME` measures these parts alone, and prints them or,
with `--save FILE`, writes them there.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import columns
import durability
import environment
import ladder
import latency
import memory
import micro_results
import results
import scaling
import stages
import stalls
import startup
import throughput
import workloads
from harness import Bench
from rich import box
from rich.console import Console
from rich.table import Table
from targets import LINES, Run

WIDTH = 150


def table(run: Run) -> Table:
    """The run against what is to be held."""
    out = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for name in ("what", "hold", "native", "", "pure", "LPUSH/BRPOP"):
        out.add_column(name, justify="left" if name == "what" else "right", no_wrap=True, min_width=1)
    for line in LINES:
        mark = "" if not line.hold else "[green]✓[/]" if line.holds(run) else "[red]✗[/]"
        out.add_row(line.what, line.hold, line.native(run), mark, line.pure(run), line.by_hand(run))
    return out


def steps(bench: Bench, tasks: int, *, full: bool) -> dict[str, Callable[[], Any]]:
    """What is measured, by name."""
    held = 30 if full else 5
    return {
        "startup": lambda: startup.measure(bench),
        "throughput": lambda: throughput.measure(bench, tasks),
        "columns": lambda: columns.measure(bench, tasks * 5),
        "stalls": stalls.measure,
        "latency": lambda: latency.measure(bench, held),
        "results": lambda: results.measure(bench, tasks // 5),
        "memory": lambda: memory.measure(bench, tasks * 10),
        "scaling": lambda: scaling.measure(bench, tasks * 3 // 10),
        "workloads": lambda: workloads.measure(bench, large=full),
        "durability": durability.measure,
        "ladder": lambda: ladder.measure(bench, held),
        "stages": lambda: stages.measure(bench),
        "micro": micro_results.measure,
    }


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000_000, help="of the throughput runs")
    parser.add_argument("--full", action="store_true", help="hold rates for 30 s, queue ten million")
    parser.add_argument("--only", default="", help="these parts, with commas between")
    parser.add_argument("--save", type=Path, help="where the parts go that --only names")
    options = parser.parse_args()
    console = Console()
    console.width = max(console.width, WIDTH)
    begun = time.monotonic()
    with Bench() as bench:
        run: Run = {"environment": environment.describe(bench.redis.info()), "full": options.full}
        chosen = steps(bench, options.tasks, full=options.full)
        for name in options.only.split(",") if options.only else chosen:
            console.print(f"measuring {name} …", style="dim")
            run[name] = chosen[name]()
    run["seconds"] = round(time.monotonic() - begun)
    if options.only and options.save is not None:
        options.save.parent.mkdir(parents=True, exist_ok=True)
        options.save.write_text(json.dumps(run, indent=2) + "\n")
        return
    if options.only:
        console.print_json(json.dumps(run))
        return
    console.print(table(run))
    console.print(environment.one_line(run["environment"]))
    console.print(f"all of it, in {run['seconds']} s: {environment.save('bench', run)}")


if __name__ == "__main__":
    main()
