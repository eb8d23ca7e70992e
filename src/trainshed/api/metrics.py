"""``GET /metrics``: how jobs and this server stand, for Prometheus.

What there is (jobs, queue, nodes, bytes) is asked of the stores each time; what has passed
(attempts, phases, requests, writes) was counted where it passed. Nothing of it costs anything
before somebody asks, and an answer over ten thousand open jobs never holds the event loop for more
than a slice.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from prometheus_client import ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from trainshed.api.answered import RequestTally
from trainshed.api.families import FAMILIES, Family
from trainshed.api.measuring import FolderSize, LoopLag
from trainshed.domain.training import TrainingJobStatus
from trainshed.stores.figures import Histogram, WriteTally
from trainshed.stores.records.survey import Standing
from trainshed.stores.records.tally import JobTally

Labels = tuple[str, ...]


class Records(Protocol):
    """The slice of the record store that is asked."""

    async def counts(self) -> Mapping[TrainingJobStatus, int]:
        """Return how many jobs have each status; none of a status that no job has."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Who is asked for what."""

    version: str
    server: Callable[[], str]
    """Returns what tells this process from others that answer at the same address; "" for none."""
    records: Records
    survey: Callable[[], Awaitable[Standing]]
    jobs: JobTally
    requests: RequestTally
    report_lag: Histogram
    writes: WriteTally
    engine_lag: Callable[[], float]
    duty: Callable[[], tuple[bool, int]]
    """Whether this server lets jobs in, and how many open jobs it steps."""
    capacity: Mapping[str, int]
    """Nodes that may be in use, by backend."""
    object_bytes: Callable[[], Awaitable[int]]
    data: Path
    """The data folder."""
    logs: FolderSize
    clock: Callable[[], datetime]
    loop_lag: LoopLag = field(default_factory=LoopLag)


class Metrics:
    """What Prometheus is told."""

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self, sources: Sources) -> None:
        """Ask ``sources``."""
        self._sources = sources

    async def text(self) -> bytes:
        """Return all metrics as Prometheus reads them.

        Raises:
            StoreError: the records could not be read.
        """
        self._sources.loop_lag.begin()
        now = self._sources.clock().timestamp()
        found = _Found(
            {
                **await self._of_jobs(now),
                **await self._of_this_server(),
                "trainshed_attempts_total": _lines(self._sources.jobs.attempts),
                "trainshed_requests_total": {
                    (service, operation, str(status)): count
                    for (service, operation, status), count in (
                        self._sources.requests.requests.items()
                    )
                },
            },
            self._histograms(),
            self._sources.server(),
        )
        # Ten thousand jobs have twenty thousand lines: written beside the event loop, not on it.
        return await asyncio.to_thread(generate_latest, found)

    async def _of_jobs(self, now: float) -> "_Values":
        standing = await self._sources.survey()
        counts = await self._sources.records.counts()
        queue: _Lines = {}
        oldest: _Lines = {}
        for (backend, project, reason), waiting in standing.waiting.items():
            queue[backend, project, reason] = waiting.jobs
            seconds = max(0.0, now - waiting.since)
            oldest[backend, project] = max(oldest.get((backend, project), 0.0), seconds)
        lags: _Lines = {}
        sizes: _Lines = {}
        for each in standing.checkpoints:
            lags[each.job, each.host] = max(now - each.since, 0.0) if each.since else 0.0
            sizes[each.job, each.host] = each.size
        backends = {*self._sources.capacity, *standing.nodes}
        return {
            "trainshed_training_jobs": {
                (status.value,): counts.get(status, 0) for status in TrainingJobStatus
            },
            "trainshed_open_jobs": {(s.value,): n for s, n in standing.statuses.items()},
            "trainshed_queue_jobs": queue,
            "trainshed_queue_oldest_seconds": oldest,
            "trainshed_checkpoint_lag_seconds": lags,
            "trainshed_checkpoint_bytes": sizes,
            "trainshed_backend_nodes": {(name,): standing.nodes[name] for name in backends},
            "trainshed_warm_pools": {(status,): n for status, n in standing.pools.items()},
        }

    async def _of_this_server(self) -> "_Values":
        sources = self._sources
        leads, owned = sources.duty()
        logs = await sources.logs.bytes()
        disk = os.statvfs(sources.data)
        return {
            "trainshed_info": {(sources.version,): 1},
            "trainshed_backend_nodes_max": {(n,): count for n, count in sources.capacity.items()},
            "trainshed_engine_lag_seconds": {(): sources.engine_lag()},
            "trainshed_scheduler": {(): int(leads)},
            "trainshed_owned_jobs": {(): owned},
            "trainshed_object_bytes": {(): await sources.object_bytes()},
            "trainshed_log_bytes": {} if logs is None else {(): logs},
            "trainshed_disk_free_bytes": {(): disk.f_bavail * disk.f_frsize},
            "trainshed_disk_bytes": {(): disk.f_blocks * disk.f_frsize},
        }

    def _histograms(self) -> "Mapping[str, Mapping[Labels, Histogram]]":
        sources = self._sources
        return {
            "trainshed_phase_seconds": {
                (phase.value,): found for phase, found in sources.jobs.phases.items()
            },
            "trainshed_event_loop_lag_seconds": {(): sources.loop_lag.seconds},
            "trainshed_record_write_batch": {(): sources.writes.batch},
            "trainshed_record_write_seconds": {(): sources.writes.seconds},
            "trainshed_report_lag_seconds": {(): sources.report_lag},
            "trainshed_request_seconds": {
                (service,): found for service, found in sources.requests.seconds.items()
            },
        }


_Lines = dict[Labels, float]
_Values = dict[str, _Lines]


def _lines(counts: Mapping[tuple[str, str], int]) -> _Lines:
    return dict(counts.items())


class _Found(Collector):
    """One answer, in the form that the library writes."""

    def __init__(
        self,
        values: Mapping[str, Mapping[Labels, float]],
        histograms: Mapping[str, Mapping[Labels, Histogram]],
        server: str,
    ) -> None:
        self._values = values
        self._histograms = histograms
        self._server = {"server": server} if server else {}

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES:
            made = self._histogram if family.kind == "histogram" else self._simple
            yield self._marked(made(family)) if family.own else made(family)
        for metric in ProcessCollector(registry=None).collect():
            yield self._marked(metric)

    def _marked(self, metric: Metric) -> Metric:
        """Return a metric of this process as such, where several are asked by one address."""
        if self._server:
            metric.samples = [
                sample._replace(labels={**sample.labels, **self._server})
                for sample in metric.samples
            ]
        return metric

    def _simple(self, family: Family) -> Metric:
        kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
        metric = kind(family.name, family.help, labels=family.labels)
        for labels, value in self._values[family.name].items():
            metric.add_metric(labels, value)
        return metric

    def _histogram(self, family: Family) -> Metric:
        metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        for labels, found in self._histograms[family.name].items():
            metric.add_metric(labels, list(found.buckets()), found.sum)
        return metric
