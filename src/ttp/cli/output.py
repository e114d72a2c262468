"""What the commands have in common: options, and words to the user."""

import json
import math
import os
import sys
from typing import Annotated, Any, NoReturn

import typer

from ttp.coordination.keys import check_name
from ttp.coordination.url import Target

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


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


def _checked_name(parameter: typer.CallbackParam, name: str) -> str:
    try:
        return check_name(str(parameter.name).removesuffix("_name"), name)
    except ValueError as error:
        raise typer.BadParameter(f"{error}") from None


AppName = Annotated[str, typer.Option("--app", callback=_checked_name, help="App to which the events are sent.")]
QueueName = Annotated[str, typer.Option("--queue", callback=_checked_name, help="Queue to which they are sent.")]
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
    json.dump(_plain(value), sys.stdout, indent=2, ensure_ascii=False, default=str, allow_nan=False)
    sys.stdout.write("\n")


def _plain(value: Any) -> Any:
    """The value, with what JSON does not have as text: NaN, infinities, keys of bytes and the like."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def printable(text: str) -> str:
    """Without control characters: names and reasons come from anywhere."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
