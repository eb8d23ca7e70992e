"""What the queue tells a job that waits: start, and where; never; or not yet, and why."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a job may start."""

    admitted: bool
    reason: str = ""
    """What it waits for; "" when it may start."""
    hopeless: str = ""
    """Why it will never start, as a FailureReason; "" when it may, now or later."""
    backend: str = ""
    """Where it starts; "" for the backend that the job itself is for."""
    instance_type: str = ""
    """What its nodes are there; "" for what the request names."""
    pool: str = ""
    """ARN of the job whose warm nodes it takes over; "" for nodes of its own."""
