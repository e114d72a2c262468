"""What a user calls: tasks that submit and emit."""

import inspect
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from ttp.native import Route, TaskHandle, scope
from ttp.policy import LONGEST
from ttp.producer.producer import Producer
from ttp.producer.traced import Traced
from ttp.task import PRIORITIES, Priority, check_priority
from ttp.tracing import BATCH, MESSAGE, Tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

P = ParamSpec("P")
R = TypeVar("R")
Row = TypeVar("Row")

_Bind = Callable[[tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how a task's calls go: what `Task.options` changes.

    Attributes:
        owner: answers for the results of the handles (`ttp.results`).
        results: whether outcomes of submitted tasks are kept.
        signature: of the handler; None where only the name is known.
        tracing: makes a span of each sending; None: none are made.
    """

    producer: Producer
    name: str
    queue: str
    owner: Any
    results: bool
    signature: inspect.Signature | None
    priority: int = PRIORITIES["normal"]
    delay: float = 0.0
    at: float = 0.0
    detached: bool = False
    tracing: Tracing | None = None

    def route(self, *, submit: bool, trace: bytes = b"") -> Route:
        """The native end of `submit` or `emit`, whose frames carry this context."""
        least, most, bind = _arity(self.name, self.signature)
        return Route(
            self.producer.outbox,
            name=self.name,
            queue=self.queue,
            owner=self.owner,
            priority=self.priority,
            submit=submit,
            results=submit and self.results,
            detached=self.detached,
            delay=self.delay,
            at=self.at,
            min_args=least,
            max_args=most,
            bind=bind,
            trace=trace,
        )

    def changed(
        self, *, priority: Priority | None, delay: float | None, at: datetime | None, detached: bool | None
    ) -> "Target":
        """See `Task.options`."""
        if delay is not None and at is not None:
            raise ValueError("give delay or at, not both")
        if delay is not None and not 0 <= delay <= LONGEST:
            raise ValueError(f"delay must be 0 to {LONGEST:g} seconds, not {delay}")
        target = self if detached is None else replace(self, detached=detached)
        if priority is not None:
            target = replace(target, priority=check_priority(priority))
        if delay is not None:
            target = replace(target, delay=float(delay), at=0.0)
        if at is not None:
            target = replace(target, delay=0.0, at=at.timestamp())
        return target


class Task(Generic[P, R]):
    """A task that can be sent; its code may live elsewhere (`App.remote`)."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._traced = None if target.tracing is None else Traced(target.tracing, target)
        if not TYPE_CHECKING:
            # Native callables: an attribute look-up and a C call, no Python frame between.
            self.submit = target.route(submit=True)
            self.emit = target.route(submit=False)
            if self._traced is not None:
                self.submit, self.emit = self._traced.submit, self._traced.emit

    @property
    def name(self) -> str:
        """The name under which workers know the task."""
        return self._target.name

    @property
    def queue(self) -> str:
        """The queue its calls go to."""
        return self._target.queue

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} → {self.queue}>"

    if TYPE_CHECKING:

        def submit(self, *args: P.args, **kwargs: P.kwargs) -> TaskHandle[R]:
            """Send one task and return its handle once the server has accepted it.

            Inside a handler the task commits with its parent, and the handle comes back at once.

            Raises:
                TypeError: the call does not fit the handler's signature.
                SerializationError: an argument cannot be encoded; nothing was sent.
                QueueFull, ServerUnavailable: not accepted within the app's submit_timeout.
            """
            ...

        def emit(self, *args: P.args, **kwargs: P.kwargs) -> None:
            """Append one task to the open frame and return; `App.flush` confirms acceptance.

            Raises:
                TypeError, SerializationError: as `submit`.
                QueueFull: the producer's pool stayed full for the app's submit_timeout (in an event loop: at once).
            """

    async def asubmit(self, *args: P.args, **kwargs: P.kwargs) -> TaskHandle[R]:
        """`submit` for event loops."""
        with self._sending() as (route, span):
            frame, handle = route.append(*args, **kwargs)
            if span is not None:
                span.set_attribute(MESSAGE, handle.id)
            if not self._in_handler():
                await self._target.producer.until_accepted(frame)
        return handle

    def submit_many(self, rows: Iterable[tuple[Any, ...]]) -> Sequence[TaskHandle[R]]:
        """Send many tasks, each a tuple of positional arguments; handles are made when asked for.

        An error names the row. The rows before it are sent all the same: the exception's ``accepted``
        attribute holds their handles.
        """
        with self._sending() as (route, span):
            error: Exception | None = None
            try:
                parts = route.extend(rows)
            except Exception as exception:
                parts = getattr(exception, "spans", [])
                error = exception
            if not self._in_handler():
                for frame, _, _ in parts:
                    self._target.producer.accept(frame)
            handles = _Handles[R](self._target.owner, [(frame.origin, first, count) for frame, first, count in parts])
            if span is not None:
                span.set_attribute(BATCH, len(handles))
        if error is not None:
            error.accepted = handles  # type: ignore[attr-defined]
            raise error
        return handles

    def options(
        self,
        *,
        priority: Priority | None = None,
        delay: float | None = None,
        at: datetime | None = None,
        detached: bool | None = None,
    ) -> "Task[P, R]":
        """The same task, sent otherwise. What is not named stays as it is.

        Args:
            priority: "high", "normal" or "low".
            delay: seconds from sending until it may run; at most one of delay and at.
            at: when it may run; a naive datetime is local time.
            detached: inside a handler, send at once instead of committing with the parent.
        """
        return Task(self._target.changed(priority=priority, delay=delay, at=at, detached=detached))

    def _sending(self, *, submit: bool = True) -> "AbstractContextManager[tuple[Route, Span | None]]":
        """The route to send by, in a producer's span where there are any."""
        if self._traced is not None:
            return self._traced.sending(submit=submit)
        return nullcontext(((self.submit if submit else self.emit), None))  # type: ignore[arg-type]

    def _in_handler(self) -> bool:
        return not self._target.detached and scope.get() is not None


class LocalTask(Task[P, R]):
    """A task whose handler is here: calling it is calling the function."""

    def __init__(self, target: Target, function: Callable[P, R]) -> None:
        super().__init__(target)
        self.__wrapped__ = function
        self.__doc__ = function.__doc__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the handler here, as a plain function."""
        return self.__wrapped__(*args, **kwargs)


class BatchTask(Task[P, None], Generic[P, Row]):
    """A task whose handler takes many events at once; each event is sent with the row's fields as arguments."""

    def __init__(self, target: Target, function: Callable[[Any], None], row: Callable[..., Row]) -> None:
        super().__init__(target)
        self.__wrapped__ = function
        self.__doc__ = function.__doc__
        self._row = row

    def __call__(self, batch: Any) -> None:
        """Run the handler here, on a `Batch`."""
        self.__wrapped__(batch)

    def options(
        self,
        *,
        priority: Priority | None = None,
        delay: float | None = None,
        at: datetime | None = None,
        detached: bool | None = None,
    ) -> "BatchTask[P, Row]":
        """As `Task.options`; columns can be sent so too."""
        target = self._target.changed(priority=priority, delay=delay, at=at, detached=detached)
        return BatchTask(target, self.__wrapped__, self._row)

    def submit_columns(self, table: Any = None, /, **columns: Any) -> None:
        """Send events given as columns, in frames of about 256 KiB; return once the server has accepted all.

        Inside a handler the events commit with their parent, one by one.

        Args:
            table: anything with the Arrow stream interface (pyarrow, polars, pandas, DuckDB): its columns.
            columns: a column for each field of the row class, all of one length: NumPy arrays, lists, masked
                arrays, a `Dictionary` for text. A field with a default may be left out.

        Raises:
            TypeError: a column is unknown or missing.
            SerializationError: a column does not fit its annotation; nothing was sent.
            QueueFull, ServerUnavailable: not accepted in time; the exception's ``accepted`` attribute counts
                the events, from the first on, that were.
        """
        from ttp.producer.columns import submit  # noqa: PLC0415 - needs NumPy, which is an extra

        with self._sending(submit=False) as (route, span):
            events = submit(self._target, route, self._row, table, columns)
            if span is not None:
                span.set_attribute(BATCH, events)


class _Handles(Sequence[TaskHandle[R]]):
    """Handles of tasks sent together, made when asked for."""

    def __init__(self, owner: Any, spans: list[tuple[int, int, int]]) -> None:
        self._owner = owner
        self._spans = spans
        self._starts = [0]
        for _, _, count in spans:
            self._starts.append(self._starts[-1] + count)

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> TaskHandle[R]: ...
    @overload
    def __getitem__(self, index: slice) -> list[TaskHandle[R]]: ...
    def __getitem__(self, index: int | slice) -> TaskHandle[R] | list[TaskHandle[R]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError("handle index out of range")
        span = bisect_right(self._starts, index) - 1
        origin, first, _ = self._spans[span]
        return TaskHandle(self._owner, origin, first + index - self._starts[span])


def _arity(name: str, signature: inspect.Signature | None) -> tuple[int, int, _Bind | None]:
    """Fewest and most positional arguments that need no binding, and the binding for all other calls."""
    if signature is None:
        return 0, 65_535, None

    def bind(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}{signature}: {error}") from None
        return bound.args, bound.kwargs

    kinds = inspect.Parameter
    parameters = signature.parameters.values()
    positional = [p for p in parameters if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    if any(p.kind is kinds.KEYWORD_ONLY and p.default is kinds.empty for p in parameters):
        return 1, 0, bind
    most = 65_535 if any(p.kind is kinds.VAR_POSITIONAL for p in parameters) else len(positional)
    return sum(p.default is kinds.empty for p in positional), most, bind
