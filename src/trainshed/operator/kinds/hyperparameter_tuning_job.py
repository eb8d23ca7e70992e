"""HyperparameterTuningJob. Its kind has a small p; the members of its spec have a capital one."""

from typing import Final

from trainshed.operator.kinds import parts
from trainshed.operator.kinds.base import Column, Kind
from trainshed.operator.schema.structural import (
    Schema,
    boolean,
    integer,
    list_of,
    moment,
    pairs,
    string,
    structure,
)


def _range() -> Schema:
    return list_of(
        structure(
            {
                "*maxValue": string(),
                "*minValue": string(),
                "*name": string(),
                "*scalingType": string(),
            }
        )
    )


_CONFIG = structure(
    {
        "*resourceLimits": structure(
            {
                "*maxNumberOfTrainingJobs": integer(least=1),
                "*maxParallelTrainingJobs": integer(least=1),
            }
        ),
        "*strategy": string(),
        "hyperParameterTuningJobObjective": structure(
            {"*metricName": string(least=1), "*type": string()}
        ),
        "parameterRanges": structure(
            {
                "categoricalParameterRanges": list_of(
                    structure({"*name": string(), "*values": list_of(string(), least=1)})
                ),
                "continuousParameterRanges": _range(),
                "integerParameterRanges": _range(),
            }
        ),
        "trainingJobEarlyStoppingType": string(),
    }
)
_DEFINITION = structure(
    {
        "*algorithmSpecification": structure(
            {
                "*trainingInputMode": parts.INPUT_MODE,
                "algorithmName": string(least=1),
                "metricDefinitions": parts.METRICS,
                "trainingImage": string(),
            }
        ),
        "*outputDataConfig": parts.OUTPUT,
        "*resourceConfig": parts.TRAINING_RESOURCES,
        "*roleArn": parts.ROLE,
        "*stoppingCondition": parts.STOPPING_CONDITION,
        "checkpointConfig": parts.CHECKPOINTS,
        "enableInterContainerTrafficEncryption": boolean(),
        "enableManagedSpotTraining": boolean(),
        "enableNetworkIsolation": boolean(),
        "inputDataConfig": parts.CHANNELS,
        "staticHyperParameters": pairs(),
        "vpcConfig": parts.VPC_CONFIG,
    }
)
_SPEC = structure(
    {
        "*hyperParameterTuningJobConfig": _CONFIG,
        "*region": parts.REGION,
        "deletionPolicy": parts.DELETION_POLICY,
        "hyperParameterTuningJobName": string(),
        "sageMakerEndpoint": parts.ENDPOINT,
        "stop": parts.STOP,
        "tags": parts.TAGS,
        "trainingJobDefinition": _DEFINITION,
        "warmStartConfig": structure(
            {
                "*parentHyperParameterTuningJobs": list_of(
                    structure({"hyperParameterTuningJobName": string(least=1)}), least=1
                ),
                "*warmStartType": string(),
            }
        ),
    }
)
_BEST = structure(
    {
        "creationTime": moment(),
        "failureReason": string(),
        "finalHyperParameterTuningJobObjectiveMetric": structure(
            # A text: floats differ from one reader to another.
            {"metricName": string(), "type": string(), "value": string()}
        ),
        "objectiveStatus": string(),
        "trainingEndTime": moment(),
        "trainingJobArn": string(),
        "trainingJobName": string(),
        "trainingJobStatus": string(),
        "trainingStartTime": moment(),
        "tunedHyperParameters": pairs(),
        "tuningJobName": string(),
    }
)
_COUNTERS = structure(
    {
        "completed": integer(),
        "inProgress": integer(),
        "nonRetryableError": integer(),
        "retryableError": integer(),
        "stopped": integer(),
        "totalError": integer(),
    }
)
_STATUS = structure(
    {
        "additional": parts.ADDITIONAL,
        "bestTrainingJob": _BEST,
        "hyperParameterTuningJobStatus": string(),
        "lastCheckTime": parts.LAST_CHECK,
        "sageMakerHyperParameterTuningJobName": string(),
        "trainingJobStatusCounters": _COUNTERS,
        **parts.NEW_IN_STATUS,
    }
)


def _count(name: str, member: str) -> Column:
    path = f".status.trainingJobStatusCounters.{member}"
    return Column(name=name, path=path, type="number", format="int64")


HYPERPARAMETER_TUNING_JOB: Final = Kind(
    kind="HyperparameterTuningJob",
    plural="hyperparametertuningjobs",
    short_names=("hpo",),
    operation="CreateHyperParameterTuningJob",
    name_member="HyperParameterTuningJobName",
    name_limit=32,
    spec_name="hyperParameterTuningJobName",
    status_name="sageMakerHyperParameterTuningJobName",
    status_state="hyperParameterTuningJobStatus",
    spec=_SPEC,
    status=_STATUS,
    columns=(
        Column(name="Status", path=".status.hyperParameterTuningJobStatus"),
        parts.CREATION_TIME,
        _count("Completed", "completed"),
        _count("InProgress", "inProgress"),
        _count("Errors", "totalError"),
        _count("Stopped", "stopped"),
        Column(name="Best-Training-Job", path=".status.bestTrainingJob.trainingJobName"),
        Column(name="Sagemaker-Job-Name", path=".status.sageMakerHyperParameterTuningJobName"),
        parts.AGE,
        parts.FAILURE_REASON,
    ),
)
