"""What is to be held (the targets of the project), and what a run says of each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

Run = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One line of the table; numbers are those of the native core unless the column says otherwise."""

    what: str
    hold: str
    holds: Callable[[Run], bool]
    native: Callable[[Run], str]
    pure: Callable[[Run], str] = lambda _: ""
    by_hand: Callable[[Run], str] = lambda _: ""


def rate(value: float) -> str:
    """Tasks a second, for people."""
    return f"{value / 1e6:.2f} M/s" if value >= 1e6 else f"{value / 1e3:.1f} k/s"


def _at(run: Run, kind: str, per_second: int) -> Run:
    return next(row for row in run["latency"][kind] if row["rate"] == per_second)


def _ms(row: Run) -> str:
    return f"{row['p50']:.2f} / {row['p99']:.2f} / {row['p99.9']:.1f}"


def _latency(per_second: int, p99: float) -> Line:
    def column(kind: str) -> Callable[[Run], str]:
        return lambda run: next((_ms(row) for row in run["latency"][kind] if row["rate"] == per_second), "")

    return Line(
        f"emit → handler, {per_second:,}/s: p50/p99/p99.9 ms",
        f"p99 ≤ {p99}, p99.9 ≤ 5",
        lambda run: _at(run, "native", per_second)["p99"] <= p99 and _at(run, "native", per_second)["p99.9"] <= 5,
        column("native"),
        column("pure"),
        column("baseline"),
    )


def _share(run: Run) -> float:
    return float(run["throughput"]["native"]["rate"] / run["throughput"]["bare_loop"])


def _drain_ratio(run: Run) -> float:
    drains = run["throughput"]["drain"]
    return float(drains["many"]["rate"] / drains["few"]["rate"])


def _overhead(run: Run) -> float:
    queued = run["memory"]["queued"]
    return float(queued["stored"] - queued["payload"])


def _worker_memory(run: Run) -> str:
    worker = run["memory"]["worker"]
    return f"{worker['start']:.1f} → {worker['after'][-1]:.1f}"


def _stalls(run: Run) -> str:
    seen = run.get("stalls")
    return f"{seen['share']:.1%} of the time, up to {seen['longest']:.1f} ms" if seen else ""


def _times_by_hand(run: Run) -> float:
    return float(run["throughput"]["native"]["rate"] / run["throughput"]["baseline"]["rate"])


def _p99_share(run: Run) -> float:
    return float(_at(run, "native", 10_000)["p99"] / _at(run, "baseline", 10_000)["p99"])


def _throughput(of: str, what: str, run: Run) -> str:
    return rate(run["throughput"][of][what])


def _three(what: str) -> dict[str, Callable[[Run], str]]:
    """A rate of the native core, of the twin, and by hand."""
    columns = {"native": "native", "pure": "pure", "by_hand": "baseline"}
    return {column: partial(_throughput, of, what) for column, of in columns.items()}


LINES = [
    Line(
        "no-op tasks by emit, end to end",
        "≥ 4 M/s",
        lambda run: run["throughput"]["native"]["rate"] >= 4e6,
        **_three("rate"),
    ),
    Line(
        "… times LPUSH/BRPOP by hand",
        "≥ 100",
        lambda run: _times_by_hand(run) >= 100,
        lambda run: f"{_times_by_hand(run):.0f}",
    ),
    Line(
        "… of a bare loop calling the function",
        "≥ 20 %",
        lambda run: _share(run) >= 0.2,
        lambda run: f"{_share(run):.0%} of {rate(run['throughput']['bare_loop'])}",
    ),
    Line(
        "… emit alone",
        "",
        lambda _: True,
        **_three("emit_rate"),
    ),
    Line(
        "… drain alone",
        "",
        lambda _: True,
        lambda run: rate(run["throughput"]["drain"]["many"]["rate"]),
        by_hand=lambda run: rate(run["throughput"]["baseline"]["drain_rate"]),
    ),
    Line(
        "drain of 100 times as many queued",
        "≥ 0.9",
        lambda run: _drain_ratio(run) >= 0.9,
        lambda run: f"{_drain_ratio(run):.2f}",
    ),
    Line(
        "submit_many, a result stored for each",
        "≥ 1 M/s",
        lambda run: run["results"]["many"]["rate"] >= 1e6,
        lambda run: rate(run["results"]["many"]["rate"]),
        lambda run: rate(run["results"]["many_pure"]["rate"]),
    ),
    Line(
        "events in columns, summed by a batch handler",
        "≥ 10 M/s",
        lambda run: run["columns"]["rate"] >= 1e7,
        lambda run: rate(run["columns"]["rate"]),
    ),
    _latency(1_000, 0.3),
    _latency(10_000, 0.3),
    Line(
        "… p99 at 10,000/s of that by hand",
        "≤ 1/8",
        lambda run: _p99_share(run) <= 1 / 8,
        lambda run: f"1/{1 / _p99_share(run):.0f}",
    ),
    _latency(100_000, 0.3),
    _latency(1_000_000, 1.0),
    Line(
        "… the machine: a core stands still > 0.5 ms",
        "",
        lambda _: True,
        _stalls,
    ),
    Line(
        "submit, p50, ms",
        "≤ 0.15",
        lambda run: run["results"]["submit_1"]["p50"] <= 0.15,
        lambda run: f"{run['results']['submit_1']['p50']:.3f}",
    ),
    Line(
        "submit from 64 threads",
        "≥ 100 k/s",
        lambda run: run["results"]["submit_64"]["rate"] >= 1e5,
        lambda run: (
            f"{rate(run['results']['submit_64']['rate'])} (bare locks: {rate(run['results']['handoffs_64']['rate'])})"
        ),
    ),
    Line(
        "idle submit → result: p50/p99/p99.9 ms",
        "p50 ≤ 0.5, p99 ≤ 2",
        lambda run: run["results"]["idle"]["result"]["p50"] <= 0.5 and run["results"]["idle"]["result"]["p99"] <= 2,
        lambda run: _ms(run["results"]["idle"]["result"]),
        lambda run: _ms(run["results"]["idle_pure"]["result"]),
    ),
    Line(
        "worker memory, MB, and after the tasks",
        "≤ 40",
        lambda run: max(run["memory"]["worker"]["after"]) <= 40,
        _worker_memory,
    ),
    Line(
        "server bytes of a queued task over payload",
        "≤ 6",
        lambda run: _overhead(run) <= 6,
        lambda run: f"{_overhead(run):.1f}",
    ),
    Line(
        "2 / 4 workers against 1, handlers wait 1 ms",
        "≥ 1.95 / 3.8",
        lambda run: (
            run["scaling"]["waiting"]["ratios"]["2"] >= 1.95 and run["scaling"]["waiting"]["ratios"]["4"] >= 3.8
        ),
        lambda run: f"{run['scaling']['waiting']['ratios']['2']:.2f} / {run['scaling']['waiting']['ratios']['4']:.2f}",
    ),
    Line(
        "import ttp, ms",
        "≤ 60",
        lambda run: run["startup"]["import_ttp"] <= 60,
        lambda run: f"{run['startup']['import_ttp']:.0f}",
    ),
]
