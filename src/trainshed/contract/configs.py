"""The exact content of the files below ``/opt/ml/input/config``.

The platform writes them before the container starts; images read them, and so does script mode.
All are one line of compact JSON, as the service writes them.

Sources: Amazon SageMaker developer guide, "How Amazon SageMaker Provides Training Information";
the forms of today's service (instance groups, topology) as published job logs show them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

HOMOGENEOUS: Final = "homogeneousCluster"
"""The name of the one instance group of a job that asked for none."""
DEFAULT_INTERFACE: Final = "eth0"


def hyperparameters(values: Mapping[str, str]) -> str:
    """Return hyperparameters.json: the request's map, unchanged, every value a string."""
    return _json(dict(values))


def input_data_config(channels: Sequence[Mapping[str, Any]], input_mode: str) -> str:
    """Return inputdataconfig.json.

    Args:
        channels: ``InputDataConfig`` of the request.
        input_mode: the job's ``TrainingInputMode``; a channel's own ``InputMode`` wins.
    """
    return _json({channel["ChannelName"]: _channel(channel, input_mode) for channel in channels})


def resource_config(
    *,
    host: str,
    hosts: Sequence[str],
    instance_type: str,
    instance_group: str,
    instance_groups: Sequence[Mapping[str, Any]],
    network_interface: str = DEFAULT_INTERFACE,
) -> str:
    """Return resourceconfig.json.

    Args:
        host: this node's name, such as ``algo-1``.
        hosts: all nodes, in any order; the file has them sorted as text (algo-1, algo-10, algo-2).
        instance_type: this node's.
        instance_group: this node's; ``homogeneousCluster`` when the job has no groups.
        instance_groups: ``{instance_group_name, instance_type, hosts}`` each; with none, one
            group that holds every host stands in the file.
        network_interface: the interface that reaches the other nodes; it must really exist,
            since NCCL and MPI are told to use it.
    """
    ordered = sorted(hosts)
    groups: list[dict[str, Any]] = [
        {
            "instance_group_name": group["instance_group_name"],
            "instance_type": group["instance_type"],
            "hosts": sorted(group["hosts"]),
        }
        for group in instance_groups
    ] or [
        {
            "instance_group_name": instance_group,
            "instance_type": instance_type,
            "hosts": ordered,
        }
    ]
    return _json(
        {
            "current_host": host,
            "current_instance_type": instance_type,
            "current_group_name": instance_group,
            "hosts": ordered,
            "instance_groups": groups,
            "network_interface_name": network_interface,
            "topology": None,
        }
    )


def extras(request: Mapping[str, Any], metrics: Sequence[Mapping[str, str]] = ()) -> dict[str, str]:
    """Return the other files, by name.

    The service documents none of them; their names come from listings of real containers, their
    content is ours: trainingjobconfig is the request, metric-definition-regex maps each metric
    to its pattern (``{}`` when there is none, as the service has it), upstreamoutputdataconfig is
    the request's output part. init-config holds settings of the service's own machinery that
    mean nothing elsewhere, so it is an empty object: programs that list or open it go on.

    Args:
        request: CreateTrainingJob as it came.
        metrics: ``MetricDefinitions``: ``{Name, Regex}``.
    """
    found = {
        "init-config.json": _json({}),
        "metric-definition-regex.json": _json({each["Name"]: each["Regex"] for each in metrics}),
        "trainingjobconfig.json": _json(dict(request)),
        "upstreamoutputdataconfig.json": _json(request.get("OutputDataConfig") or {}),
    }
    for member, name in _WHEN_ASKED.items():
        if request.get(member):
            found[name] = _json(request[member])
    return found


_WHEN_ASKED: Final = {
    "CheckpointConfig": "checkpointconfig.json",
    "DebugHookConfig": "debughookconfig.json",
    "ProfilerConfig": "profilerconfig.json",
}


def _channel(channel: Mapping[str, Any], input_mode: str) -> dict[str, str]:
    source = (channel.get("DataSource") or {}).get("S3DataSource") or {}
    entry = {
        "TrainingInputMode": channel.get("InputMode") or input_mode,
        "S3DistributionType": source.get("S3DataDistributionType") or "FullyReplicated",
        "RecordWrapperType": channel.get("RecordWrapperType") or "None",
    }
    content_type = channel.get("ContentType")
    return {"ContentType": content_type, **entry} if content_type else entry


def _json(value: object) -> str:
    # ASCII: images read these files in whatever locale they have.
    return json.dumps(value, separators=(",", ":"))
