"""Dead letters as the status page shows them: bounded, and without what a terminal or a page might obey."""

import json
from collections.abc import Iterable
from itertools import islice
from typing import Any

from ttp.coordination.connection import Connection
from ttp.coordination.keys import Keys
from ttp.coordination.signing import SigningKeys
from ttp.dead_letters import DeadLetter, dead_letters
from ttp.task import TaskId

MOST_SEARCHED = 100_000  # letters that are gone through for one id
MOST_TEXT = 64 * 1024  # characters of a payload or a traceback
MOST_LINE = 300  # characters in a list


class NoLetter(LookupError):
    """There is no dead letter of this id."""


def listed(connection: Connection, queues: Iterable[Keys], limit: int) -> dict[str, Any]:
    """The oldest letters, and whether there are more."""
    letters = ((keys, letter) for keys in queues for letter in dead_letters(keys, lambda say: connection.call(*say)))
    shown = [_line(keys, letter) for keys, letter in islice(letters, limit)]
    return {"letters": shown, "more": next(letters, None) is not None}


def find(connection: Connection, app: str, task_id: str) -> DeadLetter:
    """The letter of a task.

    Raises:
        NoLetter: there is none, or the id is none.
    """
    try:
        task = TaskId.parse(task_id)
        keys = Keys(app, task.queue, task.partition, SigningKeys.from_environment())
    except ValueError as error:
        raise NoLetter(str(error)) from None
    for letter in islice(dead_letters(keys, lambda say: connection.call(*say)), MOST_SEARCHED):
        if letter.id == task_id:
            return letter
    raise NoLetter(f"no dead letter {task_id} in app {app}: it was retried or dropped, or never was")


def described(letter: DeadLetter) -> dict[str, Any]:
    """A letter in full, each text up to `MOST_TEXT`."""
    try:
        payload = json.dumps(letter.args, indent=2, ensure_ascii=False, default=repr)
    except (TypeError, ValueError, RecursionError):
        payload = repr(letter.args)
    return {
        "id": letter.id,
        "payload": clipped(payload, MOST_TEXT),
        "reason": clipped(letter.reason, MOST_TEXT),
        "traceback": clipped(letter.traceback, MOST_TEXT),
    }


def clipped(text: str, most: int) -> str:
    """The text, printable, with what is cut off counted."""
    more = len(text) - most
    shown = "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text[:most])
    return f"{shown} … and {more:,} characters more" if more > 0 else shown


def _line(keys: Keys, letter: DeadLetter) -> dict[str, Any]:
    return {
        "app": keys.app,
        "queue": keys.queue,
        "id": letter.id,
        "task": clipped(letter.task, MOST_LINE),
        "reason": clipped(letter.reason, MOST_LINE),
        "dead_at": letter.dead_at,
    }
