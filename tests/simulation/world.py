"""One history of producers, workers, network and server, from one seed."""

import contextvars
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from random import Random
from typing import Any
from unittest import mock

from simulation.model_server import ModelServer
from simulation.network import Network
from simulation.oracle import Broken, Oracle
from simulation.process import Died, Process, ProducerProcess, WorkerProcess
from simulation.replica import Replica
from ttp.coordination import commands
from ttp.coordination.backoff import Backoff
from ttp.coordination.commands import Command
from ttp.coordination.keys import Keys
from ttp.native import MemoryPool, Outbox, Route
from ttp.worker.handler import Handler
from ttp.worker.scoreboard import Layout, Scoreboard

EPOCH = 4_000_000_000.0  # later than any clock of ours: created_at is not simulated
SKEW = 3.4 * 86_400.0  # the clocks jump by less than a week in all: what keeps a chain on the server lives 8 days
STEPS = 120  # until everything is left to come to rest
DEPTH = 3  # processes that wait for one another
_LAYOUT = Layout.of([Handler(n, "q", len, "sync", None, None, 1.0) for n in ("work", "child")], 1)  # type: ignore[arg-type]
_SLOT = Scoreboard(_LAYOUT).slot(0)  # counters nobody reads


def _nothing() -> None: ...


class Event:
    """What a process waits on: nobody wakes it, it looks again after a while."""

    def __init__(self, world: "World", process: Process) -> None:
        self._world = world
        self._process = process

    def wait(self, timeout: float) -> bool:
        self._world.wait(timeout)
        self._process.check()
        return False

    def is_set(self) -> bool:
        return False

    def set(self) -> None: ...
    def clear(self) -> None: ...


