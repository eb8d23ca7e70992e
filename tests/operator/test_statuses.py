"""What is written into statuses has its place in the schemas: elsewhere it would be dropped."""

from datetime import UTC, datetime
from typing import Any

import jsonschema

from trainshed.operator.deciding import conditions, submitted
from trainshed.operator.deciding.training_job import told
from trainshed.operator.kinds.table import KINDS
from trainshed.operator.objects import Object, Place

SOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
DESCRIBED = {
    "TrainingJobName": "digits",
    "TrainingJobArn": "arn:aws:sagemaker:us-east-2:111122223333:training-job/digits",
    "TrainingJobStatus": "Completed",
    "SecondaryStatus": "Completed",
    "FailureReason": "none, and yet it is told",
    "ModelArtifacts": {"S3ModelArtifacts": "s3://trees/models/digits/output/model.tar.gz"},
    "CreationTime": SOON,
    "TrainingStartTime": SOON,
    "TrainingEndTime": SOON,
    "LastModifiedTime": SOON,
    "TrainingTimeInSeconds": 8,
    "BillableTimeInSeconds": 8,
    "SecondaryStatusTransitions": [
        {"Status": "Completed", "StartTime": SOON, "StatusMessage": "It is over"}
    ],
    "FinalMetricDataList": [{"MetricName": "error", "Value": 0.5, "Timestamp": SOON}],
    "DebugRuleEvaluationStatuses": [
        {
            "RuleConfigurationName": "LossStays",
            "RuleEvaluationJobArn": "arn:aws:sagemaker:us-east-2:111122223333:processing-job/r",
            "RuleEvaluationStatus": "NoIssuesFound",
            "StatusDetails": "looked at all",
            "LastModifiedTime": SOON,
        }
    ],
}


def closed(schema: Any) -> Any:
    """Return a schema that refuses what an API server would drop, and texts that are empty."""
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(inner) for key, inner in schema.items() if key != "properties"}
    if "properties" in schema:
        result["properties"] = {name: closed(each) for name, each in schema["properties"].items()}
        result["additionalProperties"] = False
    if schema.get("type") == "string":
        result = {"minLength": 1, **result}
    return result


def test_all_that_is_told_of_a_training_job_is_kept() -> None:
    spec = {"region": "us-east-2", "roleArn": "arn:aws:iam::111122223333:role/training"}
    thing = Object("trainingjobs", {"metadata": {"name": "digits", "generation": 1}, "spec": spec})
    status = told.status(DESCRIBED, Place("", "us-east-2"))
    assert None not in status.values()
    status[submitted.MEMBER] = submitted.record(spec, "digits")
    status["observedGeneration"] = 1
    status["conditions"] = conditions.merged(
        thing, (conditions.Condition(conditions.SYNCED, True, "Followed"),), SOON
    )
    schema = closed(dict(KINDS["TrainingJob"].status))
    assert [each.message for each in jsonschema.Draft4Validator(schema).iter_errors(status)] == []


def test_all_that_is_told_of_a_kind_that_is_not_offered_is_kept() -> None:
    for kind in KINDS.values():
        thing = Object(kind.plural, {"metadata": {"name": "digits", "generation": 1}, "spec": {}})
        status = {
            "observedGeneration": 1,
            "conditions": conditions.merged(thing, conditions.stalled("NotOffered", "why"), SOON),
        }
        schema = closed(dict(kind.status))
        faults = jsonschema.Draft4Validator(schema).iter_errors(status)
        assert [each.message for each in faults] == []
