"""The facade: an app has tasks, sends them, and lets workers run them."""

import atexit
import inspect
import os
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, get_args, overload

from ttp.coordination.keys import Keys, check_name
from ttp.coordination.levels import Durability, check_durability
from ttp.decorator import Decorator, TaskDecorator, check_retry, check_ttl, is_async, name_of
from ttp.errors import ServerRefused
from ttp.native import TaskHandle
from ttp.native.types import argument_converter, result_converter
from ttp.policy import CircuitBreaker, Clock, RetryPolicy
from ttp.producer import BatchTask, Producer, Task
from ttp.producer.counts import SendingCounts
from ttp.producer.keeper import Fsync
from ttp.producer.producer import OnFull
from ttp.producer.task import Target
from ttp.producer.window import RESEND_LIMIT, RESEND_SECONDS
from ttp.results import ResultOwner, ResultReader
from ttp.task import PRIORITIES, Priority, TaskId
from ttp.tracing import Tracing
from ttp.worker.batch import Batch
from ttp.worker.handler import Handler, Joining, Lifespan

if TYPE_CHECKING:
    from ttp.coordination.connection import Connection
    from ttp.coordination.signing import SigningKeys
    from ttp.coordination.url import Target as ServerTarget
    from ttp.dead_letters import DeadLetter
    from ttp.producer.store import Store

P = ParamSpec("P")
R = TypeVar("R")
Row = TypeVar("Row")

QUEUE_LIMIT = 1 << 30  # bytes
STORE_LIMIT = 1 << 30  # bytes
STORE_LEAST = 4 << 20  # bytes: the largest frame, and a segment more, which is freed as a whole