class World:
    """Everything there is. One thread: whoever waits lets others act meanwhile.

    Attributes:
        now: seconds; never runs backwards.
        faulty: things go wrong.
        client_skew, server_skew: what the clocks are off, seconds.
        failed_over: the server was replaced by its replica, once at least.
        digest: of all that the server was told, and when: the same for the same seed.
    """

    def __init__(self, seed: int, *, tell: bool = False) -> None:
        self.rng = rng = Random(seed)
        self.tell = tell
        self.now = 0.0
        self.faulty = True
        self.failed_over = False
        self.client_skew = self.server_skew = 0.0
        self.digest = 0
        # Some seeds are calm and some are wild.
        self.chance_of_a_cut = rng.choice([0.0, 0.002, 0.01, 0.05])
        self.chance_of_a_double = rng.choice([0.0, 0.01, 0.1])
        self._chance_of_harm = rng.choice([0.0, 0.01, 0.05])
        self.queue_limit = rng.choice([10**9] * 5 + [20_000])
        self.grace = rng.choice([0.05, 2.0])
        self.keys = Keys("plant", "q")
        self.network = Network(self)
        self.oracle = Oracle(self.keys)
        self.server = ModelServer(lambda: int((EPOCH + self.now + self.server_skew) * 1e6))
        self.replica = Replica(self.server, self.oracle)
        self._fails_over = rng.random() < 0.3
        self.slot = _SLOT
        unused = Outbox(MemoryPool(4096, 1), bytes(12), on_sealed=_nothing, on_submit=lambda _: None, on_full=_nothing)
        self.child_route = Route(unused, name="child", queue="q", owner=None)
        self._number = 0
        self._named = 0
        self._depth = 0
        self._processes: list[Process] = []

    # time; stands in for the module `time`

    def monotonic(self) -> float:
        self.now += 1e-6  # a loop that only looks at the clock ends
        return self.now

    def time(self) -> float:
        return EPOCH + self.now + self.client_skew

    def sleep(self, seconds: float) -> None:
        self.wait(seconds)

    def wait(self, seconds: float) -> None:
        """Let so much time pass; others act meanwhile."""
        end = self.now + max(0.0, seconds)
        if self._depth < DEPTH:
            for _ in range(self.rng.choice((0, 1, 1, 2)) if seconds < 0.01 else 3):
                self.step()
        self.now = max(self.now, end)

    def event(self, process: Process) -> Event:
        """For a process to wait on."""
        return Event(self, process)

    # what processes ask for

    def new_number(self) -> int:
        self._number += 1
        return self._number

    def token(self, _size: int) -> str:
        return f"{self.rng.getrandbits(32):08x}"

    def serve(self, command: Command) -> Any:
        """A command arrives at the server."""
        self.server.clients = self.network.names()
        frame = self.oracle.before(self.server, command)
        reply = self.server.execute(command)
        self.note(
            f"{command[0]!s} {str(command[1])[:8]} {len(reply) if isinstance(reply, list) else type(reply).__name__}"
        )
        self.oracle.after(command, frame, reply)
        return reply

    def nothing_to_read(self, command: Command) -> bool:
        """Whether a blocking read would wait."""
        streams = command[command.index("STREAMS") + 1 :]
        found = [self.server.store.keys[str(name).encode()] for name in streams[: len(streams) // 2]]
        return all(stream.last <= stream.delivered for stream in found)

    def note(self, what: str) -> None:
        """Something has happened."""
        self.digest = zlib.crc32(f"{self.now:.6f} {what}".encode(), self.digest)
        if self.tell:
            print(f"{self.now:10.4f} {'  ' * self._depth}{what}")  # noqa: T201

    # what happens

    def step(self) -> None:
        """Some process does something, or something goes wrong."""
        rng = self.rng
        self.now += rng.choice((0.0005, 0.001, 0.005, 0.02)) if rng.random() < 0.97 else rng.uniform(0.1, 1.0)
        self.network.deliver()
        if self._fails_over and self.faulty and (self.replica.is_behind(self.now) or rng.random() < 0.05):
            self.replica.follow(self.now)
        if self.faulty and rng.random() < self._chance_of_harm:
            self._harm()
        able = [p for p in self._processes if not p.over and p.frozen_until <= self.now]
        if not able:
            return
        process = rng.choice(able)
        if isinstance(process, WorkerProcess) and rng.random() < 0.4:
            self._turn(process, process.watch)
        elif not process.busy and not (isinstance(process, WorkerProcess) and process.watching):
            process.busy = True
            self._turn(process, process.turn)
            process.busy = False

    def _turn(self, process: Process, turn: Any) -> None:
        self.note(process.name)
        self._depth += 1
        try:
            contextvars.Context().run(turn)  # whoever waits here may run a handler
        except Died:
            pass
        except Exception:
            if not process.over:  # else it was killed meanwhile, and what is left of it reaches nobody
                raise
        finally:
            self._depth -= 1

    def _harm(self) -> None:
        rng = self.rng
        living = [p for p in self._processes if not p.over]
        process = rng.choice(living) if living else None
        harm = rng.choice(("kill", "freeze", "cut off", "clock", "memory", "stop", "kill", "fail over"))
        self.oracle.stats[harm] += 1
        self.note(f"{harm} {process.name if process else ''}")
        if harm == "fail over":
            self._fail_over()
        elif harm == "memory":
            self.server.out_of_memory = not self.server.out_of_memory
        elif harm == "clock":
            self.client_skew, self.server_skew = (rng.choice((skew, rng.uniform(-SKEW, SKEW))) for skew in
                                                  (self.client_skew, self.server_skew))  # fmt: skip
        elif process is None:
            return
        elif harm == "freeze":
            process.frozen_until = self.now + rng.expovariate(0.3)
        elif harm == "cut off":
            process.cut_off_until = self.now + rng.expovariate(0.5)
        elif harm == "stop" and isinstance(process, WorkerProcess):
            process.stop()
            self._start(WorkerProcess)
        elif harm == "kill":
            process.die()
            self.oracle.stats["killed"] += 1
            self.oracle.release(process.name)
            self._start(type(process))

    def die(self, process: WorkerProcess, number: int) -> None:
        """A worker dies over a task. Raises Died."""
        if not process.over:
            self.note(f"poison {number} {process.name}")
            process.die()
            self.oracle.died(process.worker.consumer, number)
            self._start(WorkerProcess)
        process.check()

    def _fail_over(self) -> None:
        """The server is replaced by its replica; perhaps all connections break."""
        if not self._fails_over or self.replica.is_behind(self.now):
            return
        self.oracle.stats["failed over"] += 1
        self.failed_over = True
        self.replica.promote()
        broken = self.rng.random() < 0.7
        for process in self._processes:
            if process.over:
                self.oracle.release(process.name)
            elif broken:
                process.cut_off_until = max(process.cut_off_until, self.now + self.rng.uniform(0.0, 0.5))

    def _start(self, kind: type[Process]) -> None:
        self._named += 1
        if kind is WorkerProcess:
            self._processes.append(WorkerProcess(self, f"worker {self._named}"))
        else:
            self._processes.append(ProducerProcess(self, f"producer {self._named}", self.rng.randint(5, 40)))

    def _drained(self) -> bool:
        self.server.clients = self.network.names()
        left = [self.server.execute(say) for say in (*commands.backlog(self.keys), ("ZCARD", self.keys.delayed))]
        producers = [p for p in self._processes if isinstance(p, ProducerProcess) and not p.over]
        return not any(int(number or 0) for number in left) and all(producer.idle for producer in producers)

    def run(self, steps: int) -> None:
        """Let it happen, then let everything come to rest, and judge. Raises Broken."""
        for kind in (ProducerProcess, ProducerProcess, WorkerProcess, WorkerProcess, WorkerProcess):
            self._start(kind)
        for _ in range(steps):
            self.step()
        self.faulty = self.server.out_of_memory = False
        self.client_skew = self.server_skew = SKEW
        for process in self._processes:
            process.frozen_until = 0.0
        self.network.deliver(everything=True)
        for _ in range(20_000):
            self.step()
            if self._drained():
                break
        else:
            raise Broken("it never drains")
        self.network.deliver(everything=True)
        self.oracle.judge(self.server)
        if not self._chance_of_harm:
            self.oracle.judge_deaths()
        for process in self._processes:
            if isinstance(process, ProducerProcess):
                self.oracle.stats["resent"] += process.producer.counts.resent
            if isinstance(process, ProducerProcess) and not process.over:
                used, _ = process.producer.blocks
                if used:
                    raise Broken(f"{used} blocks of {process.name} are not given back")


@contextmanager
def _in_place_of_chance(world: World) -> Iterator[None]:
    """All that the client leaves to time and chance comes from the world."""
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith(("ttp.producer", "ttp.worker", "ttp.policy")):
                if vars(module).get("time") is time:
                    stack.enter_context(mock.patch.object(module, "time", world))
                if vars(module).get("Backoff") is Backoff:
                    stack.enter_context(mock.patch.object(module, "Backoff", partial(Backoff, world.rng)))
        stack.enter_context(mock.patch("ttp.worker.draft.secrets.randbits", world.rng.getrandbits))
        stack.enter_context(mock.patch("ttp.worker.worker.secrets.token_hex", world.token))
        stack.enter_context(mock.patch("ttp.producer.producer.BLOCKS", 6))
        stack.enter_context(mock.patch("ttp.producer.producer.BLOCK_SIZE", 512))
        yield


def simulate(seed: int, steps: int = STEPS, *, tell: bool = False) -> World:
    """One history. Raises Broken where the promise does not hold."""
    world = World(seed, tell=tell)
    with _in_place_of_chance(world):
        world.run(steps)
    return world
