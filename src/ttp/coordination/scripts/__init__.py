"""The Lua scripts: one file for each operation, the sums computed here."""

from functools import cached_property


class Script:
    """One script as the server gets it. It is read when it is first needed.

    Args:
        name: of the file.
        text: instead of the file's, for tests.
    """

    def __init__(self, name: str, text: str | None = None) -> None:
        self.name = name
        if text is not None:
            self.text = text

    @cached_property
    def text(self) -> str:
        """The file's text, with the parts it includes."""
        import re  # noqa: PLC0415 - import ttp has to be quick
        from pathlib import Path  # noqa: PLC0415

        folder = Path(__file__).parent
        text = (folder / f"{self.name}.lua").read_text()
        return re.sub(r"(?m)^-- include: (\w+\.lua)$", lambda match: (folder / match[1]).read_text(), text)

    @cached_property
    def sha(self) -> str:
        """What EVALSHA names it by."""
        import hashlib  # noqa: PLC0415

        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


SUBMIT = Script("submit")
COMMIT = Script("commit")
TICK = Script("tick")
CLAIM = Script("claim")
BURY = Script("bury")
CANCEL = Script("cancel")
BEATS = Script("beats")
RESUME = Script("resume")

SCRIPTS: tuple[Script, ...] = (SUBMIT, COMMIT, TICK, CLAIM, BURY, CANCEL, BEATS, RESUME)
"""All of them; a connection loads them when it connects."""
