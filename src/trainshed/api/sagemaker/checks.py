"""What makes no sense in a CreateTrainingJob that the service model allows, and how it is told.

Pure: looks at the request alone. Whether its data is there is asked in ``data``.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from trainshed.api.sagemaker.rejections import constraint, invalid, not_offered
from trainshed.contract.script_mode import is_script_mode

MAX_RUNTIME: Final = 2419200
"""Seconds; 28 days (API reference, "StoppingCondition")."""
_SOURCES: Final = ("S3DataSource", "FileSystemDataSource", "DatasetSource")

Request = Mapping[str, Any]


def check_request(request: Request) -> None:
    """Check what the members of a request mean together.

    Raises:
        RequestRejected: they contradict each other, or ask for what is not offered.
    """
    _check_offered(request)
    _check_algorithm(request)
    groups = _check_resources(request.get("ResourceConfig"))
    _check_preferences(request)
    _check_limits(request)
    _check_keep_alive(request)
    _check_channels(request, groups)


def check_tags(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return tags by key.

    Raises:
        RequestRejected: a key is there twice, or is kept for AWS.
    """
    if twice := _twice(tag["Key"] for tag in tags):
        raise invalid(f"Duplicate tag keys found: {twice}. Please note that tag keys are unique.")
    for tag in tags:
        if tag["Key"].lower().startswith("aws:"):
            raise invalid(
                f"Tag key {tag['Key']!r}: the prefix 'aws:' is kept for AWS; use another key."
            )
    return {tag["Key"]: tag["Value"] for tag in tags}


def _check_offered(request: Request) -> None:
    if "ServerlessJobConfig" in request:
        raise not_offered(
            "ServerlessJobConfig", "name a TrainingImage and a ResourceConfig instead."
        )
    for member in ("MlflowConfig", "ModelPackageConfig"):
        if member in request:
            raise not_offered(member, "leave it out.")
    resources = request.get("ResourceConfig") or {}
    for member in ("TrainingPlanArn", "InstancePlacementConfig"):
        if resources.get(member):
            raise not_offered(
                f"ResourceConfig.{member}", "use InstanceType and InstanceCount, or InstanceGroups."
            )
    check_remote_debug(request)


def check_remote_debug(request: Request) -> None:
    """Check that no remote debugging is asked for.

    Raises:
        RequestRejected: it is.
    """
    if (request.get("RemoteDebugConfig") or {}).get("EnableRemoteDebug"):
        raise not_offered(
            "RemoteDebugConfig.EnableRemoteDebug",
            "remote debugging goes through AWS Systems Manager; leave it out or set it to false.",
        )


def _check_algorithm(request: Request) -> None:
    algorithm = request.get("AlgorithmSpecification")
    if algorithm is None:
        raise constraint("algorithmSpecification", None, "Member must not be null")
    image, name = algorithm.get("TrainingImage"), algorithm.get("AlgorithmName")
    if image and name:
        raise invalid(
            "AlgorithmSpecification has both TrainingImage and AlgorithmName; give exactly one."
        )
    if name:
        raise not_offered(
            f"AlgorithmSpecification.AlgorithmName '{name}'", "name a TrainingImage instead."
        )
    if (
        not image
        and not algorithm.get("ContainerEntrypoint")
        and not is_script_mode(
            request.get("HyperParameters") or {}, request.get("Environment") or {}
        )
    ):
        raise invalid(
            "AlgorithmSpecification names nothing to run; give TrainingImage, ContainerEntrypoint, "
            "or the hyperparameter sagemaker_program."
        )
    if twice := _twice(metric["Name"] for metric in algorithm.get("MetricDefinitions") or ()):
        raise invalid(f"MetricDefinitions names the metric {twice} more than once.")


def _check_resources(resources: Request | None) -> frozenset[str]:
    """Check the instances asked for; return the names of the instance groups."""
    if resources is None:
        raise constraint("resourceConfig", None, "Member must not be null")
    groups = resources.get("InstanceGroups") or ()
    if resources.get("InstancePreferences"):
        return frozenset()
    if not groups:
        for member in ("InstanceType", "InstanceCount"):
            if resources.get(member) is None:
                path = f"resourceConfig.{member[0].lower()}{member[1:]}"
                raise constraint(path, None, "Member must not be null")
        _check_count("resourceConfig.instanceCount", resources["InstanceCount"])
        return frozenset()
    if resources.get("InstanceType") is not None or resources.get("InstanceCount") is not None:
        raise invalid(
            "ResourceConfig has both InstanceGroups and InstanceType or InstanceCount; "
            "give InstanceGroups alone, or InstanceType and InstanceCount."
        )
    for number, group in enumerate(groups, start=1):
        path = f"resourceConfig.instanceGroups.{number}.member.instanceCount"
        _check_count(path, group["InstanceCount"])
    if twice := _twice(group["InstanceGroupName"] for group in groups):
        raise invalid(f"ResourceConfig.InstanceGroups names the group {twice} more than once.")
    return frozenset(group["InstanceGroupName"] for group in groups)


