"""What commands find out about a server: queues, workers, durability."""

import re
from dataclasses import asdict, dataclass
from typing import Any, get_args

from ttp.app import App
from ttp.coordination import commands, inspection
from ttp.coordination.connection import Connection
from ttp.coordination.durability import settings
from ttp.coordination.keys import Keys
from ttp.coordination.levels import Durability

CONNECT_TIMEOUT = 5.0
_COUNTERS = re.compile(r"ttp:\{([^}]+)\.([^.}]+)\}:([^:]+):c")


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A worker of a queue, by its heartbeats.

    Attributes:
        connected: whether the server lists its connection; None where it does not tell.
    """

    name: str
    queue: str
    beats: int
    connected: bool | None


def connect(url: str | None) -> Connection:
    """Connect to the server of this URL, or to the default one.

    Raises:
        ServerUnavailable: there is none, or it refuses.
    """
    return App("cli", url).open_connection(CONNECT_TIMEOUT)


def find_queues(connection: Connection) -> list[Keys]:
    """Every queue of every app that has been used on this server, by name."""
    found: set[Keys] = set()
    cursor = b"0"
    while True:
        cursor, names = connection.call("SCAN", cursor, "MATCH", "ttp:{*}:*:c", "COUNT", 1000)
        for name in names:
            if parts := _COUNTERS.fullmatch(name.decode(errors="replace")):
                app, partition, queue = parts.groups()
                found.add(Keys(app, queue, partition))
        if cursor == b"0":
            return sorted(found, key=lambda keys: (keys.app, keys.queue, keys.partition))


def queue_report(connection: Connection, keys: Keys) -> dict[str, Any]:
    """A queue's name and numbers."""
    stats = inspection.stats_reply(connection.call_many(inspection.stats(keys)))
    return {"app": keys.app, "queue": keys.queue, "partition": keys.partition, **asdict(stats)}


def workers(connection: Connection, queues: list[Keys]) -> list[WorkerSeen]:
    """The workers that serve these queues, dead ones that nobody has buried yet included."""
    names = commands.client_names_reply(connection.call_many([commands.client_names()])[0])
    return [
        WorkerSeen(name, f"{keys.app}/{keys.queue}", beats, None if names is None else name in names)
        for keys in queues
        for name, beats in sorted(commands.beats_reply(connection.call(*commands.beats(keys))).items())
    ]


def durability(connection: Connection) -> dict[str, Any]:
    """What an accepted task survives by the server's settings in force, and the levels that apps can ask for.

    level is memory (gone when the server ends), everysec (a power cut costs up to two seconds), fsync (none),
    or unknown; replicas are those connected.
    """
    found = settings(connection)
    return {
        "level": found.level,
        "appendonly": found.appendonly,
        "appendfsync": found.appendfsync,
        "replicas": found.replicas,
        "offers": {level: found.can_give(level) or "yes" for level in get_args(Durability)},
    }
