"""Names as labels of metrics."""

import hashlib

from ttp.worker.scoreboard import MAX_LABEL


def label(name: str) -> str:
    """A name as a label: short, and without what a terminal or page might obey."""
    if len(name) > MAX_LABEL:
        digest = hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:8]
        name = f"{name[: MAX_LABEL - 9]}…{digest}"
    return "".join(c if c.isprintable() and c != "\\" else ascii(c)[1:-1] for c in name)
