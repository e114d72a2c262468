"""What `ttp worker` becomes once its command line is read: `python -m ttp.serve OPTIONS`, options as JSON.

A process of its own kind, so that the command line's libraries (some 20 MB) are not in every worker.

Exit codes: 0 stopped, 2 the app cannot be imported, 3 the server refuses.
"""

import contextlib
import gc
import importlib
import json
import logging
import os
import sys
import traceback
from types import ModuleType
from typing import Any, NoReturn

from ttp.app import App
from ttp.errors import ServerRefused
from ttp.observability import logs
from ttp.observability.logs import LogFormat
from ttp.worker.pool import WorkerPool
from ttp.worker.scoreboard import Scoreboard

EXIT_IMPORT = 2
EXIT_REFUSED = 3


def main(
    target: str,
    *,
    url: str | None,
    verbose: bool,
    burst: bool,
    http: str | None,
    log_format: LogFormat,
    **options: Any,
) -> None:
    """Run the app's handlers; options are those of `WorkerPool`.

    Args:
        http: where to serve health and metrics; None: nowhere.
    """
    logs.set_up(log_format, logging.DEBUG if verbose else logging.INFO, sys.stderr)
    app = load_app(target)
    app.url = url or app.url
    # What is imported by now stays: the collector need not look through it again and again while tasks wait.
    gc.collect()
    gc.freeze()
    try:
        with contextlib.ExitStack() as stack:
            if http is not None:
                options["scoreboard"] = stack.enter_context(_exporter(app, http, options, log_format))
            WorkerPool(app, **options).run(burst=burst)
    except ServerRefused as error:
        sys.stderr.write(f"ttp worker: {error}\n")
        sys.exit(EXIT_REFUSED)
    except ValueError as error:
        _refuse(str(error))
    finally:
        app.close()


def _exporter(
    app: App, address: str, options: dict[str, Any], log_format: LogFormat
) -> contextlib.AbstractContextManager[Scoreboard]:
    from ttp.observability.sidecar import exporter  # noqa: PLC0415 - not before needed

    return exporter(app, address, queues=options["queues"], processes=options["processes"], log_format=log_format)


def load_app(target: str) -> App:
    """Import `module:app`, and what it names, from the working directory too; says what is wrong, and exits with 2."""
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        _refuse(f"{target!r} is not MODULE:APP (for example plant.tasks:app)")
    if (here := os.getcwd()) not in sys.path:  # noqa: PTH109 - sys.path holds strings
        sys.path.insert(0, here)
    module = _import(module_name)
    app = getattr(module, attribute, None)
    if not isinstance(app, App):
        _refuse(f"{module_name} has no App named {attribute!r}")
    for name in app.imports:
        _import(name)
    return app


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception:
        traceback.print_exc()
        _refuse(f"cannot import {name!r}")


def _refuse(why: str) -> NoReturn:
    sys.stderr.write(f"ttp worker: {why}\n")
    sys.exit(EXIT_IMPORT)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
