"""Modelled connections: what is sent arrives later, in part, twice, or not at all."""

import math
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ttp.coordination.commands import Command
from ttp.coordination.keys import Keys
from ttp.coordination.replies import checked
from ttp.coordination.scripts import SUBMIT
from ttp.errors import ServerUnavailable

if TYPE_CHECKING:
    from simulation.process import Process
    from simulation.world import World


class Connection:
    """What `ttp.coordination.connection.Connection` is to its users, between a process and the modelled server.

    Commands of one connection arrive in order. When it is cut, those on the way arrive up to one of them, some
    of them only after the next connection's, the rest never.
    """

    def __init__(self, world: "World", process: "Process", name: str | None) -> None:
        self._world = world
        self._process = process
        self.connected = True
        self.offset_us = round((world.server_skew - world.client_skew) * 1e6)
        self._coming: deque[Command] = deque()
        self._replies: deque[Any] = deque()
        self.session = world.network.register(name or "")

    def ensure_queue(self, keys: Keys, _role: str = "worker") -> None:
        self._check()
        self._world.server.ensure_queue(keys)

    def send(self, commands: Sequence[Command]) -> None:
        self._check()
        # A frame's memory may be given back before its command arrives.
        self._coming += [tuple(bytes(p) if isinstance(p, memoryview) else p for p in say) for say in commands]
        self._perhaps_cut()
        while self._coming and not self._replies and self._world.rng.random() < 0.3:
            self._arrive()

    def read(self, timeout: float | None = None) -> Any:
        self._wait_for(1, timeout)
        return self._replies.popleft()

    def call_many(self, commands: Sequence[Command], timeout: float | None = None) -> list[Any]:
        before = len(self._replies) + len(self._coming)
        self.send(commands)
        self._wait_for(before + len(commands), timeout)
        return [self._replies.pop() for _ in commands][::-1]

    def call(self, *command: Any, timeout: float | None = None) -> Any:
        return checked(self.call_many([command], timeout)[0])

    def readable(self, timeout: float = 0.0) -> bool:
        self._check()
        if not self._replies and timeout:
            self._world.wait(timeout)
            self._check()
        while self._coming and not self._replies and self._world.rng.random() < 0.5:
            self._arrive()
        return bool(self._replies)

    def close(self, *, seen: bool = False) -> None:
        if self.connected:
            self.connected = False
            self._world.network.lose(self, seen=seen)

    def scatter(self) -> list[Command]:
        """The connection is gone: some of what is on the way arrives; returns what will be late."""
        rng = self._world.rng
        late = []
        for _ in range(rng.randint(0, len(self._coming))):
            command = self._coming.popleft()
            self._world.serve(command)
            late += [command] * (rng.random() < self._world.chance_of_a_double)  # nobody has heard of the first
        late += [self._coming.popleft() for _ in range(rng.randint(0, len(self._coming)))]
        self._coming.clear()
        return late

    def _check(self) -> None:
        self._process.check()
        if self._process.is_cut_off():
            self.close()
        if not self.connected:
            raise ServerUnavailable("the network is down")

    def _perhaps_cut(self) -> None:
        if self._world.faulty and self._world.rng.random() < self._world.chance_of_a_cut:
            self.close()
            raise ServerUnavailable("the connection was cut")

    def _wait_for(self, replies: int, timeout: float | None) -> None:
        """Let time pass, and others act, until so many replies are here."""
        self._check()
        world = self._world
        deadline = world.now + (10.0 if timeout is None else timeout)
        blocked_until = None
        while len(self._replies) < replies:
            world.wait(world.rng.expovariate(1000))
            self._check()
            self._perhaps_cut()
            if world.now > deadline:
                self.close()
                raise ServerUnavailable("no reply in time")
            command = self._coming[0]
            if "BLOCK" in command:
                blocked_until = blocked_until or world.now + int(command[command.index("BLOCK") + 1]) / 1000
                if world.nothing_to_read(command) and world.now < blocked_until:
                    world.wait(0.02)
                    continue
            self._arrive()

    def _arrive(self) -> None:
        command = self._coming.popleft()
        # A submit that is answered has arrived once: a producer may take it back then.
        double = self._world.faulty and self._world.rng.random() < self._world.chance_of_a_double
        if double and command[1] != SUBMIT.sha:
            self._world.network.delay([command])
        self._replies.append(self._world.serve(command))


class Network:
    """Who is connected, and what is under way without a connection."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._sessions: dict[int, tuple[str, float | None]] = {}  # name, when the server sees that it is gone
        self._next = 0
        self._late: list[tuple[float, Command]] = []

    def register(self, name: str) -> int:
        """A new connection of this name."""
        self._next += 1
        self._sessions[self._next] = (name, None)
        return self._next

    def names(self) -> list[str]:
        """The connections that the server lists."""
        now = self._world.now
        self._sessions = {n: (name, at) for n, (name, at) in self._sessions.items() if at is None or at > now}
        return [name for name, _ in self._sessions.values()]

    def lose(self, connection: Connection, *, seen: bool) -> None:
        """A connection is gone; perhaps the server does not see that yet."""
        name, _ = self._sessions[connection.session]
        seen_in = 0.0 if seen else self._world.rng.choice([0.0, 0.0, 0.5, 3.0])
        self._sessions[connection.session] = (name, self._world.now + seen_in)
        self.delay(connection.scatter())

    def delay(self, commands: Sequence[Command]) -> None:
        """These arrive some time, in this order, and nobody hears the replies."""
        at = self._world.now
        for command in commands:
            at += self._world.rng.expovariate(2.0)
            self._late.append((at, command))

    def deliver(self, *, everything: bool = False) -> None:
        """What is late and has come by now."""
        until = math.inf if everything else self._world.now
        due = [item for item in self._late if item[0] <= until]
        self._late = [item for item in self._late if item[0] > until]
        for _, command in sorted(due, key=lambda item: item[0]):
            self._world.serve(command)
