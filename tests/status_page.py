"""`ttp ui` as a process of its own, and requests to it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen


class StatusPage:
    """The page of a server; options are those of `ttp ui`.

    Attributes:
        url: without query. token: as printed, or None.
    """

    def __init__(self, server: str, *options: str) -> None:
        command = [sys.executable, "-m", "ttp", "ui", "--url", server, "--port", "0", *options]
        environment = {name: value for name, value in os.environ.items() if name != "TTP_UI_TOKEN"}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        assert self.process.stderr is not None
        said = self.process.stderr.readline()
        found = re.match(r"http://\S+?:(\d+)/(?:\?token=(\S+))?", said)
        assert found, said + self.process.stderr.read()
        self.port = int(found[1])
        self.token = found[2]
        self.url = f"http://127.0.0.1:{self.port}"

    def ask(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and body."""
        request = Request(self.url + path, method=method, headers=headers or {})
        try:
            with urlopen(request, timeout=20) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read().decode()

    def post(self, path: str, **headers: str) -> tuple[int, str]:
        """As the page does; status and body."""
        status, _, body = self.ask(path, "POST", {"Origin": self.url, **headers})
        return status, body

    def state(self, when: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """What it shows, once that is so."""
        deadline = time.monotonic() + 60
        while True:
            state: dict[str, Any] = json.loads(self.ask("/api/state")[2])
            if when(state):
                return state
            assert time.monotonic() < deadline, state
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stderr is not None
        self.process.kill()
        self.process.wait(20)
        self.process.stderr.close()

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Its exit code."""
        self.process.send_signal(how)
        assert self.process.stderr is not None
        code = self.process.wait(60)
        assert "Traceback" not in self.process.stderr.read()
        return code
