"""`ttp why`: what it tells of real tasks."""

import json
import subprocess
import sys
from typing import Any

import ttp
from real_server import Server
from ttp import testing


def why(server: Server, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "ttp", "why", *arguments, "--url", server.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.returncode, done.stdout, done.stderr


def test_each_attempt_is_told(server: Server) -> None:
    with ttp.App("plant", server.url, retry=ttp.RetryPolicy(max_attempts=2, base_delay=0.01)) as app:

        @app.task
        def fails(secret: str) -> None:
            raise ValueError(secret)

        @app.task
        def idle() -> None: ...

        task_id = fails.submit("SECRET").id
        testing.drain(app)
        status, text, _ = why(server, task_id, "--json")
        (known,) = json.loads(text)["known"]
        assert (status, known["app"], known["status"]) == (0, "plant", "failed")
        attempts: list[dict[str, Any]] = known["attempts"]
        assert [(one["attempt"], one["outcome"]) for one in attempts] == [(1, "retried"), (2, "dead")]
        for one in attempts:
            times = [one[f"{stage}_ms"] for stage in ("read", "started", "finished", "committed")]
            assert times == sorted(times), "by one clock; that of the producer may differ by some ms"
            assert abs(one["submitted_ms"] - times[0]) < 60_000
            assert one["task"].endswith("fails")
            assert one["worker"]
        assert "SECRET" not in text
        status, text, _ = why(server, task_id)
        assert status == 0
        assert [line.split()[1] for line in text.splitlines() if "outcome" in line] == ["retried", "dead"]
        waiting = idle.submit().id
        assert "no attempt of it was recorded" in why(server, waiting)[1]


def test_unknown_and_impossible_ids(server: Server) -> None:
    status, _, said = why(server, "default.0.0000000000000001.0")
    assert (status, "nothing is known of task" in said) == (1, True)
    for hostile in ("<script>", "x" * 100_000, "a\x1b[31m.0.1"):
        status, _, said = why(server, hostile)
        assert status == 2
        assert "not a task id" in said
        assert "\x1b" not in said
    done = subprocess.run(
        [sys.executable, "-m", "ttp", "why", "default.0.0000000000000001.0", "--url", "unix:///nowhere"],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
