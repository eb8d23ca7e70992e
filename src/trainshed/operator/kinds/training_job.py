"""TrainingJob."""

from typing import Final

from trainshed.operator.kinds import parts
from trainshed.operator.kinds.base import Column, Kind
from trainshed.operator.schema.structural import (
    address,
    boolean,
    described,
    integer,
    list_of,
    moment,
    number,
    pairs,
    string,
    structure,
)

_TENSORBOARD = structure({"*s3OutputPath": address(), "localPath": string()})
_DEBUG_HOOK = structure(
    {
        "*s3OutputPath": address(),
        "localPath": string(),
        # Not hookParameters: the first operator's spelling, which manifests have.
        "ruleParameters": pairs(),
        "collectionConfigurations": list_of(
            structure({"collectionName": string(), "collectionParameters": pairs()})
        ),
    }
)
_DEBUG_RULES = list_of(
    structure(
        {
            "*ruleConfigurationName": string(),
            "*ruleEvaluatorImage": string(),
            "localPath": string(),
            "s3OutputPath": address(),
            "volumeSizeInGB": integer(least=1),
            "instanceType": string(),
            "ruleParameters": pairs(),
        }
    )
)
_SPEC = structure(
    {
        "*algorithmSpecification": structure(
            {
                "*trainingInputMode": parts.INPUT_MODE,
                "algorithmName": string(least=1),
                "metricDefinitions": parts.METRICS,
                "trainingImage": string(least=1),
            }
        ),
        "*outputDataConfig": parts.OUTPUT,
        "*region": parts.REGION,
        "*resourceConfig": parts.TRAINING_RESOURCES,
        "*roleArn": parts.ROLE,
        "*stoppingCondition": parts.STOPPING_CONDITION,
        "checkpointConfig": parts.CHECKPOINTS,
        "debugHookConfig": _DEBUG_HOOK,
        "debugRuleConfigurations": _DEBUG_RULES,
        "deletionPolicy": parts.DELETION_POLICY,
        "enableInterContainerTrafficEncryption": boolean(),
        "enableManagedSpotTraining": boolean(),
        "enableNetworkIsolation": boolean(),
        "hyperParameters": pairs(),
        "inputDataConfig": parts.CHANNELS,
        "sageMakerEndpoint": parts.ENDPOINT,
        "stop": parts.STOP,
        "tags": parts.TAGS,
        "tensorBoardOutputConfig": _TENSORBOARD,
        "trainingJobName": string(most=63),
        "vpcConfig": parts.VPC_CONFIG,
    }
)
_RULE_STATUSES = list_of(
    structure(
        {
            "lastModifiedTime": moment(),
            "ruleConfigurationName": string(),
            "ruleEvaluationJobArn": string(),
            "ruleEvaluationStatus": string(),
            "statusDetail": string(),
        }
    )
)
_SUBMITTED = described(
    "What was asked of the service, and where: spec members by digest, so that edits are noticed.",
    structure({"name": string(), "region": string(), "endpoint": string(), "digests": string()}),
)
NEW: Final = {
    "statusMessage": described("What the job is at, or waits for.", string()),
    "submitted": _SUBMITTED,
    "trainingJobArn": string(),
    "creationTime": moment(),
    "trainingStartTime": moment(),
    "trainingEndTime": moment(),
    "lastModifiedTime": moment(),
    "trainingTimeInSeconds": integer(),
    "billableTimeInSeconds": integer(),
    "finalMetrics": list_of(
        structure({"metricName": string(), "value": number(), "timestamp": moment()})
    ),
}
"""What the first operator did not tell of training jobs."""
_STATUS = structure(
    {
        "additional": parts.ADDITIONAL,
        "cloudWatchLogUrl": described("Where the job's log can be read.", string()),
        "debugRuleEvaluationStatuses": _RULE_STATUSES,
        "lastCheckTime": parts.LAST_CHECK,
        "modelPath": described("Where the model lies.", string()),
        "sageMakerTrainingJobName": string(),
        "secondaryStatus": string(),
        "trainingJobStatus": string(),
        **parts.NEW_IN_STATUS,
        **NEW,
    }
)

TRAINING_JOB: Final = Kind(
    kind="TrainingJob",
    plural="trainingjobs",
    short_names=("tj",),
    operation="CreateTrainingJob",
    name_member="TrainingJobName",
    spec_name="trainingJobName",
    status_name="sageMakerTrainingJobName",
    status_state="trainingJobStatus",
    spec=_SPEC,
    spec_required=True,
    status=_STATUS,
    columns=(
        Column(name="Status", path=".status.trainingJobStatus"),
        Column(name="Secondary-Status", path=".status.secondaryStatus"),
        parts.CREATION_TIME,
        Column(name="Sagemaker-Job-Name", path=".status.sageMakerTrainingJobName"),
        parts.AGE,
        Column(name="Nodes", path=".spec.resourceConfig.instanceCount", type="integer", wide=True),
        Column(
            name="Billable-Seconds",
            path=".status.billableTimeInSeconds",
            type="integer",
            wide=True,
        ),
        parts.FAILURE_REASON,
    ),
)
