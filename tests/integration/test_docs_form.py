"""What is not run in the documentation is checked: commands, settings, links."""

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

import ttp.cli
from pages import PAGES, ROOT, blocks, name, prose, shell_lines

RUN = {"python", "console", "redis"}  # by test_docs.py
CHECKED = {"sh", "py", "json", "text"}
OURS = ("deploy/", "examples/", "benchmarks/", "tests/", "docs/")
NEEDED = {"cp", "docker", "kubectl", "systemctl"}  # programs of others, whose files are looked at
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

every_page = pytest.mark.parametrize("page", PAGES, ids=name)


@every_page
def test_every_block_says_what_it_is(page: Path) -> None:
    text = page.read_text()
    assert len(re.findall(r"^```", text, re.MULTILINE)) == 2 * len(blocks(page)), "a fence that nothing ends"
    assert {block.language for block in blocks(page)} <= RUN | CHECKED
    assert not re.findall(r"(?:^|\n)\n {4,}[^\s].*", prose(page)), "indented code is neither run nor checked: fence it"


@every_page
def test_what_is_not_run_is_well_formed(page: Path) -> None:
    for block in blocks(page, "json", "py"):
        if block.language == "json":
            json.loads(block.text)
        else:  # other people's libraries, as in the guide to migration
            compile(block.text, f"{page}:{block.line}", "exec")


# commands exist, with their options; so do targets of make, extras, and the files that are named


def options_of(words: list[str]) -> set[str]:
    """The options of a command of ours. KeyError if there is none such."""
    command: Any = typer.main.get_command(ttp.cli.build())
    known = {"-h", "--help"}
    for word in words:
        if hasattr(command, "commands"):
            command = command.commands[word]
            known |= {option for parameter in command.params for option in parameter.opts}
    return known


def check_ttp(arguments: list[str]) -> None:
    known = options_of([word for word in arguments if not word.startswith("-")])
    used = {word.partition("=")[0] for word in arguments if word.startswith("-")}
    assert used <= known, f"no such option: {used - known}"


def check_make(arguments: list[str]) -> None:
    targets = [word for word in arguments if "=" not in word]
    for target in targets:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), f"no target {target}"


def check_pip(arguments: list[str]) -> None:
    assert arguments[0] == "install"
    for word in arguments[1:]:
        # On PyPI the name ttp is another project's, so it is only installed from here.
        found = re.fullmatch(r"(?:\.|dist/[\w.*-]+\.whl)(?:\[([\w,]+)\])?", word)
        assert found, f"installs something else: {word}"
        assert set((found[1] or "").split(",")) <= {"", *EXTRAS}, word


def check_python(arguments: list[str]) -> None:
    assert arguments[:2] == ["-m", "venv"] or arguments[0] == "-c" or arguments[0].endswith(".py")


CHECKS = {"ttp": check_ttp, "make": check_make, "pip": check_pip, "python": check_python, "python3": check_python}
PLAIN = {"echo", "cat", "tail", "tee", "curl", "cd", "."}


def simple_commands(line: str) -> list[list[str]]:
    """The commands of a line, without assignments, redirections and comments."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    for word in lexer:
        if word in {"|", "&&", "||", ";", "&"}:
            commands.append([])
        elif not (word == ">" or (not commands[-1] and re.match(r"[A-Z_]+=", word))):
            commands[-1].append(word)
    return [command for command in commands if command]


@every_page
def test_commands_are_there(page: Path) -> None:
    for line in shell_lines(page):
        for program, *arguments in simple_commands(line):
            if program in CHECKS:
                CHECKS[program](arguments)
            else:
                assert program in PLAIN | NEEDED, f"{line}: what is {program}?"
            for word in arguments:
                assert not word.startswith(OURS) or list(ROOT.glob(word)), f"{line}: {word} is not there"


# links lead somewhere, anchors too; `make docs` looks only at those within the site

LINK = re.compile(r'\]\(([^)\s]+)\)|<img src="([^"]+)"')


def anchors(page: Path) -> set[str]:
    """Those of a page's headings, as mkdocs and GitHub make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for found in LINK.findall(prose(page)):
        target, _, anchor = "".join(found).partition("#")
        if "://" in target:
            continue  # elsewhere: not looked at, since tests run without a network
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        assert file.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"
