"""`ttp doctor`: is everything in order?"""

import os
import platform
from dataclasses import asdict
from typing import Annotated, Any

import typer

import ttp
from ttp.cli import server
from ttp.cli.output import Json, Url, print_json, printable
from ttp.coordination import discovery
from ttp.coordination.examination import Visitor, examine
from ttp.coordination.keys import Keys
from ttp.coordination.levels import Durability
from ttp.errors import ServerRefused
from ttp.native import BACKEND
from ttp.observability.doctor import Finding, examine_fleet, examine_server

EXIT_MEND = 1

Wanted = Annotated[Durability, typer.Option("--durability", help="What accepted tasks must survive.")]
AppName = Annotated[str, typer.Option("--app", help="App whose keys are tried where no queue can be found.")]


def doctor(url: Url = None, as_json: Json = False, durability: Wanted = "everysec", app_name: AppName = "app") -> None:
    """Examine server, queues and workers, and say what to do.

    Exits with 1 if something must be mended, 3 if there is no server.
    """
    visitor = server.visit(url)
    try:
        report, findings = _examine(visitor, durability, app_name)
    finally:
        visitor.close()
    report["server"]["embedded"] = not (url or os.environ.get("TTP_URL"))
    report["findings"] = [asdict(finding) for finding in findings]
    if as_json:
        print_json(report)
    else:
        _show(report, findings)
    if any(finding.verdict == "mend" for finding in findings):
        raise typer.Exit(EXIT_MEND)


def _examine(visitor: Visitor, wanted: Durability, app_name: str) -> tuple[dict[str, Any], list[Finding]]:
    unseen: list[Finding] = []
    queues: list[Keys] = []
    states: list[dict[str, Any]] = []
    workers: list[discovery.WorkerSeen] = []
    try:
        queues = discovery.find_queues(visitor)
        states = [server.queue_report(visitor, keys) for keys in queues]
        workers = discovery.workers(visitor, queues)
    except ServerRefused as error:
        unseen = [Finding("queues", "note", f"cannot be seen: {error}", "Permit it, or run this as another user.")]
    facts = examine(visitor, queues or [Keys(app_name, "default")])
    fleet = [(f"{state['app']}/{state['queue']}", state["tasks"], state["dead_frames"]) for state in states]
    report = {
        "ttp": ttp.__version__,
        "python": platform.python_version(),
        "core": BACKEND,
        "server": {"name": visitor.server, "url": str(visitor.target)},
        "durability": server.durability(facts.durability),
        "queues": states,
        "workers": [
            {
                "name": w.name,
                "queue": f"{w.keys.app}/{w.keys.queue}",
                "beats": w.beats,
                "connected": w.connected,
                "report": w.report,
            }
            for w in workers
        ],
    }
    return report, [*examine_server(facts, wanted), *unseen, *examine_fleet(fleet, workers)]


_SIGNS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "mend": ("MEND", "bold red")}


def _show(report: dict[str, Any], findings: list[Finding]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    about = report["server"]
    core = {"native": "native core", "python": "pure Python, which is slow: install the native core"}[report["core"]]
    facts = Table.grid(padding=(0, 2))
    facts.add_row("", "ttp", f"{report['ttp']}, {core}, Python {report['python']}")
    facts.add_row("", "server", Text(f"{about['url']}{' (embedded)' if about['embedded'] else ''}"))
    for finding in findings:
        sign, style = _SIGNS[finding.verdict]
        facts.add_row(Text(sign, style), Text(printable(finding.name)), Text(printable(finding.found)))
        if finding.advice:
            facts.add_row("", "", Text(f"→ {printable(finding.advice)}", "italic"))
    console.print(facts)
    offered = [name for name, answer in report["durability"]["offers"].items() if answer == "yes"]
    console.print(Text(f"App(durability=…) can be {', '.join(offered)} here"))
    if not report["queues"]:
        console.print("no queues yet")
        return
    queues = Table("app", "queue", "tasks", "bytes", "waiting", "delayed frames", "accepted", "done", "dead frames")
    for queue in report["queues"]:
        names = ("tasks", "bytes", "waiting", "delayed_frames", "accepted", "done", "dead_frames")
        queues.add_row(queue["app"], queue["queue"], *(f"{queue[name]:,}" for name in names))
    console.print(queues)
    if not report["workers"]:
        console.print("no workers")
        return
    table = Table("worker", "queue", "beats", "connected", "version")
    for worker in report["workers"]:
        connected = {True: "yes", False: "no", None: "unknown"}[worker["connected"]]
        version = printable(str(worker["report"].get("version", "?")))
        table.add_row(Text(printable(worker["name"])), worker["queue"], f"{worker['beats']:,}", connected, version)
    console.print(table)
