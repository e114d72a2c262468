"""The span of a slice's run."""

from collections.abc import Iterator
from contextlib import contextmanager

from ttp.native import Slice
from ttp.tracing import BATCH, MESSAGE, Tracing
from ttp.worker.job import Job


@contextmanager
def span_of(tracing: Tracing, job: Job, part: Slice) -> Iterator[None]:
    """A span around the run of a slice; what the handler does is within it."""
    first, view = part.next, job.view
    with tracing.running(view.name, job.keys.queue, view.attempt, view.trace) as span:
        try:
            yield
        finally:
            ran = part.next - first
            span.set_attributes({MESSAGE: str(job.task_id(first))} if ran == 1 else {BATCH: ran})
            failures = [job.failures[row] for row in range(first, part.next) if row in job.failures]
            if failures:
                tracing.failed(span, failures[0].error_type, len(failures))