class App:
    """Tasks under one name, on one server. No I/O until something is sent, asked or run.

    Args:
        name: part of every key on the server; letters, digits and `_.-`.
        url: redis://, rediss://, valkey:// or unix://; None: $TTP_URL, else the embedded server.
        lifespan: makes the context manager (sync or async) that each worker process enters; what it yields
            is `current_task().state`.
        imports: modules that only workers load, those with handlers of `remote` tasks.
        retry: the policy of tasks that have none of their own.
        result_ttl: seconds that outcomes of submitted tasks are kept; 0 keeps none.
        on_full: when the producer's pool is full, `emit` waits ("block", up to submit_timeout), raises
            QueueFull at once ("error"), drops the oldest tasks that were not sent yet ("drop_oldest"), or writes
            what cannot be sent now to disk ("store"), to be sent when the server is back or has room again.
        store: folder of on_full="store", for this process alone; None: ``store/NAME`` in the user's state directory.
        store_limit: bytes on disk; above that `emit` waits, and then raises QueueFull.
        store_fsync: when what is stored survives a power cut: "always" at once, "everysec" within about a second,
            "never" when the system gets round to it. It survives the process in any case.
        resend_seconds, resend_limit: how long, and how many bytes of, accepted frames are kept, to be sent again should
            the server go back behind them in a failover; time without an answer does not count. 0 keeps none.
        submit_timeout: seconds `submit` waits for acceptance.
        queue_limit: bytes that a queue may hold; above that it takes no more. Delayed and dead tasks count.
        queue_tasks: likewise tasks; None: as many as there is room for.
        producer: a name under which the server counts what is emitted, so that a later process goes on where this one
            ended (`position`). One process at a time: a later one fences it. Not with on_full="store".
        durability: what an accepted task survives: "memory" what the server's settings give, "everysec" the end of
            the server, "fsync" a power cut, "replica" the loss of the server. ServerRefused where it cannot give that.
        signing_key: signs all frames and results with HMAC-SHA256, and refuses others: at least 32 secret bytes,
            or `SigningKeys` that rotate; None: $TTP_SIGNING_KEYS, else nothing is signed.
        tracing: make spans of OpenTelemetry where tasks are sent and run (`ttp[otel]`).
    """

    def __init__(
        self,
        name: str,
        url: str | None = None,
        *,
        lifespan: Lifespan | None = None,
        imports: Sequence[str] = (),
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        result_ttl: float = 300.0,
        on_full: OnFull = "block",
        submit_timeout: float = 5.0,
        queue_limit: int = QUEUE_LIMIT,
        queue_tasks: int | None = None,
        store: str | os.PathLike[str] | None = None,
        store_limit: int = STORE_LIMIT,
        store_fsync: Fsync = "everysec",
        producer: str | None = None,
        durability: "Durability" = "memory",
        resend_seconds: float = RESEND_SECONDS,
        resend_limit: int = RESEND_LIMIT,
        signing_key: "bytes | SigningKeys | None" = None,
        tracing: bool = False,
    ) -> None:
        check_name("app", name)
        if on_full not in get_args(OnFull):
            raise ValueError(f"on_full must be one of {', '.join(get_args(OnFull))}, not {on_full!r}")
        if queue_limit < 1 or (queue_tasks is not None and queue_tasks < 1):
            raise ValueError("queue_limit and queue_tasks must be at least 1")
        if resend_seconds < 0 or resend_limit < 0:
            raise ValueError("resend_seconds and resend_limit must be at least 0: 0 keeps no accepted frame")
        if store_limit < STORE_LEAST:
            raise ValueError(f"store_limit must be at least {STORE_LEAST:,} bytes: room for the largest frames")
        if store_fsync not in get_args(Fsync):
            raise ValueError(f"store_fsync must be one of {', '.join(get_args(Fsync))}, not {store_fsync!r}")
        if producer is not None and check_name("producer", producer) and on_full == "store":
            raise ValueError('on_full="store" keeps an identity in its folder: leave out producer')
        if url:
            _server(url)  # else the first who sends would hear that it is none
        self.name = name
        self.url = url
        self.lifespan = lifespan
        self.imports = tuple(imports)
        self.clock = Clock()
        self._signing = _signing(signing_key)
        self._tracing = Tracing() if tracing else None
        self._retry = check_retry(retry) or RetryPolicy()
        self._result_ttl = check_ttl(result_ttl)
        self._handlers: dict[str, Handler] = {}
        self._keys: dict[str, Keys] = {}
        self._producer_name = producer
        self._producer = Producer(
            keys=self.keys,
            open_connection=self.open_connection,
            queue_limit=queue_limit,
            queue_tasks=queue_tasks or 0,
            on_full=on_full,
            submit_timeout=submit_timeout,
            durability=check_durability(durability),
            clock=self.clock,
            open_store=partial(self._open_store, store, store_limit, store_fsync),
            name=producer,
            resend_seconds=resend_seconds,
            resend_limit=resend_limit,
        )
        self._reader = ResultReader(
            open_connection=self.open_connection,
            channel=lambda: self.keys("default").channel(self._producer.outbox.producer),
            clock=self.clock,
        )
        ref = weakref.ref(self)

        def close() -> None:
            if (app := ref()) is not None:
                app.close()

        atexit.register(close)

    def __repr__(self) -> str:
        return f"<App {self.name!r}, {len(self._handlers)} tasks>"

    def _open_store(
        self, folder: str | os.PathLike[str] | None, limit: int, fsync: Fsync, counts: SendingCounts
    ) -> "Store":
        from pathlib import Path  # noqa: PLC0415 - import ttp has to be quick

        from ttp.producer.store import Store  # noqa: PLC0415

        if folder is None:
            from ttp.coordination import embedded  # noqa: PLC0415

            folder = embedded.state_directory() / "store" / self.name
        return Store(Path(folder), app=self.name, limit=limit, fsync=fsync, counts=counts, clock=self.clock)

    # tasks

    @property
    def task(self) -> TaskDecorator:
        """Make a function a task: `@app.task`, or `@app.task(name=…, queue=…)` and so on.

        Args:
            name: under which workers know it; default: the function's qualified name.
            queue: the queue its calls go to.
            priority: "high", "normal" or "low".
            timeout: seconds after which a running handler gets `TaskTimeout` (async: is cancelled).
            retry: when a failed call is tried again; default: the app's policy.
            result_ttl: seconds that outcomes are kept; default: the app's.
            breaker: of the dependency that the handler calls; while it is open, calls are put off.
        """
        return Decorator(self._retry, self._result_ttl, self._tracing, self._add, self._target)

    def batch(
        self,
        row: Callable[P, Row],
        /,
        *,
        name: str | None = None,
        queue: str = "default",
        retry: RetryPolicy | None = None,
        breaker: CircuitBreaker | None = None,
        max_events: int = 4096,
        max_wait: float = 0.0,
    ) -> Callable[[Callable[[Batch[Row]], None]], BatchTask[P, Row]]:
        """Make a function the handler of whole batches of one row class (a dataclass).

        Each event is submitted or emitted with the row's fields. `Batch.fail` fails single rows; where the handler
        raises, the rows at fault are found by halving.

        Args:
            row: makes an event of its fields; these are the columns.
            max_events: most events in one call.
            max_wait: seconds that an event may wait for others: frames are joined, up to max_events in a call.
                0: each frame is handled by itself.
        """
        if max_events < 1:
            raise ValueError(f"max_events must be at least 1, not {max_events}")
        if not 0.0 <= max_wait < float("inf"):
            raise ValueError(f"max_wait must be a number of seconds, not {max_wait}")

        def decorate(function: Callable[[Batch[Row]], None]) -> BatchTask[P, Row]:
            if is_async(function):
                raise TypeError("a batch handler cannot be a coroutine function: let a plain one call asyncio.run")
            handler = Handler(
                name=name or name_of(function),
                queue=check_name("queue", queue),
                function=function,
                kind="batch",
                retry=check_retry(retry) or self._retry,
                timeout=None,
                result_ttl=self._result_ttl,
                row=argument_converter(row) or row,
                max_events=max_events,
                joining=Joining(max_wait) if max_wait else None,
                breaker=breaker,
                tracing=self._tracing,
            )
            signature = inspect.signature(row)
            target = self._target(handler.name, queue, signature, self._result_ttl, "normal", None)
            task = BatchTask[P, Row](target, function, row)
            self._add(handler)  # last: what raises leaves nothing behind
            return task

        return decorate

    @overload
    def remote(self, name_or_signature: str, /, *, queue: str = "default") -> Task[..., Any]: ...
    @overload
    def remote(self, name_or_signature: Callable[P, Awaitable[R]], /, *, queue: str = "default") -> Task[P, R]: ...
    @overload
    def remote(self, name_or_signature: Callable[P, R], /, *, queue: str = "default") -> Task[P, R]: ...
    def remote(self, name_or_signature: Any, /, *, queue: str = "default") -> Task[..., Any]:
        """A task whose code lives elsewhere: submit and emit only.

        Args:
            name_or_signature: the task's name, or a function of that name with the handler's signature
                (its body is never run), which types the calls and checks them.
            queue: the queue its workers serve.
        """
        if isinstance(name_or_signature, str):
            return Task(self._target(name_or_signature, queue, None, self._result_ttl, "normal", None))
        function = name_or_signature
        signature = inspect.signature(function)
        name = function.__qualname__
        return Task(self._target(name, queue, signature, self._result_ttl, "normal", result_converter(function)))

    def _add(self, handler: Handler) -> None:
        if handler.name in self._handlers:
            raise ValueError(f"two tasks are named {handler.name!r}: give one of them name=…")
        self._handlers[handler.name] = handler

    def _target(
        self,
        name: str,
        queue: str,
        signature: inspect.Signature | None,
        result_ttl: float,
        priority: Priority,
        returned: Callable[[Any], Any] | None,
    ) -> Target:
        return Target(
            producer=self._producer,
            name=name,
            queue=check_name("queue", queue),
            owner=ResultOwner(self._reader, self.keys(queue), returned),
            results=result_ttl > 0,
            signature=signature,
            priority=PRIORITIES[priority],
            tracing=self._tracing,
        )

    # sending

    def handle(self, task_id: str) -> TaskHandle[Any]:
        """The handle of a task by its id, from any process. ValueError if it is no id."""
        parsed = TaskId.parse(task_id)
        return TaskHandle(ResultOwner(self._reader, self.keys(parsed.queue)), parsed.origin, parsed.index)

    def dead_letters(self, queue: str = "default") -> "Iterator[DeadLetter]":
        """The queue's dead tasks, oldest first."""
        from ttp.dead_letters import dead_letters  # noqa: PLC0415 - producers do without

        return dead_letters(self.keys(queue), self._reader.call)

    def flush(self, timeout: float | None = None) -> None:
        """Return when all that was emitted before is accepted.

        Raises:
            ServerUnavailable, QueueFull: not within timeout (default: submit_timeout) seconds; what is not
                accepted is kept and sent again.
        """
        self._producer.flush(timeout)

    @property
    def sending(self) -> SendingCounts:
        """What became of the tasks that this process sent, by reason: a snapshot."""
        return replace(self._producer.counts)

    def position(self, task: Task[..., Any]) -> int:
        """How many calls of `task.emit` the server has accepted from this app's named producer, all processes counted.

        Where the calls come from a source that can be read again, that is the row to go on with. Ask before the first
        call: this process is the producer's owner from then on, and what an earlier one still sends is refused.

        Raises:
            ValueError: the app has no producer name.
            ServerUnavailable: no server in submit_timeout seconds.
        """
        if self._producer_name is None:
            raise ValueError("only a named producer has a position: App(producer=…)")
        return self._producer.position(task.emit)  # type: ignore[arg-type]

    async def aflush(self) -> None:
        """`flush` for event loops."""
        import asyncio  # noqa: PLC0415 - only programs that have an event loop pay for it

        await asyncio.to_thread(self.flush)

    def close(self, timeout: float = 5.0) -> None:
        """Flush, for at most timeout seconds, and end all threads and connections. Logs what was not accepted."""
        self._producer.close(timeout)
        self._reader.close()
        if self._tracing is not None:
            self._tracing.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # what workers and tools ask

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The tasks that can be run here, by name."""
        return self._handlers

    @property
    def producer(self) -> Producer:
        """What sends this process's tasks."""
        return self._producer

    def keys(self, queue: str) -> Keys:
        """The keys of a queue."""
        if (keys := self._keys.get(queue)) is None:
            keys = self._keys[queue] = Keys(self.name, queue, signing=self._signing)
        return keys

    @property
    def server(self) -> "ServerTarget":
        """Where the server is; starts the embedded one if there is no URL and it does not run."""
        if url := self.url or os.environ.get("TTP_URL"):
            try:
                return _server(url)
            except ValueError as error:  # that of the app was looked at before
                raise ServerRefused(f"$TTP_URL: {error}") from None
        from ttp.coordination import embedded  # noqa: PLC0415 - only where it is used

        return embedded.ensure()

    def open_connection(self, timeout: float, name: str | None = None) -> "Connection":
        """A new connection. ServerUnavailable if none can be had in timeout seconds."""
        from ttp.coordination.connection import Connection  # noqa: PLC0415 - import ttp has to be quick

        connection = Connection(self.server, name=name, connect_timeout=timeout)
        connection.connect()
        return connection


def _server(url: str) -> "ServerTarget":
    from ttp.coordination.url import Target as ServerTarget  # noqa: PLC0415 - not before it is needed

    return ServerTarget.parse(url)


def _signing(key: "bytes | SigningKeys | None") -> "SigningKeys | None":
    if key is None and not os.environ.get("TTP_SIGNING_KEYS"):
        return None
    from ttp.coordination.signing import SigningKeys  # noqa: PLC0415 - only where it is used

    if key is None:
        return SigningKeys.from_environment()
    return SigningKeys({1: key}) if isinstance(key, bytes) else key
