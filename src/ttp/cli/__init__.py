"""The command `ttp`."""

import sys

import typer

from ttp.cli import dead, ingest
from ttp.cli.chaos import chaos
from ttp.cli.demo import demo
from ttp.cli.doctor import doctor
from ttp.cli.output import complain
from ttp.cli.replay import replay
from ttp.cli.simulate import simulate
from ttp.cli.ui import ui
from ttp.cli.why import why
from ttp.cli.worker import worker
from ttp.errors import ServerUnavailable, TtpError

EXIT_FAILED = 1
EXIT_UNAVAILABLE = 3


def build() -> typer.Typer:
    """The command line."""
    app = typer.Typer(
        name="ttp",
        help="Telemetry events and tasks through Redis or Valkey.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command()(demo)
    app.command()(worker)
    app.command()(simulate)
    app.command()(replay)
    app.add_typer(ingest.app, name="ingest")
    app.add_typer(dead.app, name="dead")
    app.command()(why)
    app.command()(doctor)
    app.command()(chaos)
    app.command()(ui)
    return app


def main() -> None:
    """Run the command line: the library's own errors end in plain words, not in a traceback.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no server, or one that refuses.
    """
    try:
        build()()
    except ServerUnavailable as error:
        complain(str(error))
        sys.exit(EXIT_UNAVAILABLE)
    except TtpError as error:
        complain(str(error))
        sys.exit(EXIT_FAILED)
