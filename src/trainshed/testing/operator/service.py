"""SageMaker's training jobs in memory, with everything that may go wrong on the way to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from trainshed.operator.deciding.base import Answer, Refused, Told, Trouble
from trainshed.operator.objects import Place

NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
AWAY: Final = Trouble("ServiceUnreachable", "the service is away on purpose")
_MISSING: Final = Refused("ValidationException", "Requested resource not found.")


@dataclass(slots=True)
class Job:
    """One job at the service."""

    request: Mapping[str, Any]
    region: str
    status: str = "InProgress"
    secondary: str = "Starting"
    reason: str = ""
    rules: str = ""
    """The status of a rule that looks at it; "" for none."""
    stops: int = 0
    """How often it was asked to stop."""

    @property
    def uid(self) -> str:
        """Whose it is, by its tags."""
        tags = {tag["Key"]: tag["Value"] for tag in self.request.get("Tags", ())}
        return str(tags.get("trainshed:object-uid", ""))

    def end(self, status: str, reason: str = "") -> None:
        """Be over."""
        self.status = self.secondary = status
        self.reason = reason

    def described(self) -> dict[str, Any]:
        """Return what DescribeTrainingJob tells."""
        name = self.request["TrainingJobName"]
        told: dict[str, Any] = {
            "TrainingJobName": name,
            "TrainingJobArn": f"arn:aws:sagemaker:{self.region}:123456789012:training-job/{name}",
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self.secondary,
            "CreationTime": NOON,
            "LastModifiedTime": NOON,
            "SecondaryStatusTransitions": [
                {"Status": self.secondary, "StatusMessage": f"It is {self.secondary}."}
            ],
        }
        if self.reason:
            told["FailureReason"] = self.reason
        if self.rules:
            rule = {"RuleConfigurationName": "loss", "RuleEvaluationStatus": self.rules}
            told["DebugRuleEvaluationStatuses"] = [rule]
        if self.status == "Completed":
            told["ModelArtifacts"] = {"S3ModelArtifacts": f"s3://models/{name}/model.tar.gz"}
        return told


@dataclass(slots=True)
class MemoryJobs:
    """All places; a job is of one place."""

    jobs: dict[tuple[Place, str], Job] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    """Names, in the order in which jobs were created."""
    calls: list[str] = field(default_factory=list)
    away: bool = False
    """Whether nobody answers."""
    trouble: Trouble = AWAY
    """What comes of a call then."""
    loses: bool = False
    """Whether calls are carried out and nobody hears of it."""
    refuses: str = ""
    """Why jobs are not created; "" when they are."""

    async def call(
        self, place: Place, operation: str, params: Mapping[str, Any]
    ) -> Answer | Trouble:
        """Answer a call."""
        self.calls.append(operation)
        if self.away:
            return self.trouble
        answer = self._answer(place, operation, params)
        return self.trouble if self.loses else answer

    def address(self, place: Place) -> str:
        """Return a place's endpoint."""
        return place.endpoint

    def job(self, name: str) -> Job:
        """Return the only job of a name."""
        [found] = [job for (_, called), job in self.jobs.items() if called == name]
        return found

    def _answer(self, place: Place, operation: str, params: Mapping[str, Any]) -> Answer:
        if operation == "ListTags":
            return self._tags(params["ResourceArn"])
        name = params["TrainingJobName"]
        job = self.jobs.get((place, name))
        if operation == "CreateTrainingJob":
            return self._create(place, name, params, job)
        if job is None:
            return _MISSING
        if operation == "DescribeTrainingJob":
            return Told(job.described())
        if job.status != "InProgress":
            text = f"The training job is in status {job.status} and cannot be stopped"
            return Refused("ValidationException", text)
        job.stops += 1
        job.status = job.secondary = "Stopping"
        return Told({})

    def _create(
        self, place: Place, name: str, params: Mapping[str, Any], job: Job | None
    ) -> Answer:
        if job is not None:
            return Refused("ResourceInUse", "Training job names must be unique")
        if self.refuses:
            return Refused("ValidationException", self.refuses)
        self.jobs[place, name] = Job(request=dict(params), region=place.region)
        self.made.append(name)
        return Told({"TrainingJobArn": name})

    def _tags(self, arn: str) -> Answer:
        for (_, name), job in self.jobs.items():
            if arn.endswith(f"/{name}"):
                return Told({"Tags": list(job.request.get("Tags", ()))})
        return _MISSING
