"""What commands find out about a server."""

from dataclasses import asdict
from typing import Any, get_args

from ttp.app import App
from ttp.coordination import inspection
from ttp.coordination.connection import Connection
from ttp.coordination.durability import Settings
from ttp.coordination.examination import Visitor
from ttp.coordination.keys import Keys
from ttp.coordination.levels import Durability

CONNECT_TIMEOUT = 5.0


def connect(url: str | None) -> Connection:
    """Connect to the server of this URL, or to the default one.

    Raises:
        ServerUnavailable: there is none, or it refuses.
    """
    return App("cli", url).open_connection(CONNECT_TIMEOUT)


def visit(url: str | None) -> Visitor:
    """As `connect`, but whatever the server is like."""
    visitor = Visitor(App("cli", url).server, connect_timeout=CONNECT_TIMEOUT)
    visitor.connect()
    return visitor


def queue_report(connection: Connection, keys: Keys) -> dict[str, Any]:
    """A queue's name and numbers."""
    stats = inspection.stats_reply(connection.call_many(inspection.stats(keys)))
    return {"app": keys.app, "queue": keys.queue, "partition": keys.partition, **asdict(stats)}


def durability(found: Settings) -> dict[str, Any]:
    """What an accepted task survives by the server's settings in force, and the levels that apps can ask for.

    level is memory (gone when the server ends), everysec (a power cut costs up to two seconds), fsync (none),
    or unknown; replicas are those connected.
    """
    return {
        "level": found.level,
        "appendonly": found.appendonly,
        "appendfsync": found.appendfsync,
        "replicas": found.replicas,
        "offers": {level: found.can_give(level) or "yes" for level in get_args(Durability)},
    }
