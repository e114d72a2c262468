"""`ttp worker`: run an app's handlers."""

import importlib
import logging
import os
import sys
import traceback
from typing import Annotated

import typer

from ttp.app import App
from ttp.errors import ServerRefused
from ttp.worker import WorkerPool

EXIT_IMPORT = 2
EXIT_REFUSED = 3


def worker(
    target: Annotated[str, typer.Argument(metavar="MODULE:APP", help="Where the app is, as in plant.tasks:app.")],
    threads: Annotated[int, typer.Option(min=1, help="Threads for handlers that wait.")] = 1,
    processes: Annotated[int, typer.Option(min=1, help="Independent worker processes.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, help="Async handlers at a time, per process.")] = 100,
    queues: Annotated[str, typer.Option(help="Queues to serve, comma-separated; default: all of the app's.")] = "",
    url: Annotated[str, typer.Option(help="Server; default: the app's own, $TTP_URL, or the embedded one.")] = "",
    grace: Annotated[float, typer.Option(min=0.0, help="Seconds that running handlers get when stopped.")] = 25.0,
    burst: Annotated[bool, typer.Option("--burst", help="End when nothing is left to do.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Run an app's handlers until stopped (Ctrl-C; twice to end at once)."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s [%(process)d] %(message)s",
        stream=sys.stderr,
    )
    if url:
        os.environ["TTP_URL"] = url
    app = load_app(target)
    if url:
        app.url = url
    pool = WorkerPool(
        app,
        queues=[name.strip() for name in queues.split(",") if name.strip()] or None,
        threads=threads,
        processes=processes,
        concurrency=concurrency,
        grace=grace,
    )
    try:
        pool.run(burst=burst)
    except ServerRefused as error:
        typer.echo(f"ttp worker: {error}", err=True)
        raise typer.Exit(EXIT_REFUSED) from None
    finally:
        app.close()


def load_app(target: str) -> App:
    """Import `module:app`, from the working directory too. Says what is wrong and exits 2 if that fails."""
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        typer.echo(f"{target!r} is not MODULE:APP (for example plant.tasks:app)", err=True)
        raise typer.Exit(EXIT_IMPORT)
    if (here := os.getcwd()) not in sys.path:  # noqa: PTH109 - sys.path holds strings
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception:  # noqa: BLE001 - the user's own code may raise anything
        typer.echo(traceback.format_exc(), err=True)
        typer.echo(f"ttp worker: cannot import {module_name!r}", err=True)
        raise typer.Exit(EXIT_IMPORT) from None
    app = getattr(module, attribute, None)
    if not isinstance(app, App):
        typer.echo(f"ttp worker: {module_name} has no App named {attribute!r}", err=True)
        raise typer.Exit(EXIT_IMPORT)
    return app
