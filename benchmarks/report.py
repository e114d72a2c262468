"""Renders the committed runs as docs/benchmarks.md, its graphs, and the numbers of the README.

`report.py` renders what lies in benchmarks/results/published; `--publish` first takes the newest runs of this
machine there. Runs of other machines lie beside them, as bench-NAME.json. The same JSON gives the same bytes.
"""

import argparse
import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import charts
import environment
import hot_spots
import limits
import peer_tables
import tables
from targets import Run
from targets import rate as show_rate

ROOT = Path(__file__).parents[1]
PUBLISHED = environment.RESULTS / "published"
KINDS = ("bench", "peers")
PAGE = Path("docs/benchmarks.md")
IMAGES = Path("docs/images/benchmarks")
README = Path("README.md")
MARKS = ("<!-- numbers -->", "<!-- /numbers -->")  # made by `make bench-report`

INTRODUCTION = """# Benchmarks

Every number here was measured by a committed command, and is rendered from a committed file (`make bench-report`; \
[benchmarks/results/published](../benchmarks/results/published)). Producer, server and worker are processes of their \
own and share one machine. Latencies are open loop: tasks are due at fixed times, and count from when they were due to \
the entry of the handler, however late they were sent (no coordinated omission). \
`python benchmarks/compare.py OLD NEW` compares two runs number by number.
"""

SECTIONS: list[tuple[str, str, Callable[[Run], str]]] = [
    ("Targets", "What the project set itself, and what was measured. Numbers of another machine are not yours.",
     tables.targets),
    ("Latency at held rates", ("`emit` to handler entry. `held/s` below `offered/s`: the rate could not be held, and"
     " the wait shows."), tables.latency),
    ("Load ladder", ("The handler stands behind a circuit breaker. `errors` are retries and dead letters;"
     " `python benchmarks/ladder.py` runs it alone."), tables.ladder),
    ("Overload", ("A handler that computes 20 µs: first half of what one worker does, then twice as much as it does,"
     " then half again, with a limit on the queue. `block` slows the producer down, `error` refuses at the call,"
     " `drop_oldest` gives up what was not sent yet; what is accepted is executed. p99 in ms from when due."),
     tables.overload),
    ("Processes side by side", ("In brackets the efficiency. Computing handlers and producers share the cores"
     " with the server and with each other, so they end where the cores end."), tables.scaling),
    ("Submit", "`submit` and `asubmit` return when the server has accepted the task.", tables.submits),
    ("Memory", ("Megabytes after each step on the way to a worker that works, each in a fresh process;"
     " shared pages count once (`python benchmarks/memory_parts.py`)."), tables.memory),
    ("Start", "Medians of processes of their own, the server running.", tables.startup),
    ("Payloads", "`emit` of one `bytes` argument to a no-op handler, end to end, both sides running.", tables.payloads),
    ("Backlog", "A worker is stopped, the queue filled, and the worker goes on.", tables.backlog),
    ("Handlers", "One worker process drains a full queue: the middle 80 % of the tasks.", tables.handlers),
    ("Durability", ("Each level on a server of its own, data on this machine's disk; `signed`: HMAC-SHA256 of every"
     " frame."), tables.durability),
    ("Where a task's time goes", ("Each stage by itself, in full frames (`python benchmarks/stages.py`):"
     " CPU time, or what the server counts for its command."), tables.stages),
    ("The parts of the core alone", ("`pytest -c benchmarks/micro/pytest.ini benchmarks/micro`. **native** is the C++"
     " core, pure its Python twin."), tables.micro),
]  # fmt: skip

HOT_SPOTS = """## Hot spots, before and after

What the profiles showed to be slow and was fixed, each measured by the same command at the commit before and at the \
commit after. Above 1 is better, whichever way a number counts.
"""

ELSEWHERE = """The same targets on other machines too, at the commits that stand beside them:
"""

PEERS = """## Beside other task queues

`make bench-peers`: the same server, the same no-op task with one argument, one worker (as many processes and threads \
as the configuration below says), each peer in the fastest configuration its documentation names.

- *One call*, *bulk call*: tasks sent a second, each by a call of its own, or in calls of 1,000. `emit` is a call for \
one task that returns before the server has it: it stands beside the bulk calls.
- *p99 at 1,000/s*: from when a task was due to its handler. Whose tasks wait ever longer can't hold the rate.
- *Drain*: queues are filled while no worker runs; counted is the middle of the way from full to empty.
- *Memory*: of all processes of a worker that has drained its queue.
- *Queued task*: the server's memory for each.
- The last columns: 2,000 tasks of 2 ms, one SIGKILL of all processes of the worker in the middle, a new worker, \
defaults otherwise. *Lost* was not executed when nothing more came, *after* is when the last one ended.
"""

