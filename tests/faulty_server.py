"""The server as a random history meets it: requests are lost, late and doubled; memory and permissions go away."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from real_server import Server
from ttp.coordination.commands import Command
from ttp.coordination.connection import ReplyError, Target
from ttp.coordination.keys import Keys
from ttp.coordination.scripts import SCRIPTS, Script
from ttp.errors import ServerRefused

# What a permission may be taken away from: anything the scripts call.
REVOCABLE = ["evalsha", "xack", "xdel", "xadd", "hset", "hincrby", "hdel", "zadd", "zrem", "xclaim", "xreadgroup"]
REVOCABLE += ["xpending", "pexpire", "publish", "zrangebyscore", "set", "get", "hget", "time", "xgroup"]


class Shadow(Protocol):
    """A modelled server that is to answer as the real one does."""

    out_of_memory: bool

    def check(self, command: Command, reply: Any) -> None:
        """Run the command too, and compare its reply."""

    def snapshot(self) -> Any:
        """All data."""

    def restore(self, snapshot: Any) -> None:
        """Go back to it."""


class FaultyServer:
    """A real server of one's own, and the network before it.

    Attributes:
        out_of_memory: the server is.
        limbo: requests that will arrive late.
        stats: how often something happened.
    """

    def __init__(
        self,
        server: Server,
        keys: Keys,
        rng: random.Random,
        without: Callable[[str], str] | None,
        shadow: Shadow | None,
    ) -> None:
        self.rng = rng
        self.keys = keys
        self.root = server.connect()
        self.root.call("ACL", "SETUSER", "model", "reset", "on", ">word", "~*", "&*", "+@all")
        self.target = Target(path=str(server.socket), username="model", password="word")
        self.server = server
        self.connection = server.connect(self.target)
        self.connection.ensure_queue(keys)
        # A guard taken out: the text that is shipped, edited.
        self.mutants: dict[str, str] = {}
        if without is not None:
            edited = [Script(script.name, without(script.text)) for script in SCRIPTS]
            assert [script.text for script in edited] != [script.text for script in SCRIPTS]
            for script, mutant in zip(SCRIPTS, edited, strict=True):
                self.root.call("SCRIPT", "LOAD", mutant.text)
                self.mutants[script.sha] = mutant.sha
        self.shadow = shadow
        self.limbo: list[Command] = []
        self.stats: Counter[str] = Counter()
        self.out_of_memory = False
        self.revoked = False
        self._snapshot: tuple[dict[bytes, bytes], Any] | None = None

    def call(self, command: Command) -> Any:
        """Run a command once and bring its reply; None if the server refuses it."""
        sent = command
        if command[0] == "EVALSHA":
            sent = (command[0], self.mutants.get(str(command[1]), command[1]), *command[2:])
        (reply,) = self.connection.call_many([sent])
        if isinstance(reply, ReplyError):
            assert self.revoked, reply
            self.stats["refused"] += 1
            return None
        if self.shadow is not None:
            self.shadow.check(command, reply)
        return reply

    def net(self, command: Command) -> Any:
        """Run a command never, once or twice, now or later; None if there is no reply."""
        chance = self.rng.random()
        if chance < 0.10:
            if chance > 0.06:
                self.limbo.append(command)
            return None
        reply = self.call(command)
        if chance < 0.16:
            self.limbo.append(command)
        if chance < 0.20:
            self.call(command)
        return None if chance > 0.92 else reply

    def arrive_late(self) -> None:
        """A request that was late."""
        if self.limbo:
            self.call(self.limbo.pop(self.rng.randrange(len(self.limbo))))

    def settle(self) -> None:
        """There is memory again, and all that was late arrives."""
        if self.out_of_memory:
            self.fill_memory()
        while self.limbo:
            self.call(self.limbo.pop(0))

    def roll_back(self) -> None:
        """Take a snapshot, or go back to the last: a failover that loses writes."""
        if self._snapshot is None or self.rng.random() < 0.5:
            data = {key: self.root.call("DUMP", key) for key in self.root.call("KEYS", "*")}
            self._snapshot = data, self.shadow and self.shadow.snapshot()
            return
        if self.out_of_memory:
            self.fill_memory()  # or nothing could be restored
        self.root.call("FLUSHDB")
        data, shadowed = self._snapshot
        for key, value in data.items():
            self.root.call("RESTORE", key, 0, value)
        if self.shadow is not None:
            self.shadow.restore(shadowed)
        self.stats["rollback"] += 1

    def fill_memory(self) -> None:
        """There is no memory any more, or again."""
        self.out_of_memory = not self.out_of_memory
        self.root.call("CONFIG", "SET", "maxmemory", "1" if self.out_of_memory else "0")
        if self.shadow is not None:
            self.shadow.out_of_memory = self.out_of_memory

    def revoke(self, meanwhile: Callable[[str], None]) -> None:
        """Take a permission away. Nobody gets in without it; what goes wrong meanwhile goes wrong as a whole."""
        first = ["evalsha", "xack", "get"]  # what a script does first: what comes later would fail half-way
        command = self.rng.choice(self.rng.choice([first, REVOCABLE]))
        self.root.call("ACL", "SETUSER", "model", f"-{command}")
        with pytest.raises(ServerRefused):
            self.server.connect(self.target).ensure_queue(self.keys)
        self.revoked = True
        if command in first:
            meanwhile(command)
        self.root.call("ACL", "SETUSER", "model", f"+{command}")
        self.revoked = False
        self.stats["revoked"] += 1
