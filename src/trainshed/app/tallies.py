"""What is counted, logged and sent of what passes, in one place: whoever watches asks here."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import trainshed
from trainshed.api.answered import RequestTally
from trainshed.app.settings import Settings
from trainshed.app.tracing import Traces
from trainshed.domain.subject import words_of
from trainshed.domain.training import TrainingJob
from trainshed.stores.figures import QUICK, Histogram
from trainshed.stores.records.tally import JobTally

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallies:
    """What passed since this process began."""

    requests: RequestTally
    jobs: JobTally = field(default_factory=JobTally)
    report_lag: Histogram = field(default_factory=lambda: Histogram(QUICK))
    """Seconds from what an agent saw until the server took it."""
    traces: Traces | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Tallies":
        """Begin to count, as the settings say.

        Raises:
            SettingsError: traces are wished, and what sends them is not installed.
        """
        told = settings.telemetry
        return cls(
            requests=RequestTally(logged=settings.log_requests),
            traces=Traces(told.endpoint, told.headers, trainshed.__version__) if told else None,
        )

    def note_job(self, old: TrainingJob, new: TrainingJob) -> None:
        """Take up what a write changed of a job."""
        if new.secondary is not old.secondary:
            log.info("the job is %s", new.secondary.value, extra=dict(words_of(new)))
        self.jobs.note(old, new)
        if self.traces is not None:
            self.traces.note(old, new)

    def heard(self, clock: Callable[[], datetime]) -> Callable[[float], None]:
        """Return what takes up when something had been seen that was told by ``clock`` now."""

        def note(at: float) -> None:
            self.report_lag.note(max(0.0, clock().timestamp() - at))

        return note

    def close(self) -> None:
        """Send what is still to be sent."""
        if self.traces is not None:
            self.traces.close()
