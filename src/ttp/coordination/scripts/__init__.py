"""The Lua scripts: one file for each operation, the sums computed here."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

_INCLUDE = re.compile(r"^-- include: (\w+\.lua)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """One script as the server gets it.

    Attributes:
        sha: what EVALSHA names it by.
    """

    name: str
    text: str
    sha: str

    @classmethod
    def of(cls, name: str, text: str) -> "Script":
        """A script of this text."""
        return cls(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())

    @classmethod
    def load(cls, name: str) -> "Script":
        """The script of this name, with the parts it includes."""
        folder = Path(__file__).parent
        text = (folder / f"{name}.lua").read_text()
        return cls.of(name, _INCLUDE.sub(lambda match: (folder / match[1]).read_text(), text))


SUBMIT = Script.load("submit")
COMMIT = Script.load("commit")
TICK = Script.load("tick")
CLAIM = Script.load("claim")
BURY = Script.load("bury")
CANCEL = Script.load("cancel")
BEATS = Script.load("beats")

SCRIPTS: tuple[Script, ...] = (SUBMIT, COMMIT, TICK, CLAIM, BURY, CANCEL, BEATS)
"""All of them; a connection loads them when it connects."""
