"""`ttp replay`: recorded files through the server into a database."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ttp.cli.live import stop_on_interrupt
from ttp.cli.output import EXIT_INTERRUPTED, Json, Url, complain, print_json, usage
from ttp.telemetry.delivery import Delivery
from ttp.telemetry.replay import open_files, parse_speed
from ttp.telemetry.replay import replay as run
from ttp.telemetry.sinks import open_sink
from ttp.telemetry.sources.record_file import BadRow

MAX_SHOWN = 20  # bad rows that are printed


def replay(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", exists=True, dir_okay=False, help="CSV or JSON Lines.")
    ],
    to: Annotated[
        str,
        typer.Option(metavar="TARGET", help="Where to store them: sqlite:PATH, postgres:URL or parquet:DIR."),
    ],
    speed: Annotated[str, typer.Option(help="full, original, or how many times faster than recorded.")] = "full",
    device: Annotated[
        str | None, typer.Option(help="Device of the events of a single file; default: the file's stem.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if a row does not parse.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Send the events of files, and store each once; ends when all is stored.

    The worker runs inside the command. Rows that do not parse are counted and reported, the rest goes on.
    """
    bad: list[BadRow] = []

    def report(row: BadRow) -> None:
        bad.append(row)
        if len(bad) <= MAX_SHOWN:
            complain(str(row))
        elif len(bad) == MAX_SHOWN + 1:
            complain("more bad rows follow; they are counted")

    try:
        pace = parse_speed(speed)
        recorded = open_files(files, device=device, on_bad=report)
    except (ValueError, OSError) as error:
        usage(str(error))
    sink = open_sink(to)

    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("stored"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        lines = bar.add_task("stored", total=sum(file.count_lines() for file in recorded))
        delivery = Delivery(sink, url, on_stored=lambda: bar.update(lines, completed=sink.events))
        with stop_on_interrupt(delivery.stopping):
            summary = run(recorded, delivery, speed=pace)
    result: dict[str, Any] = {
        "files": len(recorded),
        "sent": summary.sent,
        "stored": summary.stored,
        "rows": summary.rows,
        "already_there": summary.repeated,
        "bad_rows": len(bad),
        "left": summary.left,
        "dead": len(summary.dead),
        "seconds": round(summary.seconds, 3),
        "database": sink.location,
    }
    if as_json:
        print_json(result)
    else:
        typer.echo(
            f"sent {summary.sent:,} events, stored {summary.stored:,} as {summary.rows:,} rows in {sink.location}"
            f" ({summary.seconds:.1f} s, {summary.sent / summary.seconds:,.0f} events/s)"
        )
        if summary.repeated:
            typer.echo(f"{summary.repeated:,} rows were there already: same device, epoch, sequence and field")
    if bad:
        complain(f"{len(bad):,} rows did not parse")
    if summary.dead:
        complain(f"{len(summary.dead):,} events could not be stored, the first because of {summary.dead[0]}")
        complain(f"see `ttp dead show --app telemetry --queue {delivery.queue}`")
    if delivery.stopping.is_set() or summary.left:
        complain("interrupted: the same command sends all once more, and stores what is not there yet")
        raise typer.Exit(EXIT_INTERRUPTED)
    if summary.dead or (bad and strict):
        raise typer.Exit(1)
