"""The worker processes of a run."""

import os
import subprocess
import sys
from pathlib import Path

STOPS_WITHIN = 60.0  # seconds


class Fleet:
    """So many workers, kept at that number.

    Args:
        url: their server, or the proxy before it.
        directory: where they write their ledgers, and say what goes wrong.
        stall, poison: see `ttp.chaos.worker_process`.
    """

    def __init__(self, url: str, directory: Path, size: int, *, stall: float = 60.0, poison: int = 0) -> None:
        self._directory = directory
        self._environment = os.environ | {"TTP_URL": url, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._arguments = [str(directory), str(stall), str(poison)]
        self.deaths = 0
        self.workers = [self._spawn() for _ in range(size)]

    def _spawn(self) -> subprocess.Popen[bytes]:
        with (self._directory / "workers.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "ttp.chaos.worker_process", *self._arguments], env=self._environment, stderr=log
            )

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

    def stop(self) -> int:
        """End them in good order. Returns how many commits were refused to those that ended so."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait(STOPS_WITHIN)
        return sum(int(file.read_text()) for file in self._directory.glob("fenced.*"))

    def kill_all(self) -> None:
        """End what is left of them."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
