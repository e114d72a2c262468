"""The worker processes of a run."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

STOPS_WITHIN = 60.0  # seconds


class Fleet:
    """So many workers, kept at that number.

    Args:
        url: their server, or the proxy before it.
        directory: where they write their ledgers, and say what goes wrong.
        stall, poison, spin: see `ttp.chaos.worker_process`.
    """

    def __init__(
        self, url: str, directory: Path, size: int, *, stall: float = 60.0, poison: int = 0, spin: int = 2000
    ) -> None:
        self._directory = directory
        self._spawn = partial(spawn, "ttp.chaos.worker_process", url, directory, stall, poison, spin)
        self.deaths = 0
        self.workers = [self._spawn() for _ in range(size)]

    def replace_dead(self) -> None:
        """Start a new worker for each that has died."""
        for place, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.deaths += 1
                self.workers[place] = self._spawn()

    def kill(self, place: int) -> int:
        """SIGKILL one and start another in its place. Returns the victim's process id."""
        victim = self.workers[place]
        victim.kill()
        victim.wait()
        self.replace_dead()
        return victim.pid

    def stop(self) -> tuple[int, int]:
        """End them in good order. Of those that ended so: how many commits were refused, how many tasks put off."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait(STOPS_WITHIN)
        counted = [json.loads(file.read_text()) for file in self._directory.glob("ended.*")]
        return sum(fenced for fenced, _ in counted), sum(deferred for _, deferred in counted)

    def kill_all(self) -> None:
        """End what is left of them."""
        for worker in self.workers:
            worker.kill()
            worker.wait()


def spawn(module: str, url: str, directory: Path, *arguments: object) -> subprocess.Popen[bytes]:
    """A process of a run: `python -m MODULE DIRECTORY ARGUMENTS…`; what it says goes to a log in the directory."""
    environment = os.environ | {"TTP_URL": url, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", module, str(directory), *map(str, arguments)]
    with (directory / f"{module}.log").open("ab") as log:
        return subprocess.Popen(command, env=environment, stderr=log)  # noqa: S603
