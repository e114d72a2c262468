"""What is on a server: every queue, and the workers of each."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ttp.coordination import commands
from ttp.coordination.connection import Connection
from ttp.coordination.keys import Keys
from ttp.coordination.replies import checked, pairs
from ttp.coordination.signing import SigningKeys

_COUNTERS = re.compile(r"ttp:\{([^}]+)\.([^.}]+)\}:([^:]+):c")


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A worker of a queue, by its heartbeats.

    Attributes:
        beats: heartbeats so far.
        connected: whether the server lists its connection; None where it does not tell.
        report: what it told of itself (`ttp.worker.report`); empty where it told nothing that can be read.
    """

    name: str
    keys: Keys
    beats: int
    connected: bool | None
    report: dict[str, Any] = field(default_factory=dict)


def find_queues(connection: Connection) -> list[Keys]:
    """Every queue of every app that has been used on this server, by name."""
    found: set[Keys] = set()
    signing = SigningKeys.from_environment()
    cursor = b"0"
    while True:
        cursor, names = connection.call("SCAN", cursor, "MATCH", "ttp:{*}:*:c", "COUNT", 1000)
        for name in names:
            if parts := _COUNTERS.fullmatch(name.decode(errors="replace")):
                app, partition, queue = parts.groups()
                try:
                    found.add(Keys(app, queue, partition, signing))
                except ValueError:
                    continue  # another program's
        if cursor == b"0":
            return sorted(found, key=lambda keys: (keys.app, keys.queue, keys.partition))


def workers(connection: Connection, queues: Sequence[Keys]) -> list[WorkerSeen]:
    """The workers that beat for these queues, dead ones that nobody has buried yet included."""
    listed, *hashes = connection.call_many([commands.client_names(), *(("HGETALL", keys.workers) for keys in queues)])
    names = commands.client_names_reply(listed)
    out = []
    for keys, fields in zip(queues, hashes, strict=True):
        told = {name.decode(errors="replace"): value for name, value in pairs(checked(fields)).items()}
        for name in sorted(name for name, beats in told.items() if not name.startswith("@") and beats.isdigit()):
            connected = None if names is None else name in names
            out.append(WorkerSeen(name, keys, int(told[name]), connected, _report(told.get(f"@{name}"))))
    return out


def _report(text: bytes | None) -> dict[str, Any]:
    try:
        value = json.loads(text or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
