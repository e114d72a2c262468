"""The pages of the documentation, and the fenced blocks on them (docs/README.md says what each language means)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
FENCE = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    title: str
    text: str
    line: int


class Command(NamedTuple):
    """A command of a console block, and what it prints."""

    line: str
    output: str


def name(page: Path) -> str:
    """Of a page, in the names of tests."""
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> list[Block]:
    """All blocks of a page, or those in these languages."""
    text = page.read_text()
    found = [
        Block(match[1], match[2] or "", match[3], text.count("\n", 0, match.start()) + 2)
        for match in FENCE.finditer(text)
    ]
    return [block for block in found if not languages or block.language in languages]


def prose(page: Path) -> str:
    """A page without its blocks."""
    return FENCE.sub("", page.read_text())


def session(console: str) -> list[Command]:
    """The commands of a console block."""
    parts = re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]
    return [Command(*part.split("\n", 1)) for part in parts]


def shell_lines(page: Path) -> Iterator[str]:
    """Every command line on a page, those that are run and those that are not."""
    for block in blocks(page, "sh", "console"):
        if block.language == "console":
            yield from (command.line for command in session(block.text))
        else:
            yield from (line for line in block.text.replace("\\\n", " ").splitlines() if line.strip())
