"""What an error of the server, or of the way to it, means: try again, give up, or one command was wrong."""

import re

from ttp.coordination.url import Target
from ttp.errors import ServerRefused, ServerUnavailable

_AGAIN = frozenset(
    {
        *("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "NOREPLICAS", "MISCONF"),
        *("BUSY", "NOSCRIPT", "NOGROUP", "NOAUTH"),
        "UNBLOCKED",  # a blocked read whose stream, or whose primary, is none any more
    }
)
"""Errors that say: not now, not here, or not any more. Connect again, and send again."""

_IN_WORDS = {
    "LOADING": "it is loading its data",
    "READONLY": "it is a read-only replica",
    "NOSCRIPT": "it has lost the scripts, and gets them again",
    "NOGROUP": "it has lost the queue, which is made again",
    "UNBLOCKED": "it has become a replica, or lost the queue",
    "MASTERDOWN": "it is a replica without its primary",
    "CLUSTERDOWN": "its cluster is down",
    "TRYAGAIN": "its cluster is moving these keys",
    "MOVED": "another node of its cluster has these keys",
    "ASK": "its cluster is moving these keys",
    "MISCONF": "it cannot write to its disk",
    "NOREPLICAS": "it has too few replicas",
    "BUSY": "it is busy with a long script",
}


_PLAIN = re.compile(r"^Error -?\d+ connecting to .*?\. (.+?)\.?$")
"""What the client library says around the system's own words."""


_IN_SCRIPT = re.compile(r"^ERR Error running script .*@user_script: ?\d+: -([A-Z]+ .*)$", re.DOTALL)
"""What Redis 6.2 says around the error of a command in a script."""


def concerns_one_command(error: Exception) -> bool:
    """Whether the connection may stay: the server answered, and the next command may do better."""
    from redis.exceptions import ConnectionError as RedisConnectionError  # noqa: PLC0415 - redis-py is not loaded early
    from redis.exceptions import ResponseError  # noqa: PLC0415

    if not isinstance(error, ResponseError) or isinstance(error, RedisConnectionError):
        return False
    return full_text(error).partition(" ")[0] not in _AGAIN


def in_words(error: Exception, target: Target) -> ServerUnavailable:
    """The error in plain words; ServerRefused where trying again does not help."""
    from redis.exceptions import AuthenticationError, ResponseError  # noqa: PLC0415

    text = full_text(error)
    code = text.partition(" ")[0]
    if isinstance(error, AuthenticationError) or code in ("WRONGPASS", "NOAUTH"):
        hint = "" if target.password else ": the URL has none (redis://user:password@host)"
        return ServerRefused(f"{target} refuses the user name or password{hint}")
    if code == "NOPERM":
        return ServerRefused(f"{target} does not permit this user to connect: {text}")
    if code in _IN_WORDS:
        return ServerUnavailable(f"{target} does not serve now: {_IN_WORDS[code]}")
    if isinstance(error, ResponseError) and "HELLO" in text:
        return ServerRefused(f"{target} is too old: it must be Redis 6.2 or later, or Valkey")
    if match := _PLAIN.search(text):
        text = match[1]
    elif isinstance(error, OSError) and error.strerror:
        text = error.strerror
    return ServerUnavailable(f"no connection to {target}: {text or type(error).__name__}")


def full_text(error: Exception) -> str:
    """The server's message, code first, which redis-py cuts off and keeps apart."""
    code = getattr(error, "status_code", None)
    text = str(error)
    text = f"{code} {text}" if code and not text.startswith(code) else text
    return match[1] if (match := _IN_SCRIPT.match(text)) else text
