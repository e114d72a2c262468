"""Spans of OpenTelemetry: a trace goes on from where a task is sent to where it runs.

The context travels in the frame (docs/wire-format.md, TRACE), so all tasks of a frame were sent in the same one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ttp.version import __version__

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext
    from opentelemetry.util.types import AttributeValue

MESSAGE = "messaging.message.id"
BATCH = "messaging.batch.message_count"
ATTEMPT = "ttp.attempt"


class Tracing:
    """Makes spans with the tracer provider of the process, as the semantic conventions for messaging want them.

    Raises:
        ImportError: opentelemetry-api is not installed.
    """

    def __init__(self) -> None:
        try:
            from opentelemetry import trace  # noqa: PLC0415 - an extra
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415
        except ImportError:
            raise ImportError("traces need OpenTelemetry: pip install 'ttp[otel]'") from None
        self._trace = trace
        self._tracer = trace.get_tracer("ttp", __version__)
        self._w3c = TraceContextTextMapPropagator()

    def context(self) -> "SpanContext | None":
        """That of the current span; None where there is none."""
        context = self._trace.get_current_span().get_span_context()
        return context if context.is_valid else None

    def here(self) -> bytes:
        """The context of the current span, as it travels: W3C traceparent, and in a second line tracestate."""
        carrier: dict[str, str] = {}
        self._w3c.inject(carrier)
        return "\n".join(carrier.values()).encode()

    @contextmanager
    def sending(self, task: str, queue: str) -> Iterator["Span"]:
        """A producer's span around a sending."""
        kind, about = self._trace.SpanKind.PRODUCER, _about(task, queue, "send")
        with self._tracer.start_as_current_span(f"send {task}", kind=kind, attributes=about) as span:
            yield span

    @contextmanager
    def running(self, task: str, queue: str, attempt: int, sent_in: bytes) -> Iterator["Span"]:
        """A consumer's span around a run of tasks: a child of the context they were sent in, and linked to it."""
        parent, links = None, []
        if sent_in:
            names = "traceparent", "tracestate"
            parent = self._w3c.extract(dict(zip(names, sent_in.decode("ascii", "replace").split("\n"), strict=False)))
            context = self._trace.get_current_span(parent).get_span_context()
            links = [self._trace.Link(context)] if context.is_valid else []
        attributes = {**_about(task, queue, "process"), ATTEMPT: attempt}
        kind = self._trace.SpanKind.CONSUMER
        with self._tracer.start_as_current_span(
            f"process {task}", context=parent, kind=kind, links=links, attributes=attributes
        ) as span:
            yield span

    def failed(self, span: "Span", error_type: str, tasks: int) -> None:
        """So many tasks of a run failed, the first for this reason. Not what it said: that may tell a payload."""
        span.set_attribute("error.type", error_type)
        span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, f"{tasks} failed, the first: {error_type}"))

    def flush(self) -> None:
        """Send what the provider holds back: this process is about to end."""
        flush = getattr(self._trace.get_tracer_provider(), "force_flush", None)
        if flush is not None:
            flush()


def _about(task: str, queue: str, operation: str) -> dict[str, "AttributeValue"]:
    return {
        "messaging.system": "ttp",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": queue,
        "ttp.task": task,
    }
