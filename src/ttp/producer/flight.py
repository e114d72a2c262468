"""Frames on their way: what goes over a connection, and what its replies mean. Under the producer's lock."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from ttp.coordination import commands
from ttp.coordination.commands import Command
from ttp.coordination.keys import Keys
from ttp.coordination.replies import ReplyError, checked
from ttp.native import FrameWriter, Route
from ttp.policy import Clock
from ttp.producer.chain import Chain
from ttp.producer.owned import OwnedChain, Owner
from ttp.producer.window import ResendWindow

if TYPE_CHECKING:
    from ttp.coordination.connection import Connection
    from ttp.coordination.durability import Barrier
    from ttp.producer.stored import StoredChain

WINDOW = 8  # unanswered frames of a chain
MARKER_TTL_MS = 24 * 3600 * 1000  # how long the server remembers a task without an outcome
_CREATED_AT = slice(48, 56)  # of a frame's header
FULL_PAUSE = 0.02  # seconds between two tries at a queue that has no room


class Flight:
    """The chains of one producer, and the replies it awaits.

    Args:
        chain_id: of its chains.
        limits: bytes and tasks a queue may hold before it answers FULL; 0 tasks: any number.
        window: accepted frames, should the server lose them.

    Attributes:
        asking: at the next sending the server is asked where the chains stand whose frames it might have lost.
        backlog: frames in the stream of the last accepted one.
        full_until: when queues that were full are tried again; 0 where none was.
        chains: by queue, priority, and id if they are owned.
        owner: makes the chains of what is emitted; None: it goes with all else.
        accepted: frames that nobody has been told of yet; the producer takes them out.
        is_connected: to be disconnected, before it is connected anew.
    """

    def __init__(
        self,
        chain_id: str,
        keys: Callable[[str], Keys],
        clock: Clock,
        limits: tuple[int, int],
        window: ResendWindow,
    ) -> None:
        self._chain_id = chain_id
        self._keys = keys
        self._clock = clock
        self.limits = limits
        self.window = window
        self.asking = False
        self.chains: dict[tuple[str, int, str], Chain] = {}
        self.owner: Owner | None = None
        self.accepted: deque[FrameWriter] = deque()
        self.is_connected = False
        self.backlog = 0
        self.full_until = 0.0
        self._expected: deque[Callable[[Any], None]] = deque()
        self._heard = 0.0  # when a reply came, or the first one was asked for
        self._barrier: Barrier | None = None
        self._written: list[Callable[[], None]] = []  # answers that wait for a barrier
        self._barrier_due: Keys | None = None

    def __iter__(self) -> Iterator[FrameWriter]:
        """Every frame that is not accepted, but for those that may wait on disk."""
        return (frame for chain in self.chains.values() if not chain.on_disk for frame in chain)

    @property
    def stored(self) -> "list[StoredChain]":
        """The chains whose frames may wait on disk."""
        return [chain for chain in self.chains.values() if chain.on_disk]  # type: ignore[misc]

    @property
    def unanswered(self) -> int:
        """Replies that are awaited."""
        return len(self._expected)

    def chain(self, route: Route, *, emitted: bool) -> Chain:
        """The chain of what goes along a route; made where there is none."""
        owner = self.owner if emitted else None
        owned = owner.chain_id(route.name) if owner is not None else ""
        chain = self.chains.get((route.queue, route.priority, owned))
        if chain is None:
            chain = Chain(self._chain_id) if owner is None else owner.chain(route.queue, route.priority, owned)
            self.add(route.queue, route.priority, owned, chain)
        return chain

    def add(self, queue: str, priority: int, owned: str, chain: Chain) -> None:
        """Take over a chain; `owned` is its id if it is owned."""
        self.chains[queue, priority, owned] = chain
        chain.window, chain.accepted = self.window, self.accepted
        if self.is_connected:
            chain.connected()

    def connected(self, barrier: "Barrier") -> None:
        """There is a new connection, and this is what makes its frames durable."""
        self._barrier = barrier if barrier.needed else None
        self.is_connected = True
        self.asking = True  # it may be another server, which has not heard of all
        for chain in self.chains.values():
            chain.connected()

    def disconnected(self) -> None:
        """The connection is gone: what was not answered will be sent again."""
        self._expected.clear()
        self._written.clear()
        self._barrier_due = None
        self.window.interrupted()
        for chain in self.chains.values():
            chain.disconnected()
        self.is_connected = False

    def silence(self, now: float) -> float:
        """Seconds for which a reply has been awaited in vain."""
        return now - self._heard if self._expected else 0.0

    def send(self, connection: "Connection") -> None:
        """Send what may be sent."""
        batch = self._questions() if self.asking else []
        for (queue, priority, _), chain in self.chains.items():
            if chain.full and time.monotonic() < self.full_until:
                continue
            owner = None
            if isinstance(chain, OwnedChain):
                if chain.owner is None and (len(chain) or chain in self.window):
                    self._resume(connection, queue, priority, chain)
                owner = chain.owner
            for previous, frame in chain.sendable(WINDOW):
                keys = self._keys(queue)
                connection.ensure_queue(keys, "producer")
                batch.append(
                    commands.submit(
                        keys,
                        priority=priority,
                        chain=chain.id,
                        prev=previous,
                        fid=frame.fid,
                        due_ms=self._due_ms(connection, frame),
                        tasks=len(frame),
                        limit=self.limits[0],
                        task_limit=self.limits[1],
                        owner=owner,
                        frame=frame.data(),
                        results_ttl_ms=MARKER_TTL_MS if frame.route.results else 0,
                    )
                )
                self._expected.append(partial(self._answered, chain))
                self._barrier_due = keys
        if self._barrier is not None and self._barrier_due is not None:
            batch += self._barrier.commands(self._barrier_due)
            self._expected += (_ignored, partial(self._passed, self._barrier_due))
        self._barrier_due = None
        if batch:
            if len(batch) == len(self._expected):
                self._heard = time.monotonic()
            connection.send(batch)

    def _questions(self) -> list[Command]:
        """Where do the chains stand whose frames the server might have lost?"""
        self.asking = False
        out: list[Command] = []
        for (queue, priority, _), chain in self.chains.items():
            if chain not in self.window or (isinstance(chain, OwnedChain) and chain.owner is None):
                continue
            keys = self._keys(queue)
            out.append(commands.last_accepted(keys, priority, chain.id))
            self._expected.append(partial(self._told, chain))
            self._barrier_due = keys
        return out

    def _told(self, chain: Chain, reply: Any) -> None:
        """The answer to a question."""
        last, owner = commands.last_accepted_reply(reply)
        told = partial(chain.owned_by, owner, last) if isinstance(chain, OwnedChain) else partial(chain.stands, last)
        self._when_durable(told)

    def position(self, connection: "Connection", route: Route) -> int:
        """Tasks that were ever accepted along a route of a named producer."""
        chain = self.chain(route, emitted=True)
        assert isinstance(chain, OwnedChain)
        if chain.owner is None:
            self._resume(connection, route.queue, route.priority, chain)
        return chain.position

    def _resume(self, connection: "Connection", queue: str, priority: int, chain: OwnedChain) -> None:
        """Become the owner of a chain, and hear where it stands."""
        keys = self._keys(queue)
        connection.ensure_queue(keys, "producer")
        (reply,) = connection.call_many([commands.resume(keys, priority, chain.id)])
        if isinstance(reply, ReplyError) and reply.code == "OOM":
            chain.full, self.full_until = True, time.monotonic() + FULL_PAUSE
        else:
            chain.resumed(*commands.resume_reply(reply))

    def take(self, reply: Any) -> None:
        """One reply, the oldest outstanding."""
        self._expected.popleft()(reply)
        self._heard = time.monotonic()
        self.window.answered(self._heard)

    def _answered(self, chain: Chain, reply: Any) -> None:
        status, last = commands.submit_reply(reply)
        self.backlog = commands.submit_backlog(reply)
        self._when_durable(partial(self._advance, chain, status, last))

    def _advance(self, chain: Chain, status: str, last: int | None) -> None:
        chain.answer(status, last)
        self.full_until = time.monotonic() + FULL_PAUSE if chain.full else 0.0

    def _when_durable(self, heed: Callable[[], None]) -> None:
        """Heed an answer: at once, or when a barrier behind it is passed."""
        if self._barrier is None:
            heed()
        else:
            self._written.append(heed)

    def _passed(self, keys: Keys, reply: Any) -> None:
        """The answers before the barrier count, or the barrier is to be sent again."""
        assert self._barrier is not None
        if not self._barrier.passed(reply):
            self._barrier_due = keys
            return
        written, self._written = self._written, []
        for heed in written:
            heed()

    def withdraw(self, frame: FrameWriter) -> bool:
        """Take back a frame that is surely not on the server; False where that is not sure."""
        return any(chain.withdraw(frame) for chain in self.chains.values())

    def oldest_unsent(self) -> FrameWriter | None:
        """The oldest frame that is surely not on the server; None where there is none."""
        firsts = [frame for chain in self.chains.values() if (frame := chain.first_unsent()) is not None]
        return min(firsts, key=lambda frame: bytes(frame.data()[_CREATED_AT])[::-1], default=None)

    def _due_ms(self, connection: "Connection", frame: FrameWriter) -> int | None:
        """When a delayed frame is due, by the server's clock. Read at sending, so never early."""
        route = frame.route
        if route.at:
            return round(route.at * 1000)
        if route.delay:
            return round((self._clock.time() + route.delay) * 1000) + connection.offset_us // 1000
        return None


def _ignored(reply: Any) -> None:
    """The write of nothing that a barrier begins with."""
    checked(reply)
