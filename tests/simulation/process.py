"""The processes of a simulation: real producers and workers, turned by hand instead of by their threads."""

import contextlib
from typing import TYPE_CHECKING

from simulation.network import Connection
from simulation.oracle import POISON, REJECTED
from ttp.errors import QueueFull, Reject, ServerRefused, ServerUnavailable, TtpError
from ttp.native import FrameWriter, Route, scope
from ttp.policy import Clock, RetryPolicy
from ttp.producer.producer import OnFull, Producer
from ttp.worker import watchdog as watchdog_module
from ttp.worker.handler import Handler
from ttp.worker.job import Job
from ttp.worker.settings import Settings
from ttp.worker.worker import Worker

if TYPE_CHECKING:
    from simulation.world import World

RETRY = RetryPolicy(max_attempts=3, base_delay=0.2, max_delay=2.0)
TEN_DAYS = 864_000.0


class Died(BaseException):
    """The process was killed: nothing it does from here on reaches anybody."""


class Process:
    """One process and what may befall it.

    Attributes:
        over: it has ended, or was killed.
        busy: it is in the midst of something: time passes there, and others act.
    """

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.over = False
        self.busy = False
        self.frozen_until = 0.0
        self.cut_off_until = 0.0
        self._connections: list[Connection] = []

    def check(self) -> None:
        """Raises Died once the process is."""
        if self.over:
            raise Died

    def is_cut_off(self) -> bool:
        """No packet of it arrives."""
        return self.world.faulty and self.world.now < self.cut_off_until

    def connect(self, name: str | None, timeout: float) -> Connection:
        """Open a connection, which takes time."""
        self.check()
        self.world.wait(self.world.rng.uniform(0.0, 0.01))
        self.check()
        if self.is_cut_off():
            self.world.wait(timeout)
            self.check()
            raise ServerUnavailable("no server there")
        connection = Connection(self.world, self, name)
        self._connections = [connection, *(known for known in self._connections if known.connected)]
        return connection

    def die(self) -> None:
        """It is killed: its machine closes its connections at once."""
        self.over = True
        for connection in self._connections:
            connection.close(seen=True)

    def turn(self) -> None:
        """Do something."""
        raise NotImplementedError


def listen(producer: Producer, world: "World", name: str) -> None:
    """Tell the oracle of the producer's frames. It needs no flusher thread."""
    producer.outbox.attended = True
    pump = producer._pump
    collect, settle = pump.collect, pump.settle

    def collected() -> None:
        collect()
        for (_, priority, _), chain in pump.flight.chains.items():
            pushed = world.oracle.pushed.setdefault((producer.outbox.producer, priority), [])
            pushed += [frame.fid for frame in chain if frame.fid not in pushed]

    def settled(frame: FrameWriter, outcome: object) -> None:
        if outcome is True:
            world.oracle.promised_frames[frame.fid] = len(frame), name
        else:
            world.oracle.refused_frames.add(frame.fid)
        settle(frame, outcome)

    pump.collect, pump.settle = collected, settled  # type: ignore[method-assign]


