"""What a line of the log looks like, and what is held back."""

import io
import json
import logging
from typing import Any

import pytest

from ttp.observability.logs import LONGEST, PERIOD, REPEATS, TRACEBACK, Console, HoldBack, Json

HOSTILE = "<script>\n\x1b[31m\x00\u202e" + "x" * 1_000_000


class Log:
    """A logger of its own, and the lines it wrote."""

    def __init__(self, formatter: logging.Formatter, *filters: logging.Filter) -> None:
        self._text = io.StringIO()
        handler = logging.StreamHandler(self._text)
        handler.setFormatter(formatter)
        for one in filters:
            handler.addFilter(one)
        self.logger = logging.getLogger(f"ttp.test.{id(self)}")
        self.logger.propagate = False
        self.logger.addHandler(handler)

    @property
    def lines(self) -> list[str]:
        return self._text.getvalue().splitlines()


def test_json_is_one_object_a_line() -> None:
    log = Log(Json())
    log.logger.warning("task %s: %d dead", HOSTILE, 1, extra={"task_id": "q.0.f.1", "attempt": 2, "queue": "q"})
    try:
        raise ValueError("no\nway")
    except ValueError:
        log.logger.exception("failed")
    first, second = map(json.loads, log.lines)
    assert (first["task_id"], first["attempt"], first["queue"], first["level"]) == ("q.0.f.1", 2, "q", "warning")
    assert first["message"].startswith("task <script>\n\x1b[31m")
    assert len(first["message"]) < LONGEST + 50
    assert "ValueError: no\nway" in second["traceback"]
    assert "task_id" not in second


def test_a_console_line_obeys_nobody() -> None:
    log = Log(Console())
    log.logger.warning("task %s", HOSTILE, extra={"task": "a\nb", "worker": "w1"})
    (line,) = log.lines
    assert line.isprintable()
    assert "<script>\\n\\x1b[31m\\x00\\u202e" in line
    assert line.endswith("task=a\\nb  worker=w1")


class Unspeakable(Exception):
    """Cannot be said."""

    def __str__(self) -> str:
        raise RuntimeError("never")


@pytest.mark.parametrize("formatter", [Json(), Console()])
@pytest.mark.parametrize("error", [ValueError(HOSTILE), Unspeakable()])
def test_an_exception_is_in_its_events_line(formatter: logging.Formatter, error: Exception) -> None:
    log = Log(formatter)

    def deep(n: int) -> None:
        if not n:
            raise error
        deep(n - 1)

    try:
        deep(500)
    except (ValueError, Unspeakable):
        log.logger.exception("failed: %s", HOSTILE, extra={"task": HOSTILE, "worker": [HOSTILE]})
    (line,) = log.lines
    assert line.isprintable()
    assert len(line) < 5 * LONGEST + 2 * TRACEBACK
    assert type(error).__name__ in line
    assert "test_logs.py" in line


def test_repeats_are_held_back_and_counted() -> None:
    now = 0.0
    log = Log(Json(), HoldBack(lambda: now))
    for n in range(REPEATS + 7):
        log.logger.warning("no server: %s", n)
    log.logger.warning("another")
    now += PERIOD
    log.logger.warning("no server: %s", "again")
    said: list[dict[str, Any]] = [json.loads(line) for line in log.lines]
    assert [event["message"] for event in said] == [
        *(f"no server: {n}" for n in range(REPEATS)),
        "another",
        "no server: again",
    ]
    assert said[-1]["held_back"] == 7
    assert all("held_back" not in event for event in said[:-1])
