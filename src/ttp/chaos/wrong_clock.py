"""A server's wall clock that can be set wrong."""

import shutil
import struct
import subprocess
from pathlib import Path

from ttp.chaos.server import NotInjected

_SOURCE = Path(__file__).with_suffix(".c")


class WrongClock:
    """Compiled for this machine into a directory.

    Attributes:
        environment: what makes a server go by it.

    Raises:
        NotInjected: there is no C compiler, or this is not Linux.
    """

    def __init__(self, directory: Path) -> None:
        self._file = directory / "clock"
        self.set(0)
        library = directory / "wrong_clock.so"
        if (compiler := shutil.which("cc")) is None:
            raise NotInjected("a C compiler is missing (Debian: apt install gcc)")
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise NotInjected(f"the wrong clock does not compile here: {done.stderr.strip()[-500:]}")
        self.environment = {"LD_PRELOAD": str(library), "TTP_CHAOS_CLOCK": str(self._file)}

    def set(self, seconds: int) -> None:
        """Put it ahead by so many seconds."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))