WORKERS = """Workers of one process and of one for each of two cores, after the drain. Processes share pages: after a \
fork, and of the files that they map. `rss` counts a shared page in every process, `pss` in parts, one for every \
process of the machine that has it, `uss` not at all; `alone`, the *memory* above, counts it once: what the worker \
would need if nothing else ran. *Processes* includes those that only look after others.
"""


def graphs(run: Run) -> dict[str, str]:
    """Of the main run: file name → SVG."""
    throughput, steps = run["throughput"], run["ladder"]["steps"]
    rows = [
        ("ttp, native", throughput["native"]["rate"], True),
        ("ttp, pure Python", throughput["pure"]["rate"], True),
        ("redis-py, LPUSH/BRPOP, threads", throughput["baseline"]["rate"], False),
    ]
    scaled = run["scaling"]
    return {
        "throughput.svg": charts.bars("Tasks a second, end to end", "no-op tasks, one worker process", rows, show_rate),
        "latency.svg": charts.lines(
            "Latency at held rates",
            "from when a task was due to its handler, ms; load ladder",
            [(q, [(row["rate"], row[q]) for row in steps]) for q in ("p50", "p99", "p99.9", "max")],
            ("tasks/s", "ms"),
        ),
        "scaling.svg": charts.bars(
            "Two and four processes against one",
            "how many times the rate of one",
            [
                (f"{n} {what}", scaled[kind]["ratios"][n], kind == "waiting")
                for kind, what in (
                    ("waiting", "workers that wait"),
                    ("computing", "workers that compute"),
                    ("producing", "producers"),
                )
                for n in ("2", "4")
            ],
            lambda ratio: f"{ratio:.2f} ×",
        ),
        "payloads.svg": charts.lines(
            "Payloads",
            "one bytes argument, end to end",
            [
                ("tasks/s", [(row["bytes"], row["rate"]) for row in run["workloads"]["payloads"]]),
                ("KB/s", [(row["bytes"], row["mb_per_second"] * 1e3) for row in run["workloads"]["payloads"]]),
            ],
            ("bytes", "a second"),
        ),
        "stages.svg": charts.bars(
            "Where a task's time goes",
            "CPU nanoseconds per task, by stage",
            [(stage, ns, stage != "call") for stage, ns in run["stages"]["by_stage"].items()],
            lambda ns: f"{ns:.0f} ns",
        ),
    }


def peer_graphs(peers: Run) -> dict[str, str]:
    """Of the run beside others."""
    ran = [peer for peer in peers["peers"] if "error" not in peer]
    fastest = sorted(ran, key=lambda peer: -peer["drain"])
    leanest = sorted(ran, key=lambda peer: peer["memory"])
    return {
        "peers.svg": charts.bars(
            "Tasks a second that one worker drains",
            "the same no-op task on the same server",
            [(peer["name"], peer["drain"], peer["name"].startswith("ttp")) for peer in fastest],
            show_rate,
        ),
        "memory.svg": charts.bars(
            "Memory of a worker, all processes",
            "after the drain",
            [(peer["name"], peer["memory"], peer["name"].startswith("ttp")) for peer in leanest],
            lambda mb: f"{mb:.0f} MB",
        ),
    }


PICTURES = {
    "Targets": "throughput.svg",
    "Load ladder": "latency.svg",
    "Processes side by side": "scaling.svg",
    "Payloads": "payloads.svg",
    "Where a task's time goes": "stages.svg",
}


