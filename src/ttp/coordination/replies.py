"""What comes back from the server, as plain values."""

from typing import Any

from ttp.errors import ServerRefused


class ReplyError(ServerRefused):
    """The server refused one command; the connection goes on.

    Attributes:
        code: first word of the server's message, as in ``NOPERM``.
    """

    def __init__(self, text: str) -> None:
        super().__init__(f"the server refused a command: {text}")
        self.code = text.partition(" ")[0]


def checked(reply: Any) -> Any:
    """The reply, unless it is an error: that is raised."""
    if isinstance(reply, ReplyError):
        raise reply
    return reply


def pairs(reply: Any) -> dict[bytes, Any]:
    """A map, or a flat list of names and values, as a dict."""
    if isinstance(reply, dict):
        return reply
    return dict(zip(reply[::2], reply[1::2], strict=True))
