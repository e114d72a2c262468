"""What a target that a run does not hold can be measured by, in numbers of the same run."""

from collections.abc import Callable

from tables import ms
from targets import LINES, Run
from targets import rate as show_rate

Why = Callable[[Run], str]


def _cores(run: Run) -> str:
    used, cores = run["stages"]["by_process"], run["environment"]["cores"]
    spent = used["producer"] + used["server"] + used["worker"]
    return (
        f"producer, server and worker together use {spent:.0f} ns of CPU time per task ([by stage]"
        f"(#where-a-tasks-time-goes)): {cores} cores that never wait end at {show_rate(cores * 1e9 / spent)}"
    )


def _small_frames(run: Run) -> str:
    row = next(row for row in run["latency"]["native"] if row["rate"] == 10_000)
    busy = row["frames"] * sum(row["us_per_frame"].values()) / 1e6 if "frames" in row else 0.0
    waiting = sum(row.get("us_waiting", {}).values())
    frames = (
        f"; at 10,000/s {row['frames']:,.0f} frames a second, each with what came since the one before, keep"
        f" {busy:.1f} of {run['environment']['cores']} cores busy"
        + (f", and for {waiting:.0f} µs a frame one of the processes is ready and waits for a core" if waiting else "")
        + " ([by process](#latency-at-held-rates)); what one process is held up by, the others catch up with"
        if busy
        else ""
    )
    stalls = (
        f"; a core stands still for {run['stalls']['share']:.1%} of the time, up to {run['stalls']['longest']:.1f} ms"
    )
    return _by_hand(run) + stalls + frames


def _by_hand(run: Run) -> str:
    trip = next(row for row in run["latency"]["baseline"] if row["rate"] == 1_000)
    return (
        "from a process through the server into another, without ttp (LPUSH and BRPOP at 1,000/s), takes"
        f" p50 {ms(trip['p50'])} and p99 {ms(trip['p99'])} ms here (`python benchmarks/run_all.py --only latency`)"
    )


def _round_trip(run: Run) -> str:
    if (trip := run["results"].get("round_trip")) is None:
        return ""
    return (
        f"a PING over the same socket, without any library, takes p50 {ms(trip['p50'])} and p99 {ms(trip['p99'])} ms"
        " here (`python benchmarks/run_all.py --only results`)"
    )


def _bytes(run: Run) -> str:
    event = 4 + 8 + 8  # an int32 code of the device, a timestamp, a float: benchmarks/load.py
    largest = max(run["workloads"]["payloads"], key=lambda row: row["bytes"])
    return (
        f"an event is {event} bytes of columns, so {run['columns']['rate'] * event / 1e6:.0f} MB/s go through sockets,"
        f" the server and its log; {largest['bytes'] // 1024} KiB as one argument of a task go the same way at"
        f" {largest['mb_per_second']:.0f} MB/s ([payloads](#payloads))"
    )


def _start(run: Run) -> str:
    started = run["startup"]
    return (
        f"an interpreter that imports nothing takes {started['interpreter']:.0f} ms here, the import"
        f" {started['import_ttp'] / started['interpreter']:.1f} times that ([start](#start))"
    )


def _threads(run: Run) -> str:
    most = show_rate(run["results"]["handoffs_64"]["rate"])
    return (
        f"64 threads that only hand locks to each other, without a server, reach {most} under this interpreter's lock"
        " (`python benchmarks/run_all.py --only results`)"
    )


def _memory(run: Run) -> str:
    parts = sorted(run["memory"].get("parts", ()), key=lambda part: -part["adds"])[:3]
    return "; ".join([*(f"{part['what']}: {part['adds']:.1f} MB" for part in parts), "[all](#memory)"]) if parts else ""


LIMITS: dict[str, Why] = {  # what a line begins with → its measure
    "no-op tasks by emit": _cores,
    "… of a bare loop": _cores,
    "events in columns": _bytes,
    "emit → handler": _small_frames,
    "submit, p50": _round_trip,
    "submit from 64 threads": _threads,
    "idle submit": _round_trip,
    "worker memory": _memory,
    "import ttp": _start,
}


def limits(run: Run) -> str:
    """A list of what is known, with the lines that it is said of."""
    said: dict[Why, list[str]] = {}
    for line in LINES:
        why = next((why for begin, why in LIMITS.items() if line.what.startswith(begin)), None)
        if line.hold and why is not None and not line.holds(run):
            said.setdefault(why, []).append(line.what.removeprefix("… ").partition(":")[0])
    return "\n".join(f"- *{'*, *'.join(lines)}*: {why(run)}." for why, lines in said.items() if why(run))


def beside_celery(run: Run, peers: Run) -> str:
    """What a third of Celery's memory is, and what is in a worker before it has anything of its own."""
    celery = next((peer for peer in peers["peers"] if peer["name"] == "celery" and "workers" in peer), None)
    parts = {part["what"]: part["alone"] for part in run["memory"].get("parts", ())}
    if celery is None or not parts:
        return ""
    thirds = " or ".join(f"{worker['alone'] / 3:.0f}" for worker in celery["workers"])
    client = next(mb for what, mb in parts.items() if what.startswith("redis-py"))
    return (
        f"A third of Celery's memory is {thirds} MB, with one child or two. An interpreter that has imported ttp and"
        f" redis-py, and does nothing, holds {client:.0f} MB ([memory](#memory)).\n"
    )
