"""How a task is sent where spans are made: each sending in a frame of its own, which carries its context."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ttp.native import Route
from ttp.tracing import MESSAGE, Tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from ttp.producer.task import Target


class Traced:
    """A task's `submit` and `emit`."""

    def __init__(self, tracing: Tracing, target: "Target") -> None:
        self._tracing = tracing
        self._target = target
        self._untraced = {submit: target.route(submit=submit) for submit in (True, False)}
        self._emit: tuple[object, Route] = None, self._untraced[False]  # the context of the last emit, and its route

    @contextmanager
    def sending(self, *, submit: bool = True) -> "Iterator[tuple[Route, Span]]":
        """In a producer's span: the route whose frames carry it, and the span."""
        with self._tracing.sending(self._target.name, self._target.queue) as span:
            yield self._route(submit=submit), span

    def _route(self, *, submit: bool) -> Route:
        """One whose frames carry the current context; where there is none to carry, they are shared."""
        here = self._tracing.here()
        return self._target.route(submit=submit, trace=here) if here else self._untraced[submit]

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Send one task in a span."""
        with self.sending() as (route, span):
            handle = route(*args, **kwargs)
            span.set_attribute(MESSAGE, handle.id)
            return handle

    def emit(self, *args: Any, **kwargs: Any) -> None:
        """Append a task to the open frame of the current context. No span: that would take longer than the call."""
        context = self._tracing.context()
        last, route = self._emit
        if context != last:
            route = self._route(submit=False)
            self._emit = context, route
        route(*args, **kwargs)
