"""Every metric that ``GET /metrics`` tells; docs/how-to/watch-a-server.md has the same table."""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Family:
    """One metric."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    help: str
    own: bool = False
    """Whether it is of one process, not of what all servers share."""


FAMILIES: Final[tuple[Family, ...]] = (
    Family("trainshed_info", "gauge", ("version",), "1, with the program's version", own=True),
    Family("trainshed_training_jobs", "gauge", ("status",), "Training jobs, by TrainingJobStatus"),
    Family(
        "trainshed_open_jobs",
        "gauge",
        ("status",),
        "Jobs that the engine may still have to act on, by SecondaryStatus",
    ),
    Family(
        "trainshed_queue_jobs",
        "gauge",
        ("backend", "project", "reason"),
        "Jobs that wait for nodes, by the class of what they wait for",
    ),
    Family(
        "trainshed_queue_oldest_seconds",
        "gauge",
        ("backend", "project"),
        "How long the one has waited that waits longest",
    ),
    Family(
        "trainshed_attempts_total",
        "counter",
        ("backend", "outcome"),
        "Attempts that ended: completed, failed, stopped, interrupted, preempted, lost",
        own=True,
    ),
    Family(
        "trainshed_phase_seconds",
        "histogram",
        ("phase",),
        "How long jobs stood in each SecondaryStatus that they left",
        own=True,
    ),
    Family(
        "trainshed_checkpoint_lag_seconds",
        "gauge",
        ("job", "host"),
        "Age of the oldest change of a checkpoint that is not kept yet, once that is late",
    ),
    Family(
        "trainshed_checkpoint_bytes",
        "gauge",
        ("job", "host"),
        "Checkpoints that a node has kept",
    ),
    Family("trainshed_backend_nodes", "gauge", ("backend",), "Nodes in use"),
    Family("trainshed_backend_nodes_max", "gauge", ("backend",), "Nodes that may be in use"),
    Family("trainshed_warm_pools", "gauge", ("status",), "Warm pools, by WarmPoolStatus"),
    Family(
        "trainshed_engine_lag_seconds",
        "gauge",
        (),
        "By how much the engine's last round was late, or the next one is",
        own=True,
    ),
    Family(
        "trainshed_event_loop_lag_seconds",
        "histogram",
        (),
        "By how much the event loop was late, twice a second since the first scrape",
        own=True,
    ),
    Family("trainshed_scheduler", "gauge", (), "1 on the one server that lets jobs in", own=True),
    Family("trainshed_owned_jobs", "gauge", (), "Open jobs that this server steps", own=True),
    Family(
        "trainshed_record_write_batch",
        "histogram",
        (),
        "Changes that shared a transaction",
        own=True,
    ),
    Family(
        "trainshed_record_write_seconds",
        "histogram",
        (),
        "Until a transaction was on disk",
        own=True,
    ),
    Family(
        "trainshed_report_lag_seconds",
        "histogram",
        (),
        "From what an agent saw until the server took it (includes clocks that differ)",
        own=True,
    ),
    Family(
        "trainshed_requests_total",
        "counter",
        ("service", "operation", "status"),
        "Requests of AWS clients that were answered, by HTTP status",
        own=True,
    ),
    Family(
        "trainshed_request_seconds",
        "histogram",
        ("service",),
        "Until the whole answer was handed over; AwaitTrainingJobs waits for up to 20 of them",
        own=True,
    ),
    Family("trainshed_object_bytes", "gauge", (), "Bytes of all objects and unfinished uploads"),
    Family("trainshed_log_bytes", "gauge", (), "Bytes of all logs, at most five minutes ago"),
    Family("trainshed_disk_free_bytes", "gauge", (), "Bytes that the data folder's disk has left"),
    Family("trainshed_disk_bytes", "gauge", (), "Bytes that the data folder's disk has"),
)
"""In the order in which they are told; ``process_*`` (CPU, memory, open files) come behind them."""
