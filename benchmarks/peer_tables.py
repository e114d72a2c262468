"""The tables of docs/benchmarks.md that have other task queues in them."""

from typing import Any

from tables import ms, table
from targets import Run
from targets import rate as show_rate

READINGS = ("alone", "pss", "rss", "uss")


def peers(run: Run) -> str:
    """Each peer in its fastest documented configuration, where it ran."""
    rows = []
    for peer in run["peers"]:
        if "error" in peer:
            rows.append((peer["name"], f"did not run: {peer['error']}", *[""] * 9))
            continue
        rows.append(
            (
                f"{peer['name']} {peer['version']}",
                show_rate(peer["single"]) if peer["single"] else "none",
                show_rate(peer["bulk"]) if peer["bulk"] else "none",
                show_rate(peer["drain"]),
                show_rate(peer["drain_results"]) if peer["drain_results"] else "",
                _held(peer["latency"]),
                f"{peer['memory']:.0f} MB",
                ", ".join(_bytes(peer)),
                peer["kill"]["lost"],
                peer["kill"]["doubled"],
                f"{peer['kill']['seconds']:.0f} s",
            )
        )
    head = (
        "", "one call", "bulk call", "drain", "drain, results", "p99 at 1,000/s", "memory", "queued task",
        "lost", "run twice", "after",
    )  # fmt: skip
    return table(head, rows)


def targets(run: Run) -> str:
    """What the project set itself beside others; empty cells where a peer did not run."""
    ran = [peer for peer in run["peers"] if "error" not in peer]
    ours = [peer for peer in ran if peer["name"].startswith("ttp")]
    others = [peer for peer in ran if not peer["name"].startswith("ttp")]
    celery = next((peer for peer in others if peer["name"] == "celery"), None)
    if not ours or not others:
        return ""
    drain = max(peer["drain"] for peer in ours)
    fastest = max(others, key=lambda peer: peer["drain"])
    held = [peer for peer in others if peer["latency"]["holds"]]
    rows: list[tuple[str, str, str, bool]] = [
        (f"drain, times that of {fastest['name']}, the fastest other", "≥ 100", f"{drain / fastest['drain']:,.0f}",
         drain >= 100 * fastest["drain"]),
    ]  # fmt: skip
    if celery is not None:
        stored = min(peer["bytes_in_bulk"] or peer["bytes_per_task"] for peer in ours) / celery["bytes_per_task"]
        rows += [
            ("drain, times Celery's", "≥ 1,000", f"{drain / celery['drain']:,.0f}", drain >= 1000 * celery["drain"]),
            *memory_targets(max(ours, key=lambda peer: peer["memory"]), celery),
            ("server bytes of a queued task, of Celery's", "≤ 1/3", f"{stored:.3f}", stored <= 1 / 3),
        ]
    if held:
        best = min(held, key=lambda peer: peer["latency"]["p99"])
        p99 = min(peer["latency"]["p99"] for peer in ours)
        rows.append(
            (f"p99 at 1,000/s, ms; {best['name']}, the best other: {ms(best['latency']['p99'])}", "no worse", ms(p99),
             p99 <= best["latency"]["p99"])
        )  # fmt: skip
    return table(
        ("what", "target", "ttp", "held"),
        [(what, hold, value, "yes" if holds else "**no**") for what, hold, value, holds in rows],
    )


def memory_targets(ttp: Run, celery: Run) -> list[tuple[str, str, str, bool]]:
    """The memory of ttp's worker as a part of that of Celery's prefork worker, in each way to compare them."""
    if "workers" not in ttp:
        return [("memory of a worker, of Celery's", "≤ 1/3", f"{ttp['memory'] / celery['memory']:.2f}",
                 ttp["memory"] <= celery["memory"] / 3)]  # fmt: skip
    (one, two), (child, children) = ttp["workers"], celery["workers"]
    pairs = (
        ("one process, of Celery's default: parent and two children", one, children),
        ("one process, of Celery's parent and one child", one, child),
        ("two processes, of Celery's parent and two children", two, children),
    )
    rows = []
    for what, ours, theirs in pairs:
        shares = {reading: ours[reading] / theirs[reading] for reading in READINGS}
        shown = f"{shares['alone']:.2f} (pss {shares['pss']:.2f}, rss {shares['rss']:.2f}, uss {shares['uss']:.2f})"
        rows.append((f"memory: {what}", "≤ 1/3", shown, shares["alone"] <= 1 / 3))
    return rows


def workers(run: Run) -> str:
    """What workers of one and of two processes drain and hold."""
    rows = [
        (peer["name"], worker["name"], int(worker["processes"]), show_rate(worker["drain"]),
         *[f"{worker[reading]:.0f}" for reading in READINGS])
        for peer in run["peers"]
        for worker in peer.get("workers", ())
    ]  # fmt: skip
    return table(("", "its worker", "processes", "drain", *[f"{reading}, MB" for reading in READINGS]), rows)


def _bytes(peer: dict[str, Any]) -> list[str]:
    """What a queued task takes, sent by itself and in bulk."""
    ways = {"bytes_per_task": "B", "bytes_in_bulk": "B in bulk"}
    return [f"{peer[way]:,.0f} {unit}" for way, unit in ways.items() if peer[way] is not None]


def _held(row: dict[str, Any]) -> str:
    return f"{ms(row['p99'])} ms" if row["holds"] else f"can't hold it ({row['executed_rate']:,.0f}/s)"
