"""What the operator counts, for Prometheus."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from trainshed.operator.deciding.base import Deciding
from trainshed.operator.objects import Object

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Of one process."""

    def __init__(self) -> None:
        """Count from nothing."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.reconciles = Counter(
            "trainshed_operator_reconciles",
            "Passes over an object: done, retry, outdated, unwritten, gone, failed",
            ("kind", "outcome"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "trainshed_operator_reconcile_seconds",
            "How long a pass over an object took",
            ("kind",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.calls = Counter(
            "trainshed_operator_service_calls",
            "Calls of the service: told, refused, trouble",
            ("operation", "outcome"),
            registry=self.registry,
        )
        self.writes = Counter(
            "trainshed_operator_writes",
            "Writes to objects: status, metadata",
            ("what",),
            registry=self.registry,
        )
        self.watches = Gauge(
            "trainshed_operator_watches",
            "Services whose changes are followed: awaited, listed, or unknown yet",
            ("how",),
            registry=self.registry,
        )
        self.leads = Gauge(
            "trainshed_operator_leads",
            "1 while this process works, 0 while another one does",
            registry=self.registry,
        )
        self.waiting = Gauge(
            "trainshed_operator_queue",
            "Objects that wait to be looked at",
            registry=self.registry,
        )

    def count(
        self,
        deciding: Mapping[str, Deciding],
        objects: Callable[[], Iterable[Object]],
        waiting: Callable[[], float],
    ) -> None:
        """Tell of these objects as well, whenever somebody asks."""
        self.registry.register(_Objects(deciding, objects))
        self.waiting.set_function(waiting)

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self.registry)


class _Objects(Collector):
    def __init__(
        self, deciding: Mapping[str, Deciding], objects: Callable[[], Iterable[Object]]
    ) -> None:
        self._deciding, self._objects = deciding, objects

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield how many objects there are, by kind and status."""
        family = GaugeMetricFamily(
            "trainshed_operator_objects", "Objects, by status", labels=("kind", "status")
        )
        tally: Tally[tuple[str, str]] = Tally()
        for thing in self._objects():
            kind = self._deciding[thing.plural].kind
            tally[kind.kind, str(thing.status.get(kind.status_state) or "")] += 1
        for labels, number in sorted(tally.items()):
            family.add_metric(labels, number)
        yield family
