"""What a DescribeTrainingJob tells, as the status of an object."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from trainshed.domain.names import TRAINING_LOG_GROUP
from trainshed.operator.objects import Place, written

OVER: Final = frozenset({"Completed", "Failed", "Stopped"})
"""TrainingJobStatus that nothing follows."""
_UNDER_WAY: Final = frozenset({"InProgress", "Stopping"})
"""RuleEvaluationStatus that something follows."""

_TIMES: Final = {
    "creationTime": "CreationTime",
    "trainingStartTime": "TrainingStartTime",
    "trainingEndTime": "TrainingEndTime",
    "lastModifiedTime": "LastModifiedTime",
}
_NUMBERS: Final = {
    "trainingTimeInSeconds": "TrainingTimeInSeconds",
    "billableTimeInSeconds": "BillableTimeInSeconds",
}


def status(told: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Return the members of the status that tell of the job; None for what it does not tell."""
    state = told.get("TrainingJobStatus")
    reason = told.get("FailureReason") or None
    model = (told.get("ModelArtifacts") or {}).get("S3ModelArtifacts")
    return {
        "trainingJobStatus": state,
        "secondaryStatus": told.get("SecondaryStatus"),
        "additional": reason,
        "failureReason": reason,
        "statusMessage": _message(told),
        "sageMakerTrainingJobName": told.get("TrainingJobName"),
        "trainingJobArn": told.get("TrainingJobArn"),
        "modelPath": model if state in OVER and state != "Failed" else None,
        "cloudWatchLogUrl": _log_url(str(told.get("TrainingJobName")), place),
        "debugRuleEvaluationStatuses": _rules(told) or None,
        "finalMetrics": _metrics(told) or None,
        **{ours: _moment(told.get(theirs)) for ours, theirs in _TIMES.items()},
        **{ours: told.get(theirs) for ours, theirs in _NUMBERS.items()},
    }


def rules_under_way(status: Mapping[str, Any]) -> bool:
    """Tell whether a rule of the debugger still looks at what the job left."""
    rules: Sequence[Mapping[str, Any]] = status.get("debugRuleEvaluationStatuses") or ()
    return any(rule.get("ruleEvaluationStatus") in _UNDER_WAY for rule in rules)


def _message(told: Mapping[str, Any]) -> str | None:
    transitions = told.get("SecondaryStatusTransitions") or ()
    return (transitions[-1].get("StatusMessage") or None) if transitions else None


def _rules(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        _without_nothing(
            {
                "ruleConfigurationName": rule.get("RuleConfigurationName"),
                "ruleEvaluationJobArn": rule.get("RuleEvaluationJobArn"),
                "ruleEvaluationStatus": rule.get("RuleEvaluationStatus"),
                "statusDetail": rule.get("StatusDetails"),
                "lastModifiedTime": _moment(rule.get("LastModifiedTime")),
            }
        )
        for rule in told.get("DebugRuleEvaluationStatuses") or ()
    ]


def _metrics(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        _without_nothing(
            {
                "metricName": metric.get("MetricName"),
                "value": metric.get("Value"),
                "timestamp": _moment(metric.get("Timestamp")),
            }
        )
        for metric in told.get("FinalMetricDataList") or ()
        if math.isfinite(metric.get("Value", 0.0))  # JSON has no others
    ]


def _log_url(name: str, place: Place) -> str | None:
    """Return the page of Amazon's console; None where another service keeps the log."""
    if place.endpoint and "amazonaws.com" not in place.endpoint:
        return None
    china = place.region.startswith("cn-")
    console = f"{place.region}.console.{'amazonaws.cn' if china else 'aws.amazon.com'}"
    return (
        f"https://{console}/cloudwatch/home?region={place.region}#logStream:"
        f"group={TRAINING_LOG_GROUP};prefix={name};streamFilter=typeLogStreamPrefix"
    )


def _moment(given: object) -> str | None:
    return written(given.astimezone(UTC)) if isinstance(given, datetime) else None


def _without_nothing(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
