"""The metrics of a process that submits, for prometheus-client's registry in that process."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from ttp.app import App


class AppCollector(Collector):
    """Shows what the apps of this process have sent, and how full their pools are."""

    def __init__(self, *apps: App) -> None:
        self._apps = apps

    def describe(self) -> Iterable[Metric]:
        """The names, so that a second collector of the same registry is refused."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """All metrics, as they are now."""
        submitted = CounterMetricFamily(
            "ttp_producer_submitted", "Tasks of this process in frames that were closed.", labels=("app",)
        )
        accepted = CounterMetricFamily(
            "ttp_producer_accepted", "Tasks of this process that the server has accepted.", labels=("app",)
        )
        dropped = CounterMetricFamily(
            "ttp_producer_dropped", "Emitted tasks that made way for newer ones in a full pool.", labels=("app",)
        )
        stored = CounterMetricFamily(
            "ttp_producer_stored", "Emitted tasks that were written to the store on disk.", labels=("app",)
        )
        forwarded = CounterMetricFamily(
            "ttp_producer_forwarded", "Tasks out of the store that the server has accepted.", labels=("app",)
        )
        refused = CounterMetricFamily(
            "ttp_producer_refused", "Tasks that were not taken, by what stood in the way.", labels=("app", "reason")
        )
        used = GaugeMetricFamily(
            "ttp_producer_pool_blocks_used", "Blocks that hold tasks not yet accepted.", labels=("app",)
        )
        blocks = GaugeMetricFamily("ttp_producer_pool_blocks", "Blocks of the producer's pool.", labels=("app",))
        requests = CounterMetricFamily(
            "ttp_producer_requests", "Requests to the server, each of one frame or many.", labels=("app",)
        )
        trips = SummaryMetricFamily(
            "ttp_producer_round_trip_seconds", "Requests whose answer was waited for at once.", labels=("app",)
        )
        for app in self._apps:
            taken, every = app.producer.blocks
            counts = app.producer.counts
            traffic = app.producer.traffic
            submitted.add_metric((app.name,), counts.submitted)
            accepted.add_metric((app.name,), counts.accepted)
            dropped.add_metric((app.name,), counts.dropped)
            stored.add_metric((app.name,), counts.stored)
            forwarded.add_metric((app.name,), counts.forwarded)
            for reason in ("store", "pool", "queue", "server"):
                refused.add_metric((app.name, reason), getattr(counts, f"refused_{reason}"))
            used.add_metric((app.name,), taken)
            blocks.add_metric((app.name,), every)
            requests.add_metric((app.name,), traffic.requests)
            trips.add_metric((app.name,), traffic.round_trips, traffic.seconds)
        return iter((submitted, accepted, dropped, stored, forwarded, refused, used, blocks, requests, trips))
