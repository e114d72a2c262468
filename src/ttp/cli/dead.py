"""`ttp dead`: look at dead letters, send them back, or drop them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any

import typer

from ttp.cli import server
from ttp.cli.output import Json, Url, complain, print_json, printable, usage
from ttp.coordination.discovery import find_queues
from ttp.dead_letters import DeadLetter, dead_letters
from ttp.errors import ServerUnavailable, TtpError

app = typer.Typer(help="Dead letters: tasks that failed for good.", no_args_is_help=True)

AppName = Annotated[str | None, typer.Option("--app", help="App; default: any.")]
Queue = Annotated[str | None, typer.Option(help="Queue; default: any.")]
Limit = Annotated[int, typer.Option(min=1, help="Most letters to show.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Task ids, as `ttp dead ls` shows them.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]


@app.command("ls")
def ls(
    app_name: AppName = None, queue: Queue = None, limit: Limit = 100, url: Url = None, as_json: Json = False
) -> None:
    """List dead letters, oldest first."""
    with _letters(url, app_name, queue) as letters:
        shown = [(name, letter) for name, letter in islice(letters, limit)]
        more = next(letters, None) is not None
    if as_json:
        print_json([_described(name, letter) for name, letter in shown])
    elif not shown:
        typer.echo("no dead letters")
    else:
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table("app", "id", "task", "died", "reason")
        for name, letter in shown:
            row = (name, letter.id or "(unreadable frame)", letter.task, _when(letter), letter.reason)
            table.add_row(*(Text(printable(cell), overflow="fold") for cell in row))
        Console().print(table)
    if more:
        complain(f"there are more: --limit shows more than {limit}")


@app.command("show")
def show(
    ids: Ids = None,
    app_name: AppName = None,
    queue: Queue = None,
    limit: Limit = 10,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show dead letters with arguments and traceback."""
    with _letters(url, app_name, queue) as letters:
        shown = list(_chosen(letters, ids)) if ids else list(islice(letters, limit))
    if as_json:
        print_json([_described(name, letter) for name, letter in shown])
        return
    for name, letter in shown:
        typer.echo(f"{letter.id or '(unreadable frame)'}  task {printable(letter.task)} of app {name}")
        typer.echo(f"  died       {_when(letter)}")
        typer.echo(f"  reason     {printable(letter.reason)}")
        typer.echo(f"  arguments  {letter.args!r}")
        for line in letter.traceback.splitlines():
            typer.echo(f"  {printable(line)}")


@app.command("retry")
def retry(ids: Ids = None, every: All = False, app_name: AppName = None, queue: Queue = None, url: Url = None) -> None:
    """Send dead letters back into their queues, as first attempts under the same ids."""
    _take(ids, every=every, app_name=app_name, queue=queue, url=url, revive=True)


@app.command("drop")
def drop(ids: Ids = None, every: All = False, app_name: AppName = None, queue: Queue = None, url: Url = None) -> None:
    """Delete dead letters for good."""
    _take(ids, every=every, app_name=app_name, queue=queue, url=url, revive=False)


def _take(
    ids: list[str] | None, *, every: bool, app_name: str | None, queue: str | None, url: str | None, revive: bool
) -> None:
    if bool(ids) == every:
        usage("give ids, or --all")
    taken = failed = 0
    with _letters(url, app_name, queue) as letters:
        # Read to the end first: what is retried may die again, and would come round.
        for _, letter in list(letters if every else _chosen(letters, ids or [])):
            try:
                letter.retry() if revive else letter.drop()
            except ServerUnavailable:
                raise
            except TtpError as error:
                complain(f"{letter.id}: {error}")
                failed += 1
            else:
                taken += 1
    typer.echo(f"{'retried' if revive else 'dropped'} {taken:,} dead letters")
    if failed:
        raise typer.Exit(1)


@contextmanager
def _letters(url: str | None, app_name: str | None, queue: str | None) -> Iterator[Iterator[tuple[str, DeadLetter]]]:
    """(app, letter) of all queues that fit, while the block runs."""
    connection = server.connect(url)
    try:
        queues = [
            keys for keys in find_queues(connection) if app_name in (None, keys.app) and queue in (None, keys.queue)
        ]
        yield (
            (keys.app, letter)
            for keys in queues
            for letter in dead_letters(keys, lambda command: connection.call(*command))
        )
    finally:
        connection.close()


def _chosen(letters: Iterator[tuple[str, DeadLetter]], ids: list[str]) -> Iterator[tuple[str, DeadLetter]]:
    """Those of these ids; exits with 1 if one is not dead."""
    missing = set(ids)
    chosen = []
    for name, letter in letters:
        if letter.id in missing:
            missing.discard(letter.id)
            chosen.append((name, letter))
        if not missing:
            break
    if missing:
        complain(f"no dead letter {', '.join(sorted(missing))}")
        raise typer.Exit(1)
    return iter(chosen)


def _described(name: str, letter: DeadLetter) -> dict[str, Any]:
    return {
        "app": name,
        "id": letter.id,
        "task": letter.task,
        "died": _when(letter),
        "reason": letter.reason,
        "args": list(letter.args),
        "traceback": letter.traceback,
    }


def _when(letter: DeadLetter) -> str:
    return datetime.fromtimestamp(letter.dead_at, UTC).isoformat(timespec="seconds")
