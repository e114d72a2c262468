"""The tables of docs/benchmarks.md, each from one part of a run."""

from collections.abc import Sequence
from itertools import groupby

from targets import LINES, Run
from targets import rate as show_rate

Cells = Sequence[object]

STAGES = {  # stage → (where, what it does)
    "encode": ("producer", "`emit`: MessagePack into the open frame"),
    "frame": ("producer", "seal: directory and CRC32C"),
    "send": ("producer", "build the command, write it, read the reply"),
    "server: submit": ("server", "the submit script: chain, limit, XADD"),
    "server: read": ("server", "XREADGROUP"),
    "server: commit": ("server", "the commit script: XACK, XDEL, counters"),
    "server: the rest": ("server", "sockets, parsing, replies, AOF"),
    "receive": ("worker", "ask, read and parse the reply"),
    "decode": ("worker", "check the frame, decode arguments, dispatch"),
    "call": ("worker", "the handler itself, a no-op of three arguments"),
    "commit": ("worker", "settle, draft, write the command, read the reply"),
}


def table(head: Cells, rows: Sequence[Cells]) -> str:
    """Markdown; all columns but the first are numbers."""
    lines = [list(map(str, head)), ["---", *["---:"] * (len(head) - 1)], *[list(map(str, row)) for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ms(value: float) -> str:
    """Milliseconds, with as many digits as say something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def percentiles(row: Run) -> list[str]:
    """p50, p95, p99, p99.9, max."""
    return [ms(row[name]) for name in ("p50", "p95", "p99", "p99.9", "max")]


def targets(run: Run) -> str:
    """What is to be held, and what was measured."""
    rows = [
        (
            line.what,
            line.hold,
            line.native(run),
            "" if not line.hold else "yes" if line.holds(run) else "**no**",
            line.pure(run),
            line.by_hand(run),
        )
        for line in LINES
    ]
    return table(("what", "target", "native", "held", "pure Python", "LPUSH/BRPOP"), rows)


def side_by_side(runs: Sequence[Run]) -> str:
    """What the native core held on each of several machines."""
    rows = [
        (line.what, line.hold, *(f"{line.native(run)}{'' if line.holds(run) else ' ✗'}" for run in runs))
        for line in LINES
    ]
    return table(("what", "target", *range(1, len(runs) + 1)), rows)


def headline(run: Run) -> str:
    """The short table of the README."""
    kinds = ("native", "pure", "baseline")
    throughput, latency = run["throughput"], run["latency"]

    def p99(kind: str) -> str:
        return next((f"{ms(row['p99'])} ms" for row in latency[kind] if row["rate"] == 10_000), "")

    rows = [
        ("no-op tasks, end to end", *[show_rate(throughput[kind]["rate"]) for kind in kinds]),
        ("sending alone", *[show_rate(throughput[kind]["emit_rate"]) for kind in kinds]),
        ("p99 from due to handler, 10,000/s held", *map(p99, kinds)),
        (
            "a result stored for each",
            show_rate(run["results"]["many"]["rate"]),
            show_rate(run["results"]["many_pure"]["rate"]),
            "",
        ),
        ("events in columns, summed by a batch handler", show_rate(run["columns"]["rate"]), "", ""),
        ("memory of a worker", f"{max(run['memory']['worker']['after']):.0f} MB", "", ""),
    ]
    return table(("", "ttp, native", "ttp, pure Python", "redis-py, LPUSH/BRPOP"), rows)


def latency(run: Run) -> str:
    """Open loop."""
    names = {"native": "ttp, native", "pure": "ttp, pure Python", "baseline": "LPUSH/BRPOP"}
    rows = [
        (names[kind], f"{row['rate']:,}", f"{row['held']:,.0f}", *percentiles(row), *_frames(row))
        for kind, part in run["latency"].items()
        for row in part
    ]
    head = ("ms", "offered/s", "held/s", "p50", "p95", "p99", "p99.9", "max")
    return table((*head, "frames/s", "µs of CPU a frame", "µs waiting for a core"), rows)


def _frames(row: Run) -> tuple[str, ...]:
    """Frames a second, and what one costs producer, server and worker: CPU time, and waiting for a core."""
    frames = f"{row['frames']:,.0f}" if "frames" in row else ""
    costs = [row.get(what, {}) for what in ("us_per_frame", "us_waiting")]
    names = ("producer", "server", "worker")
    return frames, *(" + ".join(f"{cost[name]:.0f}" for name in names if name in cost) for cost in costs)


def ladder(run: Run) -> str:
    """Rates held in turn."""
    rows = [
        (
            f"{row['rate']:,}",
            f"{row['held']:,.0f}",
            *percentiles(row),
            row["lost"],
            row["errors"],
            ", ".join(row["breaker"]),
            f"{row['most_queued']:,}",
        )
        for row in run["ladder"]["steps"]
    ]
    head = ("offered/s", "held/s", "p50", "p95", "p99", "p99.9", "max", "lost", "errors", "breaker", "most queued")
    return table(head, rows)


def overload(run: Run) -> str:
    """Twice what a worker can do, by policy."""
    rows = [
        (
            f"`{row['policy']}`",
            f"{row['offered']:,}",
            f"{row['refused']:,}",
            f"{row['dropped']:,}",
            f"{row['accepted']:,}",
            f"{row['done']:,}",
            f"{row['most_queued']:,} of {row['queue_limit']:,}",
            *[ms(row["phases"][phase]["p99"]) for phase in ("before", "during", "after")],
            f"{row['phases']['during']['drained_after']:.2f} s",
        )
        for row in run["ladder"]["overload"]
    ]
    head = (
        "on_full", "offered", "refused", "dropped", "accepted", "executed", "most queued",
        "p99 before", "during", "after", "drained in",
    )  # fmt: skip
    return table(head, rows)


def scaling(run: Run) -> str:
    """Processes side by side."""
    names = {
        "waiting": "workers, handlers wait 1 ms",
        "computing": "workers, handlers compute",
        "producing": "producers, emit",
    }
    rows = [
        (
            names[kind],
            *[show_rate(part["rates"][n]) for n in ("1", "2", "4")],
            *[f"{part['ratios'][n]:.2f} ({part['ratios'][n] / int(n):.0%})" for n in ("2", "4")],
        )
        for kind, part in run["scaling"].items()
    ]
    return table(("", "1", "2", "4", "2 against 1", "4 against 1"), rows)


def submits(run: Run) -> str:
    """Each waits for its own acceptance."""
    names = {
        "submit_1": "1 thread",
        "submit_8": "8 threads",
        "submit_64": "64 threads",
        "asubmit_1": "1 coroutine",
        "asubmit_64": "64 coroutines",
    }
    rows = [
        (text, show_rate(run["results"][key]["rate"]), *percentiles(run["results"][key])) for key, text in names.items()
    ]
    return table(("ms", "submits/s", "p50", "p95", "p99", "p99.9", "max"), rows)


def payloads(run: Run) -> str:
    """By size."""
    rows = [
        (f"{row['bytes']:,} B", show_rate(row["rate"]), f"{row['mb_per_second']:.0f} MB/s")
        for row in run["workloads"]["payloads"]
    ]
    return table(("payload", "tasks", "data"), rows)


def memory(run: Run) -> str:
    """What a worker's memory is made of, and a producer's; nothing of a run that did not measure it."""
    if "parts" not in run["memory"]:
        return ""
    rows = [(part["what"], f"{part['adds']:+.1f}", f"{part['alone']:.1f}") for part in run["memory"]["parts"]]
    producer = run["memory"]["producer"]
    rows.append((f"a producer, at most: {producer['tasks']:,} emits", "", f"{producer['most']:.1f}"))
    return table(("with", "adds", "MB"), rows)


def startup(run: Run) -> str:
    """Until something works; nothing of a run that did not measure it."""
    names = {
        "interpreter": "an interpreter that imports nothing",
        "import_ttp": "`import ttp`, beyond that",
        "first_submit": "a whole program that submits one task",
        "first_task": "`ttp worker`, until a task that waited for it is done",
    }
    if not names.keys() <= run["startup"].keys():
        return ""
    return table(("", "ms"), [(text, f"{run['startup'][name]:.0f}") for name, text in names.items()])


def backlog(run: Run) -> str:
    """By what is queued."""
    rows = [(f"{row['tasks']:,}", show_rate(row["rate"])) for row in run["workloads"]["backlog"]]
    return table(("queued", "drained"), rows)


def handlers(run: Run) -> str:
    """By what the handler does."""
    rows = [(row["what"], show_rate(row["rate"])) for row in run["workloads"]["handlers"]]
    return table(("the handler", "one worker process"), rows)


def durability(run: Run) -> str:
    """By level."""
    rows = [
        (name, show_rate(row["rate"]), show_rate(row["submit_rate"]), ms(row["submit_p50"]), ms(row["submit_p99"]))
        for name, row in run["durability"].items()
    ]
    return table(("level", "emit, end to end", "submit, one thread", "p50 ms", "p99 ms"), rows)


def stages(run: Run) -> str:
    """Where each nanosecond goes."""
    part = run["stages"]
    rows = [(f"{stage}: {STAGES[stage][1]}", STAGES[stage][0], f"{ns:.1f}") for stage, ns in part["by_stage"].items()]
    total = sum(part["by_stage"].values())
    rows.append(("all stages", "", f"{total:.1f}"))
    return table(("stage", "process", "ns per task"), rows)


def micro(run: Run) -> str:
    """The parts of the core alone."""
    rows = []
    for group, entries in groupby(run["micro"], key=lambda row: row["group"]):
        for at, row in enumerate(entries):
            name = f"**{row['name']}**" if row["name"] == "native" else row["name"]
            rows.append((group if at == 0 else "", name, f"{row['ns']:,.0f}"))
    return table(("what", "by", "ns, median"), rows)