class ProducerProcess(Process):
    """Emits, submits and flushes tasks."""

    def __init__(self, world: "World", name: str, tasks: int) -> None:
        super().__init__(world, name)
        self.left = tasks
        policies: tuple[OnFull, ...] = ("block", "error", "drop_oldest")
        self.producer = Producer(
            keys=lambda _: world.keys,
            open_connection=lambda timeout: self.connect(None, timeout),  # type: ignore[arg-type, return-value]
            queue_limit=world.queue_limit,
            queue_tasks=0,
            on_full=world.rng.choice(policies),
            submit_timeout=1.0,
            clock=Clock(),
        )
        listen(self.producer, world, name)
        self._emit = [self._route(priority, submit=False) for priority in range(2)]
        self._submit = [self._route(priority, submit=True) for priority in range(2)]

    def _route(self, priority: int, *, submit: bool) -> Route:
        return Route(
            self.producer.outbox, name="work", queue="q", owner=None, priority=priority, submit=submit, results=submit
        )

    @property
    def idle(self) -> bool:
        """All it was told to send is accepted."""
        flight = self.producer._flight
        unsure = self.world.failed_over and flight.window  # it may not have noticed yet
        return not self.left and not self.producer.outbox.open and not any(flight) and not unsure

    def turn(self) -> None:
        rng = self.world.rng
        with contextlib.suppress(QueueFull, ServerUnavailable):
            what = rng.random() if self.left else 1.0
            if what < 0.4:
                for _ in range(rng.randint(1, 12)):
                    self._call(self._emit[rng.random() < 0.8])
            elif what < 0.6:
                self._call(self._submit[rng.random() < 0.8])
            elif what < 0.65:
                self.producer.flush(rng.choice([0.1, 1.0]))
            else:
                with self.producer._io:
                    self.producer.outbox.seal()
                    self.producer._pump.turn()

    def _call(self, route: Route) -> None:
        if not self.left:
            return
        self.left -= 1
        number = self.world.new_number()
        oracle = self.world.oracle
        try:
            accepted = route(number)
        except TtpError as error:
            # What may still be accepted says so; everything else was not sent.
            if "may still be accepted" not in str(error):
                oracle.refused.add(number)
            raise
        if accepted is not None:
            oracle.promised[number] = self.name


class WorkerProcess(Process):
    """A worker: its own thread, and the watchdog beside it."""

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world, name)
        self._watching = False
        self._started = False
        self._tick_at = self._scan_at = 0.0
        handlers = {
            name: Handler(name, "q", function, "sync", RETRY, None, TEN_DAYS)
            for name, function in (("work", self._work), ("child", self._child))
        }
        self.worker = Worker(
            handlers=handlers,
            queues=[world.keys],
            open_connection=self.connect,  # type: ignore[arg-type]
            settings=Settings(grace=world.grace, lease=1.0, stall=4.0),
            clock=Clock(),
            slot=world.slot,
        )
        self._hold = self.worker._committer.hold
        self.worker._committer.hold = self._hold_unwatched  # type: ignore[method-assign]
        self.worker._inbox._rng = world.rng
        self.worker._hand.room = world.event(self)  # type: ignore[assignment]
        self.worker._closed = self.worker._committer.line._closed = world.event(self)  # type: ignore[assignment]

    # handlers: what they do depends on the number alone

    def _work(self, number: int) -> int:
        what = number % 24
        current = scope.get()
        assert current is not None
        if what == POISON:
            self.world.die(self, number)
        if what in (3, 4):
            self.world.wait(self.world.rng.choice([0.03, 0.08, 0.3]))
        if what == 1 and current.frame.attempt == 1:
            raise ValueError("once more")
        if what == REJECTED:
            raise Reject("never")
        if what in (4, 5):
            self.world.child_route(number)
        return 2 * number

    def _child(self, number: int) -> int:
        return 2 * number

    def _hold_unwatched(self, job: Job) -> bool:
        """Hold a job; the watchdog would wait for the line meanwhile."""
        self._watching = True
        try:
            return self._hold(job)
        finally:
            self._watching = False

    def turn(self) -> None:
        """A turn of the worker's own thread."""
        worker = self.worker
        if not self._started:
            self._started = True
            worker._reconnect()
            return
        try:
            if worker._finished():
                self._watching = True  # from here on the line is the worker's own
                worker._end()
                self.over = True
            else:
                worker._work()
        except ServerUnavailable:
            worker._reconnect()

    def watch(self) -> None:
        """A turn of the watchdog's thread."""
        if self._watching or not self._started or self.over:
            return
        self._watching = True
        watchdog, world = self.worker._watchdog, self.world
        try:
            watchdog._look(world.now)
            if world.now >= self._tick_at:
                self._tick_at = world.now + watchdog._tick()
            if world.now >= self._scan_at:
                self._scan_at = world.now + watchdog_module.SCAN
                watchdog._scan()
        except ServerRefused:
            raise
        except ServerUnavailable:
            pass
        finally:
            self._watching = False

    @property
    def watching(self) -> bool:
        """Its watchdog is in the midst of something, and holds its locks."""
        return self._watching

    def stop(self) -> None:
        """SIGTERM."""
        self.worker.stop()
