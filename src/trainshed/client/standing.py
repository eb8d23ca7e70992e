"""How a job stands among others, as a person says it, and the request's words for that."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from trainshed.domain.names import PREEMPTIBLE_TAG, PRIORITY_TAG, PROJECT_TAG


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a job stands among others, and what becomes of it when its nodes are lost."""

    project: str = ""
    """Whose share and quota it counts for; "" for the default project."""
    priority: int | None = None
    """0 to 99; None for the default, 50."""
    preemptible: bool = False
    """Whether its nodes may be given to a job of higher priority."""
    spot: bool = False
    """Whether it runs on nodes that may be taken back at any time."""
    max_wait: timedelta | None = None
    """After which a spot job is over, waiting and running; None for twice its time to run."""
    retries: int = 0
    """Further attempts after faults of the platform."""
    keep_alive: timedelta = timedelta(0)
    """How long its nodes stay, for the next job that matches."""

    def tags(self) -> dict[str, str]:
        """Return what tags say of it; "" for what is not said."""
        return {
            PROJECT_TAG: self.project,
            PRIORITY_TAG: "" if self.priority is None else str(self.priority),
            PREEMPTIBLE_TAG: "true" if self.preemptible else "",
        }

    def add_to(self, request: dict[str, Any], max_time: timedelta) -> None:
        """Say in a request what the API has members for."""
        if self.spot:
            request["EnableManagedSpotTraining"] = True
            wait = 2 * max_time if self.max_wait is None else self.max_wait
            limits = {**request["StoppingCondition"]}
            limits["MaxWaitTimeInSeconds"] = int(wait.total_seconds())
            request["StoppingCondition"] = limits
        if self.retries:
            request["RetryStrategy"] = {"MaximumRetryAttempts": self.retries}
        if self.keep_alive:
            seconds = int(self.keep_alive.total_seconds())
            request["ResourceConfig"]["KeepAlivePeriodInSeconds"] = seconds
