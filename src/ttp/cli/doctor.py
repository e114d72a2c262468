"""`ttp doctor`: is everything in order?"""

import os
import platform
from typing import Any

import ttp
from ttp.cli import server
from ttp.cli.output import Json, Url, print_json
from ttp.native import BACKEND


def doctor(url: Url = None, as_json: Json = False) -> None:
    """Show the server, the durability in force, queues and workers, and whether the native core is in use."""
    connection = server.connect(url)
    try:
        queues = server.find_queues(connection)
        workers = server.workers(connection, queues)
        report: dict[str, Any] = {
            "ttp": ttp.__version__,
            "python": platform.python_version(),
            "core": BACKEND,
            "server": {
                "name": connection.server,
                "url": str(connection.target),
                "embedded": not (url or os.environ.get("TTP_URL")),
            },
            "durability": server.durability(connection),
            "queues": [server.queue_report(connection, keys) for keys in queues],
            "workers": [
                {"name": w.name, "queue": w.queue, "beats": w.beats, "connected": w.connected} for w in workers
            ],
        }
    finally:
        connection.close()
    if as_json:
        print_json(report)
    else:
        _show(report)


_LEVELS = {
    "memory": "accepted tasks are gone when the server ends (appendonly no)",
    "everysec": "a power cut costs at most the last two seconds",
    "fsync": "on disk before it is accepted",
    "unknown": "the server does not tell its settings",
}


def _show(report: dict[str, Any]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console()
    about, durability = report["server"], report["durability"]
    level = durability["level"]
    core = {"native": "native (C++)", "python": "pure Python: slow; build the native core"}[report["core"]]
    facts = Table.grid(padding=(0, 2))
    facts.add_row("ttp", f"{report['ttp']}, Python {report['python']}")
    facts.add_row("core", core)
    facts.add_row("server", f"{about['name']} at {about['url']}{' (embedded)' if about['embedded'] else ''}")
    facts.add_row("durability", f"{level}: {_LEVELS[level]}; {durability['replicas'] or 0} replicas")
    offered = [name for name, answer in durability["offers"].items() if answer == "yes"]
    facts.add_row("", f"App(durability=…) can be {', '.join(offered)}")
    for name, why in durability["offers"].items():
        if why != "yes":
            facts.add_row("", f"not {name}: {why}")
    console.print(facts)
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
    table = Table("worker", "queue", "beats", "connected")
    for worker in report["workers"]:
        connected = {True: "yes", False: "no", None: "unknown"}[worker["connected"]]
        table.add_row(worker["name"], worker["queue"], f"{worker['beats']:,}", connected)
    console.print(table)
