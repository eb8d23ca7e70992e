"""Ready-made jobs and facts, so that a test names only what it is about."""

from datetime import UTC, datetime
from typing import Any, Final

from trainshed.domain.facts import Fact, Kind
from trainshed.domain.names import sagemaker_arn
from trainshed.domain.training import SecondaryStatus, TrainingJob

NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)


def request(name: str = "digits", **members: Any) -> dict[str, Any]:
    """Return a small, valid CreateTrainingJob; ``members`` replace its top-level ones."""
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::123456789012:role/trainshed",
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 10,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **members,
    }


def job(name: str = "digits", *, nodes: int = 1, **members: Any) -> TrainingJob:
    """Return a job as ``CreateTrainingJob`` leaves it; ``members`` go into its request."""
    asked = request(name, **members)
    asked["ResourceConfig"] = {**asked["ResourceConfig"], "InstanceCount": nodes}
    new = TrainingJob(
        arn=sagemaker_arn(
            region="us-east-1", account="123456789012", kind="training-job", name=name
        ),
        name=name,
        region="us-east-1",
        account="123456789012",
        id=name.encode().hex()[:12].ljust(12, "0"),
        request=asked,
        created=NOON,
        modified=NOON,
    )
    return new.moved_to(SecondaryStatus.STARTING, at=NOON)


def facts(*kinds: Kind | tuple[Kind, dict[str, Any]], start: float = 1.0) -> tuple[Fact, ...]:
    """Return a journal of these kinds, a second apart, the first ``start`` seconds after noon."""
    pairs = [kind if isinstance(kind, tuple) else (kind, {}) for kind in kinds]
    return tuple(
        Fact(n, NOON.timestamp() + start + n - 1, kind, detail)
        for n, (kind, detail) in enumerate(pairs, start=1)
    )
