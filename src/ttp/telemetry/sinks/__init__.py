"""Where telemetry goes. A sink stores events and the ids of their tasks in one transaction."""

from ttp.errors import TtpError


class SinkError(TtpError):
    """The sink cannot be used: the message names it and says why."""


def sqlite_path(target: str) -> str:
    """The path in a target of the form `sqlite:PATH`. SinkError if it is none."""
    kind, _, path = target.partition(":")
    if kind != "sqlite" or not path or path.startswith("//"):
        raise SinkError(f"unknown target {target!r}: expected sqlite:PATH, as in sqlite:telemetry.db")
    return path
