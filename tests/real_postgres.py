"""A PostgreSQL that tests start: a real one, on a unix socket in a directory of its own."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import psycopg
import pytest


def _programs() -> Path | None:
    """The directory of initdb and postgres; Debian does not put it on PATH."""
    found = [*map(Path, filter(None, [shutil.which("initdb")])), *Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: path.parts).resolve().parent if found else None


PROGRAMS = _programs()
NO_POSTGRES = "no PostgreSQL here (Debian: apt install postgresql)"
needs_postgres = pytest.mark.skipif(PROGRAMS is None, reason=NO_POSTGRES)


class Postgres:
    """A database server. It keeps its data through a SIGKILL; a power cut is not its business."""

    def __init__(self) -> None:
        assert PROGRAMS is not None, NO_POSTGRES
        self.directory = Path(tempfile.mkdtemp(prefix="ttp-pg-"))
        # It refuses to run as root.
        self._user = next(user for user in ("postgres", "nobody") if _exists(user)) if os.getuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        if self._user is not None:
            shutil.chown(self.directory, self._user)
        initdb = [str(PROGRAMS / "initdb"), "-D", str(self.directory / "data"), "-U", "ttp"]
        initdb += ["-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, user=self._user, stdout=subprocess.DEVNULL, cwd=self.directory)
        self.start()

    def start(self) -> None:
        """Start it, on the data that is there, and wait until it serves."""
        assert PROGRAMS is not None
        settings = {"listen_addresses": "", "unix_socket_directories": self.directory, "fsync": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAMS / "postgres", "-D", self.directory / "data", *options],
                user=self._user,
                cwd=self.directory,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.01)
            else:
                return

    def url(self, database: str) -> str:
        """Where a database is."""
        return f"postgresql://ttp@/{database}?host={self.directory}"

    def new_database(self) -> str:
        """Make an empty one; returns its URL."""
        self._made += 1
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE test_{self._made}".encode())
        return self.url(f"test_{self._made}")

    def kill(self) -> None:
        """SIGKILL to the server and all its processes: one that serves a client would finish what it is at."""
        assert self._process is not None
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self._process.wait(10)
        _, alive = psutil.wait_procs(children, 10)
        assert not alive

    def remove(self) -> None:
        """End it and remove its data."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(10)
        shutil.rmtree(self.directory, ignore_errors=True)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
