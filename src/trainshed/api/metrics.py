"""``GET /metrics``: how jobs stand, for Prometheus; asked of the store each time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from trainshed.domain.facts import Fact
from trainshed.domain.training import TrainingJob, TrainingJobStatus


class Records(Protocol):
    """The slice of the record store that is asked."""

    async def counts(self) -> Mapping[TrainingJobStatus, int]:
        """Return how many jobs have each status; none of a status that no job has."""
        ...

    async def checkpoints(self) -> Sequence[tuple[TrainingJob, str, Fact]]:
        """Return the last ``checkpoint`` of each node of each open job's attempt."""
        ...


class Metrics:
    """What Prometheus is told."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, records: Records, clock: Callable[[], datetime]) -> None:
        self._records = records
        self._clock = clock

    async def text(self) -> bytes:
        """Return all metrics as Prometheus reads them."""
        found = _Found(
            await self._records.counts(),
            await self._records.checkpoints(),
            self._clock().timestamp(),
        )
        return generate_latest(found)


class _Found(Collector):
    """One answer, in the form that the library writes."""

    def __init__(
        self,
        counts: Mapping[TrainingJobStatus, int],
        checkpoints: Sequence[tuple[TrainingJob, str, Fact]],
        now: float,
    ) -> None:
        self._counts = counts
        self._checkpoints = checkpoints
        self._now = now

    def collect(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("trainshed_training_jobs", "Training jobs", labels=["status"])
        for status in TrainingJobStatus:
            jobs.add_metric([status.value], self._counts.get(status, 0))
        yield jobs
        where = ["job", "host"]
        lag = GaugeMetricFamily(
            "trainshed_checkpoint_lag_seconds",
            "Age of the oldest change of a checkpoint that is not kept yet, once that is late",
            labels=where,
        )
        kept = GaugeMetricFamily(
            "trainshed_checkpoint_bytes", "Checkpoints that a node has kept", labels=where
        )
        for job, host, fact in self._checkpoints:
            since = float(fact.detail.get("since", 0.0))
            lag.add_metric([job.name, host], max(self._now - since, 0.0) if since else 0.0)
            kept.add_metric([job.name, host], float(fact.detail.get("bytes", 0)))
        yield lag
        yield kept
