"""Spans of the real OpenTelemetry SDK, of tasks that went through a real server."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import ttp
from http_worker import until
from real_server import Server
from ttp import testing

trace = pytest.importorskip("opentelemetry.trace", reason="no OpenTelemetry here: install opentelemetry-sdk")
sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="no OpenTelemetry SDK here: install opentelemetry-sdk")

PRODUCER, CONSUMER = trace.SpanKind.PRODUCER, trace.SpanKind.CONSUMER


@pytest.fixture(scope="module")
def exporter() -> Any:
    """Where all spans of this process go: a provider can be set once only."""
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: PLC0415

    exporter = InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


class Traced:
    """An app with tracing, and the spans so far."""

    def __init__(self, app: ttp.App, exporter: Any) -> None:
        self.app = app
        self._exporter = exporter
        self.tracer = trace.get_tracer("test")

    def spans(self, name: str, count: int) -> list[Any]:
        """The spans of this name, once there are so many."""
        until(lambda: len(self.finished(name)) >= count)
        assert len(self.finished(name)) == count
        return self.finished(name)

    def finished(self, name: str = "") -> list[Any]:
        """The spans of this name so far; without one, all."""
        return [span for span in self._exporter.get_finished_spans() if name in ("", span.name)]

    def span(self, name: str) -> Any:
        """The only span of this name."""
        return self.spans(name, 1)[0]


@pytest.fixture
def traced(any_server: Server, exporter: Any) -> Iterator[Traced]:
    """Each test sees its own spans only."""
    exporter.clear()
    with ttp.App("plant", any_server.url, tracing=True) as app:
        yield Traced(app, exporter)


def test_a_trace_goes_from_the_caller_through_the_handler_to_its_children(traced: Traced) -> None:
    app = traced.app

    @app.task(name="child")
    def child() -> None: ...

    @app.task(name="parent")
    def parent() -> None:
        with traced.tracer.start_as_current_span("in the handler"):
            child.submit()

    with testing.worker(app), traced.tracer.start_as_current_span("request") as request:
        handle = parent.submit()
        traced.span("process child")  # else the worker may stop before it has read the child
    sent, ran, inner = traced.span("send parent"), traced.span("process parent"), traced.span("in the handler")
    assert (sent.kind, ran.kind) == (PRODUCER, CONSUMER)
    assert sent.parent.span_id == request.get_span_context().span_id
    assert ran.parent.span_id == sent.context.span_id
    assert [link.context for link in ran.links] == [ran.parent]
    assert inner.parent.span_id == ran.context.span_id
    below = traced.span("send child")
    assert below.parent.span_id == inner.context.span_id
    assert traced.span("process child").parent.span_id == below.context.span_id
    assert traced.span("process child").context.trace_id == request.get_span_context().trace_id
    for span, operation in ((sent, "send"), (ran, "process")):
        assert span.attributes["messaging.system"] == "ttp"
        assert span.attributes["messaging.destination.name"] == "default"
        assert span.attributes["messaging.operation.type"] == operation
        assert span.attributes["messaging.message.id"] == handle.id


def test_a_batch_has_one_span_linked_to_what_sent_it(traced: Traced) -> None:
    app = traced.app

    @app.task(name="each")
    def each(n: int) -> None: ...

    with traced.tracer.start_as_current_span("request") as request:
        each.submit_many([(n,) for n in range(50)])
        for n in range(30):
            each.emit(n)
        app.flush()
    with trace.use_span(trace.INVALID_SPAN):
        each.emit(0)
        app.flush()
    testing.drain(app)
    sent = traced.span("send each")
    assert sent.attributes["messaging.batch.message_count"] == 50
    tasks: Counter[int | None] = Counter()  # by the span that they are linked to; frames may go half full
    for span in traced.finished("process each"):
        (link,) = span.links or [None]
        tasks[link and link.context.span_id] += span.attributes.get("messaging.batch.message_count", 1)
        assert (span.parent and span.parent.span_id) == (link and link.context.span_id)
    assert tasks == {sent.context.span_id: 50, request.get_span_context().span_id: 30, None: 1}


def test_each_attempt_has_its_span_and_says_why_it_failed(traced: Traced) -> None:
    attempts: list[int] = []

    @traced.app.task(name="flaky", retry=ttp.RetryPolicy(max_attempts=2, base_delay=0.01))
    def flaky(secret: str) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError(secret)

    with testing.worker(traced.app):
        flaky.submit("SECRET").result(20)
    first, second = traced.spans("process flaky", 2)
    sent = traced.span("send flaky")
    assert [span.parent.span_id for span in (first, second)] == [sent.context.span_id] * 2
    assert [span.attributes["ttp.attempt"] for span in (first, second)] == [1, 2]
    assert (first.status.is_ok, second.status.is_ok) == (False, True)
    assert first.attributes["error.type"] == "ValueError"
    assert "SECRET" not in first.to_json()


def test_coroutines_and_threads(traced: Traced) -> None:
    app = traced.app

    @app.task(name="waits")
    async def waits() -> None:
        with traced.tracer.start_as_current_span("awaited"):
            await asyncio.sleep(0)

    @app.task(name="here")
    def here() -> None:
        traced.tracer.start_span("in a thread").end()

    async def send() -> None:
        handle = await waits.asubmit()
        await handle

    with testing.worker(app, threads=2):
        asyncio.run(send())
        here.submit().result(20)
    assert traced.span("process waits").parent.span_id == traced.span("send waits").context.span_id
    assert traced.span("awaited").parent.span_id == traced.span("process waits").context.span_id
    assert traced.span("in a thread").parent.span_id == traced.span("process here").context.span_id


def test_what_a_worker_asks_the_server_is_not_traced(traced: Traced) -> None:
    redis = pytest.importorskip("opentelemetry.instrumentation.redis", reason="no instrumentation of redis-py here")
    instrumentor = redis.RedisInstrumentor()
    instrumentor.instrument()
    try:

        @traced.app.task(name="seen")
        def seen() -> None: ...

        with testing.worker(traced.app) as worker:
            seen.submit().result(20)
            assert worker.pool.worker is not None
            slot = worker.pool.worker.stats.slot
            until(lambda: slot.process("requests") > 10)
    finally:
        instrumentor.uninstrument()
    traced.span("process seen")
    assert {span.name for span in traced.finished()} == {"send seen", "process seen"}


def test_without_tracing_nothing_travels(any_server: Server, exporter: Any) -> None:
    exporter.clear()
    with ttp.App("plant", any_server.url) as app, trace.get_tracer("test").start_as_current_span("request"):

        @app.task(name="plain")
        def plain() -> None: ...

        plain.submit()
        testing.drain(app)
    assert [span.name for span in exporter.get_finished_spans()] == ["request"]


def test_without_the_extra_the_error_names_it() -> None:
    code = "import sys; sys.modules['opentelemetry'] = None; import ttp; ttp.App('plant', tracing=True)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ttp[otel]" in done.stderr
