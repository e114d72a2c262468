"""`ttp worker`: run an app's handlers."""

import json
import os
import sys
from typing import Annotated, Literal

import typer

from ttp.cli.http import Http
from ttp.cli.output import Url


def worker(
    target: Annotated[str, typer.Argument(metavar="MODULE:APP", help="Where the app is, as in plant.tasks:app.")],
    threads: Annotated[int, typer.Option(min=1, help="Threads for handlers that wait.")] = 1,
    processes: Annotated[int, typer.Option(min=1, help="Independent worker processes.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, help="Async handlers at a time, per process.")] = 100,
    queues: Annotated[str, typer.Option(help="Queues to serve, comma-separated; default: all of the app's.")] = "",
    url: Url = None,
    grace: Annotated[float, typer.Option(min=0.0, help="Seconds that running handlers get when stopped.")] = 25.0,
    burst: Annotated[bool, typer.Option("--burst", help="End when nothing is left to do.")] = False,
    http: Http = None,
    log_format: Annotated[Literal["console", "json"], typer.Option(help="Lines of text, or JSON objects.")] = "console",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Run an app's handlers until stopped (Ctrl-C; twice to end at once).

    Exits with 0 when stopped, 2 if the app cannot be imported, 3 if the server refuses.
    """
    options = {
        "target": target,
        "threads": threads,
        "processes": processes,
        "concurrency": concurrency,
        "queues": [name.strip() for name in queues.split(",") if name.strip()] or None,
        "url": url,
        "grace": grace,
        "burst": burst,
        "http": http,
        "log_format": log_format,
        "verbose": verbose,
    }
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "ttp.serve", json.dumps(options)])  # noqa: S606 - ourselves
