"""A model of producers, workers and network that drives the real scripts at random, and keeps count.

Requests are lost, late, doubled and reordered, replies are lost; producers are cloned; workers are declared
dead while they live, and go on as zombies; the server is rolled back; it is out of memory; permissions go
away.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from faulty_server import FaultyServer, Shadow
from real_server import Server
from ttp.coordination import commands, dead_frames
from ttp.coordination.commands import Command, Entry, Placement, Results
from ttp.coordination.keys import Keys
from ttp.coordination.records import DeadEntry

DAY = 86_400_000
WHOLE = 10**15  # a limit that nothing meets
LATER = 10**10  # ms: an offset under which everything is due
Send = Callable[[Command], Any]


def frame_of(fid: int, origin: int, tasks: list[str]) -> bytes:
    """A frame as far as the scripts look: the fid is where a header has it."""
    return bytes(16) + fid.to_bytes(8, "little") + f"{origin}|{','.join(tasks)}".encode()


def read_frame(frame: bytes) -> tuple[int, list[str]]:
    """(origin, tasks)."""
    origin, _, tasks = frame[24:].decode().partition("|")
    return int(origin), tasks.split(",")


@dataclass
class Outcome:
    """What a history came to, once everything was drained."""

    lost: int
    doubled: int
    invented: int
    tasks: int
    counters: dict[str, int]
    stats: Counter[str]

    @property
    def sound(self) -> bool:
        """Whether the promise holds, and the counters agree."""
        left = [self.counters[name] for name in ("tasks", "bytes", "waiting")]
        return not (self.lost or self.doubled or self.invented or any(left)) and self.counters["done"] == self.tasks


@dataclass
class Producer:
    """Keeps all its frames, so that it can fill in what a rollback took away."""

    chain: str
    frames: list[tuple[int, list[str], int | None]] = field(default_factory=list)  # fid, tasks, due
    accepted: int = 0


@dataclass
class Worker:
    """Believes that it owns what is in `hand`; it may be wrong."""

    name: str
    hand: list[Entry] = field(default_factory=list)


class Model:
    """One history on one server, which is its own."""

    def __init__(
        self,
        server: Server,
        seed: int,
        *,
        clones: bool,
        rollback: bool,
        without: Callable[[str], str] | None = None,
        shadow: Shadow | None = None,
    ) -> None:
        self.rng = random.Random(seed)
        self.clones, self.rollback = clones, rollback
        self.keys = Keys("plant", "q")
        self.server = FaultyServer(server, self.keys, self.rng, without, shadow)
        self.call, self.net, self.stats = self.server.call, self.server.net, self.server.stats
        self.producers = [self.producer() for _ in range(3)]
        self.workers = [self.worker() for _ in range(4)]
        self.wanted: set[str] = set()
        self.graveyard: list[DeadEntry] = []

    # producers

    def new_fid(self) -> int:
        return self.rng.getrandbits(64) or 1

    def producer(self, chain: str = "") -> Producer:
        return Producer(chain or f"{self.rng.getrandbits(60):x}")

    def produce(self, producer: Producer) -> None:
        tasks = []
        for _ in range(self.rng.randint(1, 4)):
            tasks.append(f"t{len(self.wanted)}")
            self.wanted.add(tasks[-1])
        producer.frames.append((self.new_fid(), tasks, self.rng.choice([None, None, None, 5])))

    def pump(self, producer: Producer, send: Send, limit: int) -> None:
        replies = []
        base = producer.accepted
        for i in range(base, min(len(producer.frames), base + self.rng.randint(1, 5))):
            fid, tasks, due = producer.frames[i]
            command = commands.submit(
                self.keys,
                priority=1,
                chain=producer.chain,
                prev=producer.frames[i - 1][0] if i else None,
                fid=fid,
                due_ms=due,
                tasks=len(tasks),
                limit=limit,
                frame=frame_of(fid, fid, tasks),
                results_ttl_ms=DAY,
            )
            replies.append(send(command))
        for reply in replies:
            if reply is None:
                continue
            status, last = commands.submit_reply(reply)
            self.stats[status] += 1
            if self.server.out_of_memory and status == "OK":
                self.stats["accepted out of memory"] += 1
            known = [fid for fid, _, _ in producer.frames]
            position = 0 if last is None else known.index(last) + 1 if last in known else None
            if position is None or (position == 0 and producer.accepted and not self.rollback):
                producer.chain = f"{self.rng.getrandbits(60):x}"  # a clone's chain now
                producer.frames = producer.frames[producer.accepted :]
                producer.accepted = 0
                self.stats["new chain"] += 1
                return
            producer.accepted = position if self.rollback else max(producer.accepted, position)

    # workers

    def worker(self) -> Worker:
        return Worker(f"w{self.rng.getrandbits(50)}")

    @property
    def streams(self) -> list[str]:
        return [*self.keys.streams, self.keys.held]

    def fetch(self, worker: Worker) -> None:
        reply = self.call(commands.read_group(worker.name, self.keys.streams, 2, None))
        if self.rng.random() > 0.1:
            worker.hand += commands.entries(reply)

    def adopt(self, worker: Worker) -> None:
        """Take up what is pending for the worker and not in its hand: replies were lost."""
        for stream in self.streams:
            for entry_id in commands.pending_ids(self.call(commands.pending(stream, worker.name)) or []):
                if not any(entry.id == entry_id for entry in worker.hand):
                    worker.hand += commands.range_entries(stream, self.call(commands.entry(stream, entry_id)) or [])

    def claim(self, worker: Worker, other: Worker, stream: str, limit: int = 3) -> None:
        crashed = self.rng.random() < 0.5
        reply = self.call(
            commands.claim(
                self.keys, source=stream, dead=other.name, consumer=worker.name, crashed=crashed, limit=limit
            )
        )
        if reply is not None:
            worker.hand += commands.claim_reply(stream, reply)

    def commit(self, worker: Worker, send: Send, *, final: bool = False, zombie: bool = False) -> None:
        if not worker.hand:
            return
        entry = worker.hand[self.rng.randrange(len(worker.hand))]
        origin, tasks = read_frame(entry.frame or b"")
        parts: dict[str, list[str]] = {kind: [] for kind in ("done", "held", "ready", "delayed", "dead")}
        for task in tasks:
            parts[
                "done" if final else self.rng.choice(["done", "done", "done", "held", "ready", "delayed", "dead"])
            ].append(task)
        placements: list[Placement] = []
        for kind in ("held", "ready", "delayed", "dead"):
            if parts[kind]:
                fid = self.new_fid()
                frame = frame_of(fid, origin, parts[kind])
                priority = self.rng.randrange(3)
                placements.append(
                    Placement(kind, frame, fid, len(parts[kind]), priority, due_ms=self.rng.choice([1, LATER // 2]))
                )
        born: list[str] = []
        if not final and self.rng.random() < 0.15:
            born = [f"k{self.rng.getrandbits(60)}" for _ in range(2)]
            fid = self.new_fid()
            placements.append(Placement("ready", frame_of(fid, fid, born), fid, 2, 1, results_ttl_ms=DAY, new=True))
        command = commands.commit(
            self.keys,
            source=entry.stream,
            entry_id=entry.id,
            consumer=worker.name,
            tasks=entry.tasks,
            size=len(entry.frame or b""),
            placements=placements,
            # The ledger: what was done, and who was born, in the commit itself.
            results=Results(origin, bytes(12), DAY, f"{','.join(parts['done'])};{','.join(born)}".encode()),
            done=len(parts["done"]),
            offset_ms=self.rng.choice([0, LATER]),
            promote=self.rng.random() < 0.5,
        )
        reply = None
        for _ in range(self.rng.randint(1, 3)):
            if (reply := send(command)) is not None:
                break
        status, held = commands.commit_reply(reply) if reply is not None else ("", "")
        self.stats[f"commit {status}"] += 1
        if self.server.out_of_memory and status == "OK":
            self.stats["committed out of memory"] += 1
        if zombie:
            return
        worker.hand.remove(entry)
        if held:
            kept = next(placement.frame for placement in placements if placement.kind == "held")
            worker.hand.append(Entry(self.keys.held, held, len(parts["held"]), bytes(kept)))

    def exhume(self, send: Send, *, everything: bool = False) -> None:
        """Look at the dead, and give some of a frame's tasks another chance; perhaps somebody did before."""
        if everything or not self.graveyard or self.rng.random() < 0.5:
            self.graveyard = dead_frames.entries(self.call(dead_frames.page(self.keys)) or [])
        if not self.graveyard:
            return
        dead = self.rng.choice(self.graveyard)
        origin, tasks = read_frame(dead.frame)
        revived = tasks if everything else self.rng.sample(tasks, self.rng.randint(1, len(tasks)))
        rest = [task for task in tasks if task not in revived]
        fid = self.new_fid()
        command = dead_frames.bury(
            self.keys,
            entry_id=dead.id,
            rest=frame_of(self.new_fid(), origin, rest) if rest else b"",
            rest_tasks=len(rest),
            revive=frame_of(fid, origin, revived),
            revive_fid=fid,
            revive_tasks=len(revived),
        )
        if (reply := send(command)) is not None:
            self.stats[f"bury {dead_frames.bury_reply(reply)[0]}"] += 1

    def tick(self, worker: Worker, offset_ms: int) -> None:
        self.call(commands.tick(self.keys, consumer=worker.name, offset_ms=offset_ms))

    # the history

    def step(self) -> None:
        rng = self.rng
        producer, worker = rng.choice(self.producers), rng.choice(self.workers)
        # Weights in thousandths.
        events: list[tuple[int, Callable[[], None]]] = [
            (120, lambda: self.produce(producer)),
            (180, lambda: self.pump(producer, self.net, rng.choice([WHOLE, WHOLE, 2000]))),
            (20, lambda: self.clone(producer)),
            (130, lambda: self.fetch(worker)),
            (270, lambda: self.commit(worker, self.net, zombie=rng.random() < 0.15)),
            (80, lambda: self.claim(worker, rng.choice(self.workers), rng.choice(self.streams))),
            (60, lambda: self.adopt(worker)),
            (40, lambda: self.tick(worker, rng.choice([0, LATER]))),
            (20, self.replace_worker),
            (70, self.server.arrive_late),
            (2, self.server.roll_back if self.rollback else lambda: None),
            (7, self.server.fill_memory),
            (3, lambda: self.server.revoke(self.try_meanwhile)),
            (20, lambda: self.exhume(self.net)),
        ]
        (event,) = rng.choices([event for _, event in events], [weight for weight, _ in events])
        event()

    def clone(self, producer: Producer) -> None:
        """A copy of an idle producer, as a fork or a restored image makes it."""
        if self.clones and len(self.producers) < 40 and producer.frames and producer.accepted == len(producer.frames):
            self.producers.append(Producer(producer.chain, list(producer.frames), producer.accepted))

    def replace_worker(self) -> None:
        """A new worker; the oldest is gone for good, and leaves entries pending."""
        self.workers = [*self.workers, self.worker()][-8:]

    def try_meanwhile(self, revoked: str) -> None:
        """Go on without a permission."""
        for _ in range(5):
            self.pump(self.rng.choice(self.producers), self.net, WHOLE)
            if revoked != "get":
                self.commit(self.rng.choice(self.workers), self.net)

    def drain(self) -> None:
        """Let everything arrive, and finish all work."""
        self.server.settle()
        last = self.worker()
        for _ in range(5000):
            for producer in self.producers:
                self.pump(producer, self.call, WHOLE)
            self.fetch(last)
            self.tick(last, LATER)
            for other in commands.beats_reply(self.call(commands.beats(self.keys))):
                for stream in self.streams:
                    if other != last.name:
                        self.claim(last, Worker(other), stream, 100)
            self.adopt(last)
            while last.hand:
                self.commit(last, self.call, final=True)
            self.exhume(self.call, everything=True)
            done = all(producer.accepted == len(producer.frames) for producer in self.producers)
            left = [
                self.call(command)
                for command in (*commands.backlog(self.keys), ("ZCARD", self.keys.delayed), ("XLEN", self.keys.dead))
            ]
            if done and not any(int(value or 0) for value in left[:4] + left[5:]):
                return
        raise AssertionError("this never ends")

    def run(self, steps: int) -> Outcome:
        for _ in range(steps):
            self.step()
        self.drain()
        wanted = self.wanted
        did: Counter[str] = Counter()
        for key in self.server.root.call("KEYS", f"{self.keys.prefix}R:*"):
            for name, blocks in commands.mapping(self.server.root.call("HGETALL", key)).items():
                if name in (b"q", b"r"):
                    continue
                done, _, born = blocks.decode().partition(";")
                did.update(filter(None, done.split(",")))
                wanted.update(filter(None, born.split(",")))
        counters = {
            name.decode(): int(value)
            for name, value in commands.mapping(self.server.root.call("HGETALL", self.keys.counters)).items()
        }
        self.server.root.call("FLUSHALL")
        return Outcome(
            lost=len(wanted - did.keys()),
            doubled=did.total() - len(did),
            invented=len(did.keys() - wanted),
            tasks=len(wanted),
            counters={name: counters.get(name, 0) for name in ("tasks", "bytes", "waiting", "done", "accepted")},
            stats=self.stats,
        )
