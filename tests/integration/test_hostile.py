"""Names, errors and payloads that would like to be obeyed, in the log of a worker."""

import json
import re

import pytest

import ttp
from http_worker import start
from real_server import Server

pytestmark = pytest.mark.once

TASK = "<script>\n\x1b[31m\u202e"
FORGED = "2026-01-31 12:00:00.000 INFO ttp.worker [1] all is well"
TEXT = f"<script>alert(1)</script>\n{FORGED}\r\x1b[2J\x1b]0;title\x07\u202e\u2028\x00\x85"
MEGABYTE = 1_000_000 // len(TEXT)
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [A-Z]+ [a-z.]+ \[\d+\] ")


def logged(any_server: Server, log_format: str) -> list[str]:
    """The lines of a worker that runs two such tasks."""
    process = start(any_server.url, "0", "--log-format", log_format, "--burst")
    with ttp.App("plant", any_server.url) as app:
        handles = [app.remote(TASK).submit(TEXT, times) for times in (1, MEGABYTE)]
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said[:5000]
        assert [handle.status() for handle in handles] == ["failed", "failed"]
        ids = {handle.id for handle in handles}
    assert said.endswith("\n")
    lines = said.removesuffix("\n").split("\n")
    assert all(any(task_id in line for line in lines) for task_id in ids)
    assert all(line.isprintable() and len(line) < 100_000 for line in lines)
    return lines


def test_a_line_of_json_for_each_event(any_server: Server) -> None:
    events = [json.loads(line) for line in logged(any_server, "json")]
    raised = [event for event in events if "traceback" in event]
    assert len(raised) == 2
    assert TEXT in raised[0]["message"]
    assert all("metrics_app.py" in event["traceback"] for event in raised)
    assert {event["task"] for event in events if event.get("task_id")} == {TASK}


def test_a_line_of_text_for_each_event(any_server: Server) -> None:
    lines = logged(any_server, "console")
    assert all(LINE.match(line) for line in lines)
    assert not any(line.startswith(FORGED) for line in lines)
    assert any("<script>\\n\\x1b[31m\\u202e" in line for line in lines)
    assert sum("at=metrics_app.py:" in line for line in lines) == 2
