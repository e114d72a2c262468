"""The flight recorder's stream. Commands and parsers, no I/O."""

from typing import Any

from ttp.coordination.commands import Command
from ttp.coordination.keys import Keys
from ttp.coordination.replies import checked

KEPT = 4096  # records of a queue, about
PAGE = 500


def record(keys: Keys, data: bytes) -> Command:
    """Add a record; the oldest make room."""
    return ("XADD", keys.flight, "MAXLEN", "~", KEPT, "*", "r", data)


def page(keys: Keys, after: str) -> Command:
    """Ask for records, oldest first, after "-" or "(ID"."""
    return ("XRANGE", keys.flight, after, "+", "COUNT", PAGE)


def page_reply(reply: Any) -> list[tuple[str, bytes]]:
    """(id, record) of `page`."""
    return [(entry_id.decode(), bytes(fields[1])) for entry_id, fields in checked(reply)]
