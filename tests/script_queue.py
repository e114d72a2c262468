"""A queue on a real server, for tests of single scripts."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from ttp.coordination import commands, inspection
from ttp.coordination.commands import Command, Entry, Placement
from ttp.coordination.connection import Connection
from ttp.coordination.keys import Keys
from ttp.coordination.scripts import SCRIPTS, Script

FRAME = b"frame" * 20
DAY = 86_400_000
PRODUCER = b"producer-one"


@dataclass
class Queue:
    """A queue, with everything that a test does not care about filled in."""

    connection: Connection
    keys: Keys
    mutants: dict[str, str] = field(default_factory=dict)
    last: dict[str, int | None] = field(default_factory=dict)

    def run(self, command: Command) -> Any:
        if command[0] == "EVALSHA":
            command = (command[0], self.mutants.get(str(command[1]), command[1]), *command[2:])
        return self.connection.call(*command)

    def without(self, guard: str, instead: str = "") -> "Queue":
        """The same queue with one guard of the shipped scripts taken out."""
        mutants = {}
        for script in SCRIPTS:
            mutant = Script(script.name, script.text.replace(guard, instead))
            if mutant.text != script.text:
                self.connection.call("SCRIPT", "LOAD", mutant.text)
                mutants[script.sha] = mutant.sha
        assert mutants, "no script has this guard"
        return Queue(self.connection, self.keys, mutants, self.last)

    def submit(self, chain: str = "c", fid: int = 0, **changes: Any) -> tuple[str, int | None]:
        fid = fid or secrets.randbits(63) + 1
        settings: dict[str, Any] = {
            "priority": 1,
            "prev": self.last.get(chain),
            "due_ms": None,
            "tasks": 3,
            "limit": 10**9,
            "frame": FRAME,
        }
        reply = self.run(commands.submit(self.keys, chain=chain, fid=fid, **(settings | changes)))
        answer = commands.submit_reply(reply)
        if answer[0] == "OK":
            self.last[chain] = fid
        return answer

    def read(self, consumer: str = "worker-1", count: int = 10) -> list[Entry]:
        return commands.entries(self.run(commands.read_group(consumer, self.keys.streams, count, None)))

    def deliver(self, consumer: str = "worker-1", **changes: Any) -> Entry:
        assert self.submit(**changes)[0] == "OK"
        (entry,) = self.read(consumer)
        return entry

    def commit(self, entry: Entry, *placements: Placement, **changes: Any) -> tuple[str, str]:
        settings: dict[str, Any] = {"consumer": "worker-1", "tasks": entry.tasks, "size": len(entry.frame or b"")}
        reply = self.run(
            commands.commit(
                self.keys,
                source=entry.stream,
                entry_id=entry.id,
                placements=placements,
                **(settings | changes),
            )
        )
        return commands.commit_reply(reply)

    def claim(
        self, source: str, dead: str, consumer: str = "worker-2", *, crashed: bool = True, beat: int | None = None
    ) -> list[Entry]:
        command = commands.claim(
            self.keys, source=source, dead=dead, consumer=consumer, crashed=crashed, limit=10, beat=beat
        )
        return commands.claim_reply(source, self.run(command))

    def tick(self, offset_ms: int = 0) -> tuple[int, int | None]:
        return commands.tick_reply(self.run(commands.tick(self.keys, consumer="worker-1", offset_ms=offset_ms)))

    def pending(self, stream: str, consumer: str) -> list[str]:
        return commands.pending_ids(self.run(commands.pending(stream, consumer)))

    @property
    def stats(self) -> inspection.Stats:
        return inspection.stats_reply(self.connection.call_many(inspection.stats(self.keys)))

    @property
    def now_ms(self) -> int:
        seconds, micros = self.connection.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def results(self, origin: int) -> dict[bytes, bytes]:
        return commands.mapping(self.run(commands.results(self.keys, origin)))


def ready(fid: int = 0, **changes: Any) -> Placement:
    settings: dict[str, Any] = {"kind": "ready", "frame": b"derived", "tasks": 1, "priority": 1}
    return Placement(fid=fid or secrets.randbits(63) + 1, **(settings | changes))