def page(run: Run, peers: Run | None, elsewhere: Sequence[Run] = ()) -> str:
    """docs/benchmarks.md."""
    length = "make bench-full" if run["full"] else "make bench"
    parts = [INTRODUCTION, f"`{length}`, {run['seconds']} s: {environment.one_line(run['environment'])}.\n"]
    for title, text, render in SECTIONS:
        if not (shown := render(run)):
            continue
        parts += [f"## {title}\n", f"{text}\n", f"{shown}\n"]
        if title == "Targets" and (why := limits.limits(run)):
            parts.append(f"What to measure those by that are not held:\n\n{why}\n")
        if title == "Targets" and elsewhere:
            parts += [ELSEWHERE, _machines([run, *elsewhere]), f"{tables.side_by_side([run, *elsewhere])}\n"]
        if picture := PICTURES.get(title):
            parts.append(f"![{title}](images/benchmarks/{picture})\n")
        if title == "Where a task's time goes":
            parts.append(_processes(run["stages"]))
    if kept := hot_spots.load():
        parts += [HOT_SPOTS, *[spot.section() for spot in kept]]
    if peers is not None:
        parts += [PEERS, f"{environment.one_line(peers['environment'])}.\n", f"{peer_tables.peers(peers)}\n"]
        parts += [f"{peer_tables.targets(peers)}\n", *filter(None, [limits.beside_celery(run, peers)])]
        parts += [f"![{name}](images/benchmarks/{name})\n" for name in peer_graphs(peers)]
        if any("workers" in peer for peer in peers["peers"]):
            parts += [WORKERS, f"{peer_tables.workers(peers)}\n"]
        parts += ["Configurations:\n", _configurations(peers)]
    return "\n".join(parts)


def _machines(runs: Sequence[Run]) -> str:
    return "\n".join(f"{n}. {environment.one_line(run['environment'])}" for n, run in enumerate(runs, 1)) + "\n"


def _processes(stages: dict[str, Any]) -> str:
    used = stages["by_process"]
    return (
        f"Side by side, the whole takes {used['producer']:.0f} ns of CPU time per task in the producer,"
        f" {used['server']:.0f} ns in the server and {used['worker']:.0f} ns in the worker,"
        f" and a task every {used['elapsed']:.0f} ns passes.\n"
    )


def _configurations(peers: Run) -> str:
    lines = [
        f"- {peer['name']} ({_versions(peer)}): {peer['configuration']}"
        for peer in peers["peers"]
        if "error" not in peer
    ]
    return "\n".join(lines) + "\n"


def _versions(peer: Run) -> str:
    return ", ".join([*(f"{name} {version}" for name, version in peer["packages"].items()), f"Python {peer['python']}"])


def readme(text: str, run: Run) -> str:
    """The README with the numbers between its marks."""
    numbers = (
        f"{MARKS[0]}\n\n{tables.headline(run)}\n\n![Tasks a second](docs/images/benchmarks/throughput.svg)\n\n"
        f"Measured on {environment.one_line(run['environment'])}; "
        f"[all benchmarks](docs/benchmarks.md), [why native, and when not](docs/why-native.md).\n\n{MARKS[1]}"
    )
    pattern = f"{re.escape(MARKS[0])}.*{re.escape(MARKS[1])}"
    if not re.search(pattern, text, re.DOTALL):
        raise ValueError(f"README.md lacks the lines {MARKS[0]} and {MARKS[1]}, between which the numbers stand")
    return re.sub(pattern, lambda _: numbers, text, flags=re.DOTALL)


def load() -> tuple[Run, Run | None, list[Run]]:
    """The published runs: of this machine, beside other queues (there may be none), of other machines."""
    bench, peers = (PUBLISHED / f"{kind}.json" for kind in KINDS)
    elsewhere = [json.loads(path.read_text()) for path in sorted(PUBLISHED.glob("bench-*.json"))]
    return json.loads(bench.read_text()), json.loads(peers.read_text()) if peers.exists() else None, elsewhere


def render() -> dict[Path, str]:
    """Every file that is made of the published runs, by its path in the repository."""
    run, peers, elsewhere = load()
    pictures = graphs(run) | (peer_graphs(peers) if peers is not None else {})
    files = {IMAGES / name: text for name, text in pictures.items()}
    files[PAGE] = page(run, peers, elsewhere)
    files[README] = readme((ROOT / README).read_text(), run)
    return files


def publish() -> None:
    """Take the newest run of each kind."""
    PUBLISHED.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        if runs := sorted(environment.RESULTS.glob(f"{kind}-*.json")):
            shutil.copyfile(runs[-1], PUBLISHED / f"{kind}.json")
            print(f"published {runs[-1].name}")


def main() -> None:
    """Render, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--publish", action="store_true", help="first take the newest runs in benchmarks/results")
    if parser.parse_args().publish:
        publish()
    for path, text in render().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text)
        print(path)


if __name__ == "__main__":
    main()
