"""The metrics of a worker pool and of queues, for prometheus-client. docs/metrics.md lists them."""

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from ttp import __version__
from ttp.native import BACKEND
from ttp.observability.labels import label
from ttp.observability.queues import QueueWatch
from ttp.worker.scoreboard import STATES, Scoreboard

_EVENTS = {
    "frames": ("ttp_frames_committed", "Frames whose commit the server accepted."),
    "fenced": ("ttp_frames_fenced", "Commits refused because another worker had committed the frame: a duplicate run."),
    "corrupt": ("ttp_frames_corrupt", "Frames that could not be read and were buried."),
    "reclaimed": ("ttp_tasks_reclaimed", "Tasks taken over from dead or stalled workers."),
    "duplicated": ("ttp_tasks_duplicated", "Tasks run here for nothing: another worker had committed them."),
    "requests": ("ttp_worker_requests", "Requests to the server, each of one command or many."),
}
_GAUGES = {
    "in_hand": ("ttp_tasks_in_hand", "Tasks read and not yet committed."),
    "ring_used": ("ttp_worker_ring_slices_used", "Slices of frames that wait for a thread."),
    "ring": ("ttp_worker_ring_slices", "Slices that there is room for; 0 without threads."),
}


class PoolCollector(Collector):
    """Sums up the processes of a pool; `task_metrics.TaskMetrics` has what its tasks came to."""

    def __init__(self, scoreboard: Scoreboard) -> None:
        self._slots = scoreboard.slots()

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before the first scrape; names are not checked for clashes."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All metrics, as they are now."""
        build = GaugeMetricFamily("ttp_build_info", "Always 1.", labels=("version", "core"))
        build.add_metric((__version__, BACKEND), 1)
        yield build
        yield from self._processes()

    def _processes(self) -> Iterator[Metric]:
        for event, (name, about) in _EVENTS.items():
            yield CounterMetricFamily(name, about, value=self._sum(event))
        for number, (name, about) in _GAUGES.items():
            yield GaugeMetricFamily(name, about, value=self._sum(number))
        yield SummaryMetricFamily(
            "ttp_worker_round_trip_seconds",
            "Requests whose answer was waited for at once.",
            count_value=self._sum("round_trips"),
            sum_value=self._sum("round_trip_us") / 1e6,
        )
        serving = GaugeMetricFamily(
            "ttp_worker_serving", "1 while the process is connected and takes tasks.", labels=("process",)
        )
        silence = GaugeMetricFamily(
            "ttp_worker_heartbeat_age_seconds", "Since the last sign of life.", labels=("process",)
        )
        states: Counter[tuple[str, str]] = Counter()
        for n, slot in enumerate(self._slots):
            serving.add_metric((str(n),), slot.process("serving"))
            if (age := slot.silence()) is not None:
                silence.add_metric((str(n),), age)
            states.update(slot.breakers().items())
        yield serving
        yield silence
        breakers = GaugeMetricFamily(
            "ttp_breaker_processes", "Processes in which a breaker is in a state.", labels=("breaker", "state")
        )
        for name in sorted({name for name, _ in states}):
            for state in STATES:
                breakers.add_metric((label(name), state), states[name, state])
        yield breakers

    def _sum(self, number: str) -> int:
        return sum(slot.process(number) for slot in self._slots)


class QueueCollector(Collector):
    """What is known of the queues, which is the same whoever looks."""

    def __init__(self, queues: QueueWatch) -> None:
        self._queues = queues

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before the first scrape; names are not checked for clashes."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All metrics, as they are now."""
        yield GaugeMetricFamily("ttp_server_up", "1 while the server answers.", value=int(self._queues.answering))
        gauges = {
            "tasks": ("ttp_queue_tasks", "Tasks ready or running."),
            "bytes": ("ttp_queue_bytes", "Bytes of all frames, delayed and dead ones too."),
            "waiting": ("ttp_queue_retries_waiting", "Tasks that wait to be tried again."),
            "frames": ("ttp_queue_frames", "Frames ready or running."),
            "delayed_frames": ("ttp_queue_delayed_frames", "Frames that are not due."),
            "dead_frames": ("ttp_queue_dead_frames", "Frames of dead letters."),
        }
        states = self._queues.states
        for field, (name, about) in gauges.items():
            gauge = GaugeMetricFamily(name, about, labels=("queue",))
            for queue, state in states.items():
                gauge.add_metric((queue,), getattr(state.stats, field))
            yield gauge
        age = GaugeMetricFamily(
            "ttp_queue_oldest_age_seconds", "Since the submit that opened the oldest frame.", labels=("queue",)
        )
        accepted = CounterMetricFamily("ttp_queue_accepted", "Tasks the server has accepted, ever.", labels=("queue",))
        finished = CounterMetricFamily(
            "ttp_queue_finished", "Tasks by outcome, ever, of all workers.", labels=("queue", "outcome")
        )
        for queue, state in states.items():
            age.add_metric((queue,), state.oldest_age)
            accepted.add_metric((queue,), state.stats.accepted)
            for outcome in ("done", "retried", "dead", "cancelled"):
                finished.add_metric((queue, outcome), getattr(state.stats, outcome))
        yield age
        yield accepted
        yield finished
