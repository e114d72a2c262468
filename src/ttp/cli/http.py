"""The option `--http`, and what it does where no handlers run."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Annotated

import typer

from ttp.app import App
from ttp.cli.output import usage

Http = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Serve /livez, /readyz and /metrics there (extra [metrics])."),
]


@contextmanager
def endpoints(app: App, address: str | None, queues: Sequence[str]) -> Iterator[None]:
    """Serve the health and metrics of an app that sends to these queues; None: do not."""
    if address is None:
        yield
        return
    from ttp.observability.sender import SenderEndpoints  # noqa: PLC0415 - needs an extra

    try:
        serving = SenderEndpoints(app, address, queues=queues)
    except ValueError as error:
        usage(str(error))
    with closing(serving):
        yield
