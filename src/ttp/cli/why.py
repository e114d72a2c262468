"""`ttp why`: what happened to a task."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ttp.app import App
from ttp.cli import server
from ttp.cli.output import Json, Url, complain, print_json, printable, usage
from ttp.coordination.discovery import find_queues
from ttp.task import TaskId
from ttp.worker.flight import Leg, legs_of

UNKNOWN = 1


def why(
    task_id: Annotated[str, typer.Argument(metavar="TASK_ID", help="As in default.0.9ddef765a4dd883b.0.")],
    app_name: Annotated[str | None, typer.Option("--app", help="App; default: any that knows it.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show the stages of a task, each attempt with its times, worker and outcome.

    Failed and slow tasks are recorded (over 1 s from submit to commit), and of the others one frame in 256; about the
    last 4,096 such frames of a queue are kept. Exits with 1 if nothing is known of the task.
    """
    try:
        wanted = TaskId.parse(task_id)
    except ValueError as error:
        usage(str(error))
    connection = server.connect(url)
    try:
        found = [
            {
                "app": keys.app,
                "status": _status(keys.app, url, task_id),
                "attempts": [_described(leg, wanted) for leg in legs],
            }
            for keys in find_queues(connection)
            if (keys.queue, keys.partition) == (wanted.queue, wanted.partition) and app_name in (None, keys.app)
            for legs in [legs_of(lambda command: connection.call(*command), keys, wanted.origin, wanted.index)]
        ]
    finally:
        connection.close()
    known = [one for one in found if one["attempts"] or one["status"] != "unknown"]
    if as_json:
        print_json({"id": task_id, "known": known})
    for one in [] if as_json else known:
        _show(task_id, one)
    if not known:
        complain(f"nothing is known of task {task_id}: wrong id, or a task that ended well and was not sampled")
        raise typer.Exit(UNKNOWN)


def _status(app: str, url: str | None, task_id: str) -> str:
    with App(app, url) as owner:
        return owner.handle(task_id).status()


def _described(leg: Leg, task: TaskId) -> dict[str, Any]:
    described = asdict(leg)
    del described["origin"], described["outcomes"]
    return {**described, "outcome": leg.outcome(task.index)}


def _show(task_id: str, one: dict[str, Any]) -> None:
    typer.echo(f"{task_id} of app {one['app']}: {one['status']}")
    if not one["attempts"]:
        typer.echo("  no attempt of it was recorded")
    for attempt in one["attempts"]:
        typer.echo(f"  attempt {attempt['attempt']} of {printable(attempt['task'])} on {printable(attempt['worker'])}")
        before = None
        for stage in ("submitted", "read", "started", "finished", "committed"):
            at = attempt[f"{stage}_ms"]
            later = "" if before is None else f"  {at - before:+,} ms"
            typer.echo(
                f"    {stage:<10} {datetime.fromtimestamp(at / 1000, UTC).isoformat(' ', 'milliseconds')}{later}"
            )
            before = at
        typer.echo(f"    outcome    {attempt['outcome']}")