def _check_preferences(request: Request) -> None:
    """Check a list of instance types, of which the first with capacity is taken."""
    resources = request.get("ResourceConfig") or {}
    preferences = resources.get("InstancePreferences") or ()
    if not preferences:
        return
    where = "ResourceConfig.InstancePreferences"
    for member in ("InstanceType", "InstanceGroups"):
        if resources.get(member):
            raise invalid(f"{where} and {member} exclude each other; give one of them.")
    if request.get("EnableManagedSpotTraining"):
        raise invalid(f"{where} is not for EnableManagedSpotTraining; give one of them.")
    if any(each.get("TrainingPlanArns") for each in preferences):
        raise not_offered(f"{where}.TrainingPlanArns", "leave it out.")
    if twice := _twice(each["InstanceType"] for each in preferences):
        raise invalid(f"{where} names the instance type {twice} more than once.")
    counts = [each.get("InstanceCount") for each in preferences]
    one = resources.get("InstanceCount")
    said = [count for count in counts if count is not None]
    if (one is None and len(said) != len(counts)) or (one is not None and said):
        raise invalid(
            f"{where}: give InstanceCount either once, in ResourceConfig, or with every preference."
        )
    for count in said if one is None else [one]:
        _check_count("resourceConfig.instanceCount", count)
    if len(set(said)) > 1:
        raise not_offered(
            f"{where} with different counts of instances",
            "give one InstanceCount for all of them.",
        )


def _check_keep_alive(request: Request) -> None:
    """Check that nodes are to be kept only of jobs whose nodes another job could take over.

    Source: developer guide, "SageMaker AI Managed Warm Pools", "Considerations".
    """
    resources = request.get("ResourceConfig") or {}
    if not resources.get("KeepAlivePeriodInSeconds"):
        return
    where = "ResourceConfig.KeepAlivePeriodInSeconds"
    if request.get("EnableManagedSpotTraining"):
        raise invalid(f"{where} is not for EnableManagedSpotTraining; give one of them.")
    if resources.get("InstanceGroups"):
        raise invalid(f"{where} is not for jobs with InstanceGroups; leave it out.")


def _check_count(path: str, count: int) -> None:
    if count < 1:
        raise constraint(path, count, "Member must have value greater than or equal to 1")


def _check_limits(request: Request) -> None:
    limits = request.get("StoppingCondition") or {}
    runtime = limits.get("MaxRuntimeInSeconds", 86400)
    wait = limits.get("MaxWaitTimeInSeconds")
    if runtime > MAX_RUNTIME:
        raise constraint(
            "stoppingCondition.maxRuntimeInSeconds",
            runtime,
            f"Member must have value less than or equal to {MAX_RUNTIME}",
        )
    if not request.get("EnableManagedSpotTraining"):
        if wait is not None:
            raise invalid(
                "Invalid MaxWaitTimeInSeconds. It is only supported when "
                "EnableManagedSpotTraining is set to true"
            )
    elif wait is None or wait < runtime:
        raise invalid(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds"
        )


def _check_channels(request: Request, groups: frozenset[str]) -> None:
    channels = request.get("InputDataConfig") or ()
    if twice := _twice(channel["ChannelName"] for channel in channels):
        raise invalid(f"InputDataConfig names the channel {twice} more than once.")
    job_mode = request["AlgorithmSpecification"]["TrainingInputMode"]
    for channel in channels:
        where = f"InputDataConfig channel '{channel['ChannelName']}'"
        given = [source for source in _SOURCES if channel["DataSource"].get(source) is not None]
        if len(given) != 1:
            raise invalid(
                f"{where}: exactly one member of DataSource must be set; "
                f"found {' and '.join(given) or 'none'}."
            )
        mode = channel.get("InputMode") or job_mode
        if given == ["FileSystemDataSource"]:
            if mode != "File":
                raise invalid(f"{where}: a FileSystemDataSource needs InputMode File, not {mode}.")
            continue
        if given != ["S3DataSource"]:
            raise not_offered(f"{where}: {given[0]}", "give an S3DataSource.")
        source = channel["DataSource"]["S3DataSource"]
        _check_s3_source(where, source, mode)
        if unknown := sorted(set(source.get("InstanceGroupNames") or ()) - groups):
            raise invalid(
                f"{where}: InstanceGroupNames has {', '.join(unknown)}, "
                "which ResourceConfig.InstanceGroups does not."
            )


def _check_s3_source(where: str, source: Request, mode: str) -> None:
    match source["S3DataType"]:
        case "Converse":
            raise not_offered(f"{where}: S3DataType Converse", "use S3Prefix.")
        case "AugmentedManifestFile":
            if mode != "Pipe":
                raise invalid(f"{where}: AugmentedManifestFile needs InputMode Pipe, not {mode}.")
            if not source.get("AttributeNames"):
                raise invalid(f"{where}: AugmentedManifestFile needs AttributeNames.")
        case "ManifestFile" if mode == "FastFile":
            raise invalid(f"{where}: InputMode FastFile needs S3DataType S3Prefix.")


def _twice(names: Iterable[str]) -> str:
    """Return the names that are there more than once, quoted, or ""."""
    return ", ".join(f"'{name}'" for name, count in Counter(names).items() if count > 1)
