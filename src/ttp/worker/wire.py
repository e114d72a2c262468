"""The worker's main connection: commits and fetches in one pipeline, answered in order."""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ttp.coordination import commands
from ttp.coordination.commands import Command, Entry
from ttp.coordination.connection import Connection
from ttp.coordination.keys import Keys
from ttp.coordination.traffic import Traffic
from ttp.errors import ServerUnavailable
from ttp.worker.draft import Draft
from ttp.worker.job import Job

log = logging.getLogger("ttp.worker")

Cancelled = Mapping[int, set[int]]  # origin → indices


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit to be sent; job and draft are None where an entry was put elsewhere without being run."""

    command: Command
    entry_id: str
    job: Job | None = None
    drafted: Draft | None = None


class Wire:
    """One thread's. Every fault raises ServerUnavailable; `reconnect` then sends again what was not answered.

    Args:
        answered: takes a commit and its reply.
        received: takes the entries that a fetch brought, and the cancel requests that may concern them.

    Attributes:
        traffic: of all its connections.
    """

    def __init__(
        self,
        *,
        open_connection: Callable[[float], Connection],
        consumer: str,
        queues: Sequence[Keys],
        answered: Callable[[Commit, Any], None],
        received: Callable[[Sequence[Entry], Cancelled], None],
    ) -> None:
        self._open_connection = open_connection
        self._consumer = consumer
        self._queues = queues
        self._answered = answered
        self._received = received
        self._connection: Connection | None = None
        self.traffic = Traffic()
        self._unsent: deque[Commit] = deque()
        self._unsent_since = 0.0
        self._sent: deque[Commit | None] = deque()  # None: a fetch
        self._unheeded: deque[tuple[Commit, Any]] = deque()  # commits and their replies

    def commit(self, commit: Commit) -> None:
        """Send it with the next `send`."""
        if not self._unsent:
            self._unsent_since = time.monotonic()
        self._unsent.append(commit)

    @property
    def fetching(self) -> bool:
        """A fetch is on the wire."""
        return None in self._sent

    @property
    def quiet(self) -> bool:
        """Nothing to send, nothing to be answered, no answer to be heeded."""
        return not (self._unsent or self._sent or self._unheeded)

    @property
    def unsent_age(self) -> float:
        """Seconds that the oldest unsent commit waits; 0 without one."""
        return time.monotonic() - self._unsent_since if self._unsent else 0.0

    @property
    def connected(self) -> bool:
        """There is an open connection, as far as is known."""
        return self._connection is not None and self._connection.connected

    @property
    def connection(self) -> Connection:
        """For commands of one's own, when nothing else is on the wire."""
        if self._connection is None:
            raise ServerUnavailable("no connection")
        return self._connection

    def send(self) -> None:
        """Send the commits."""
        self._write([])
        self._heed()

    def fetch(self, streams: Sequence[str], *, count: int, block_ms: int | None) -> None:
        """Send the commits and behind them a read that blocks for so long, or (None) not at all."""
        read = commands.read_group(self._consumer, streams, count=count, block_ms=block_ms)
        self._write([read, *map(commands.cancels_count, self._queues)])
        self._sent.append(None)
        self._heed()

    def _write(self, more: list[Command]) -> None:
        connection = self.connection
        batch = [commit.command for commit in self._unsent]
        self._sent.extend(self._unsent)
        self._unsent.clear()
        if batch or more:
            connection.send(batch + more)

    def read(self) -> None:
        """Take every reply that is due, waiting for it.

        What a fetch has brought comes first: answers to commits are heeded while nothing is there to be read, or behind
        the next sending, so while the server works.
        """
        connection = self.connection
        while self._sent:
            if self._unheeded and not connection.readable():
                self._heed()
            reply = connection.read()
            commit = self._sent[0]
            if commit is not None:
                self._sent.popleft()
                self._unheeded.append((commit, reply))
                continue
            entries = commands.entries(reply)
            cancels = sum([int(connection.read()) for _ in self._queues])
            self._sent.popleft()
            self._received(entries, self._cancels() if entries and cancels else {})

    def _heed(self) -> None:
        while self._unheeded:
            self._answered(*self._unheeded.popleft())

    def settle(self) -> None:
        """Send all commits, take all replies and heed all answers."""
        self.send()
        self.read()
        self._heed()

    def _cancels(self) -> Cancelled:
        """Which tasks are asked not to run. A fetch is the last thing on the wire, so this may be called then."""
        out: dict[int, set[int]] = {}
        for keys in self._queues:
            for origin, index in commands.cancels_reply(self.connection.call(*commands.cancels(keys))):
                out.setdefault(origin, set()).add(index)
        return out

    def reconnect(self) -> None:
        """One attempt to connect anew. What was not answered is to be sent again; a fetch is forgotten."""
        self.close()
        self._heed()
        self._unsent.extendleft(commit for commit in reversed(self._sent) if commit is not None)
        self._sent.clear()
        connection = self._open_connection(5.0)
        connection.traffic = self.traffic
        for keys in self._queues:
            connection.ensure_queue(keys)
        self._connection = connection

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
