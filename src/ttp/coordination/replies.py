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


def text(value: Any) -> str:
    """Of bytes or whatever else stands for text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def info(reply: Any) -> dict[str, str]:
    """What INFO tells, by name; nothing where it is refused."""
    if isinstance(reply, ReplyError):
        return {}
    lines = text(reply).splitlines()
    return {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}


def maxmemory_policy(memory: Any, config: Any) -> str | None:
    """As INFO memory or CONFIG GET maxmemory-policy tells it; None where both are refused."""
    told = None if isinstance(config, ReplyError) else pairs(config).get(b"maxmemory-policy")
    return info(memory).get("maxmemory_policy") or (None if told is None else text(told))


def pairs(reply: Any) -> dict[bytes, Any]:
    """A map, or a flat list of names and values, as a dict."""
    if isinstance(reply, dict):
        return reply
    return dict(zip(reply[::2], reply[1::2], strict=True))
