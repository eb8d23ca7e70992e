"""What Search can ask of a training job: each property by its path, and what kind of value it has.

Source: the members of ``TrainingJob`` in the service model, and the text of ``Filter`` there.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final


class Kind(StrEnum):
    """What a property's values are; it decides which operators make sense."""

    TEXT = "text"
    NUMBER = "number"
    TIME = "timestamp"
    TRUTH = "Boolean"
    FREE = "hyperparameter"
    """Text that is compared as a number where both sides are one."""
    WHOLE = "structure"
    """Something with members of its own: it can only be there or not."""


_BY_KIND: Final[Mapping[Kind, str]] = {
    Kind.TEXT: """
        TrainingJobName TrainingJobArn TuningJobArn LabelingJobArn AutoMLJobArn
        TrainingJobStatus SecondaryStatus FailureReason RoleArn OutputModelPackageArn
        ModelArtifacts.S3ModelArtifacts
        AlgorithmSpecification.TrainingImage AlgorithmSpecification.AlgorithmName
        AlgorithmSpecification.TrainingInputMode
        AlgorithmSpecification.MetricDefinitions.Name AlgorithmSpecification.MetricDefinitions.Regex
        AlgorithmSpecification.ContainerEntrypoint AlgorithmSpecification.ContainerArguments
        InputDataConfig.ChannelName InputDataConfig.ContentType InputDataConfig.CompressionType
        InputDataConfig.RecordWrapperType InputDataConfig.InputMode
        InputDataConfig.DataSource.S3DataSource.S3DataType
        InputDataConfig.DataSource.S3DataSource.S3Uri
        InputDataConfig.DataSource.S3DataSource.S3DataDistributionType
        InputDataConfig.DataSource.S3DataSource.AttributeNames
        InputDataConfig.DataSource.S3DataSource.InstanceGroupNames
        InputDataConfig.DataSource.FileSystemDataSource.FileSystemId
        InputDataConfig.DataSource.FileSystemDataSource.FileSystemAccessMode
        InputDataConfig.DataSource.FileSystemDataSource.FileSystemType
        InputDataConfig.DataSource.FileSystemDataSource.DirectoryPath
        OutputDataConfig.KmsKeyId OutputDataConfig.S3OutputPath OutputDataConfig.CompressionType
        ResourceConfig.InstanceType ResourceConfig.VolumeKmsKeyId
        ResourceConfig.InstanceGroups.InstanceType ResourceConfig.InstanceGroups.InstanceGroupName
        ResourceConfig.TrainingPlanArn
        WarmPoolStatus.Status WarmPoolStatus.ReusedByJob
        VpcConfig.SecurityGroupIds VpcConfig.Subnets
        SecondaryStatusTransitions.Status SecondaryStatusTransitions.StatusMessage
        FinalMetricDataList.MetricName
        CheckpointConfig.S3Uri CheckpointConfig.LocalPath
        DebugHookConfig.LocalPath DebugHookConfig.S3OutputPath
        TensorBoardOutputConfig.LocalPath TensorBoardOutputConfig.S3OutputPath
        ProfilerConfig.S3OutputPath
        ExperimentConfig.ExperimentName ExperimentConfig.TrialName ExperimentConfig.RunName
        ExperimentConfig.TrialComponentDisplayName
        DebugRuleConfigurations.RuleConfigurationName DebugRuleConfigurations.RuleEvaluatorImage
    """,
    Kind.NUMBER: """
        InputDataConfig.ShuffleConfig.Seed
        ResourceConfig.InstanceCount ResourceConfig.VolumeSizeInGB
        ResourceConfig.KeepAlivePeriodInSeconds ResourceConfig.InstanceGroups.InstanceCount
        StoppingCondition.MaxRuntimeInSeconds StoppingCondition.MaxWaitTimeInSeconds
        StoppingCondition.MaxPendingTimeInSeconds
        FinalMetricDataList.Value TrainingTimeInSeconds BillableTimeInSeconds
        ProfilerConfig.ProfilingIntervalInMilliseconds RetryStrategy.MaximumRetryAttempts
    """,
    Kind.TIME: """
        CreationTime TrainingStartTime TrainingEndTime LastModifiedTime
        SecondaryStatusTransitions.StartTime SecondaryStatusTransitions.EndTime
        FinalMetricDataList.Timestamp
    """,
    Kind.TRUTH: """
        EnableNetworkIsolation EnableInterContainerTrafficEncryption EnableManagedSpotTraining
        AlgorithmSpecification.EnableSageMakerMetricsTimeSeries ProfilerConfig.DisableProfiler
    """,
}
_KINDS: Final = {path: kind for kind, paths in _BY_KIND.items() for path in paths.split()}
_WHOLES: Final = frozenset(
    ".".join(parts[:count])
    for parts in (path.split(".") for path in _KINDS)
    for count in range(1, len(parts))
) | {"HyperParameters", "Environment", "Tags", "Metrics"}

_KEYED: Final = {
    "HyperParameters": Kind.FREE,
    "Environment": Kind.TEXT,
    "Tags": Kind.TEXT,
    "Metrics": Kind.NUMBER,
}
"""Properties whose further path is a key of the user's own, dots and all."""
LISTS: Final = frozenset(
    {
        "InputDataConfig",
        "Tags",
        "FinalMetricDataList",
        "SecondaryStatusTransitions",
        "ResourceConfig.InstanceGroups",
        "AlgorithmSpecification.MetricDefinitions",
        "DebugRuleConfigurations",
    }
)
"""What NestedFilters can look into, element by element."""


def kind_of(name: str) -> Kind | None:
    """Return the kind of a property, None when training jobs have no such property."""
    root, _, key = name.partition(".")
    if key and root in _KEYED:
        return _KEYED[root]
    return _KINDS.get(name) or (Kind.WHOLE if name in _WHOLES else None)


def kind_in_list(name: str) -> Kind | None:
    """Return the kind of a property of the elements of one of ``LISTS``."""
    return Kind.TEXT if name in {"Tags.Key", "Tags.Value"} else _KINDS.get(name)


def values(record: Mapping[str, Any], name: str) -> list[Any]:
    """Return all values a record has under ``name``; several when lists lie on the way."""
    root, _, key = name.partition(".")
    if key and root == "Tags":
        return [tag["Value"] for tag in record.get("Tags", ()) if tag["Key"] == key]
    if root == "Metrics":
        metrics = record.get("FinalMetricDataList", ())
        return [metric["Value"] for metric in metrics if key in {"", metric["MetricName"]}]
    if key and root in _KEYED:
        return walk(record.get(root), [key])
    return walk(record, name.split("."))


def walk(node: object, path: list[str]) -> list[Any]:
    """Return what lies at ``path`` below ``node``, through every element of each list."""
    if isinstance(node, list):
        return [value for element in node for value in walk(element, path)]
    if node is None:
        return []
    if not path:
        return [node]
    return walk(node.get(path[0]), path[1:]) if isinstance(node, Mapping) else []
