"""What the commands have in common: options, and words to the user."""

import json
import os
import sys
from typing import Annotated, Any, NoReturn

import typer

from ttp.coordination.url import Target

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def _checked_url(url: str | None) -> str | None:
    if given := url or os.environ.get("TTP_URL"):
        try:
            Target.parse(given)
        except ValueError as error:
            raise typer.BadParameter(f"{error}") from None
    return url


Url = Annotated[
    str | None,
    typer.Option(
        callback=_checked_url,
        help="Server: redis://, rediss://, valkey:// or unix://; default: $TTP_URL, or the embedded one.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def complain(message: str) -> None:
    """Say what went wrong, on stderr."""
    typer.echo(f"ttp: {message}", err=True)


def usage(message: str) -> NoReturn:
    """Say what is wrong with the call, and exit with 2."""
    complain(message)
    raise typer.Exit(EXIT_USAGE)


def print_json(value: Any) -> None:
    """One JSON value on stdout, indented."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, default=str)
    sys.stdout.write("\n")


def printable(text: str) -> str:
    """Without control characters: names and reasons come from anywhere."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
