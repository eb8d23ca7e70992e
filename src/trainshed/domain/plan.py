"""What will be launched, as a value that can be printed before anything runs.

The engine makes a ``LaunchPlan`` from a job; a driver starts one agent per ``NodePlan``. The
agent reads its plan as JSON, with the members below as keys. Everything a node needs to know is
in its plan: an agent asks nobody.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a container may use, where the runtime can hold it to that."""

    cpus: float
    memory: int
    """Bytes."""
    gpus: int = 0
    shm: int = 0
    """Bytes of /dev/shm; 0 for half of the memory."""
    volume: int = 0
    """Bytes of disk that the job asked for; 0 when it did not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """One container of an attempt, complete."""

    node_id: str
    """``<job id>.<attempt>.<host>``: the same plan launched twice is the same node."""
    job_name: str
    job_arn: str
    region: str
    host: str
    """``algo-1`` is rank 0."""
    hosts: tuple[str, ...]
    """All nodes of the attempt, in rank order."""
    instance_type: str
    instance_group: str
    """``homogeneousCluster`` when the request has no groups."""
    instance_groups: tuple[Mapping[str, Any], ...]
    """As resourceconfig.json has them: ``{instance_group_name, instance_type, hosts}``."""
    image: str
    """The image to run: ``TrainingImage``, or what the backend has in its place; "" for none."""
    environment_path: str
    """Process runtime: the interpreter, or the folder that holds ``bin/python``, mapped to it."""
    entrypoint: tuple[str, ...] | None
    """``ContainerEntrypoint``; None keeps the image's own."""
    arguments: tuple[str, ...] | None
    """``ContainerArguments``; None means ``train``."""
    script_mode: bool
    """Whether the toolkit runs the user's script (no entrypoint; ``sagemaker_program`` is set)."""
    hyperparameters: Mapping[str, str]
    environment: Mapping[str, str]
    """What the container finds in its environment beside the contract's own variables."""
    channels: tuple[Mapping[str, Any], ...]
    """``InputDataConfig`` as asked, channel by channel."""
    input_mode: str
    """The job's ``TrainingInputMode``; a channel's ``InputMode`` wins."""
    output_path: str
    """``OutputDataConfig.S3OutputPath`` without a trailing slash."""
    compression: str
    """``GZIP`` or ``NONE``."""
    metrics: tuple[Mapping[str, str], ...]
    """``MetricDefinitions``: ``{Name, Regex}``."""
    max_runtime: float
    """Seconds the container may run."""
    grace: float = 120.0
    """Seconds between SIGTERM and SIGKILL."""
    log_group: str
    log_stream: str
    server_url: str
    """Where facts and log lines are reported, ``http://host:port``."""
    token: str
    """Bearer token for this node's reports."""
    objects: Mapping[str, str]
    """How the agent reaches ``s3://``: ``endpoint``, ``access_key``, ``secret_key``, ``region``;
    and ``folder``, where the bytes lie when the store is the server's own and on this machine."""
    stores: tuple[Mapping[str, str], ...] = ()
    """Object stores beside that one, each with the ``prefix`` of the addresses that lie there
    (``s3://bucket/``, ``gs://bucket/``, …), and how it is reached. The longest prefix wins."""
    file_roots: tuple[str, ...] = ()
    """Folders below which ``file://`` addresses are allowed; none when empty."""
    runtime: str = "process"
    """How the agent starts the container: ``process``, ``docker``, or ``sibling`` where the place
    starts it beside the agent."""
    engine: str = ""
    """Docker runtime: the engine's socket, ``unix:///path``; "" to look in the usual places."""
    pull: str = "missing"
    """Docker runtime: fetch the image when it is ``missing`` on the machine, or ``always``."""
    resources: Resources | None = None
    """What the instance type promises; None where nothing is reserved."""
    isolated: bool = False
    """``EnableNetworkIsolation``: no network but the job's own nodes, and no credentials."""
    container_url: str = ""
    """Where the container itself reaches the server; "" for ``server_url``."""
    credentials_token: str = ""
    """What the container shows to be given short-lived keys; "" when it is given none."""
    container_keys: Mapping[str, str] = field(default_factory=dict)
    """Keys for a container that can't ask for short-lived ones: ``access_key``, ``secret_key``,
    ``session_token``; empty for all others."""
    attempt_secret: str = ""
    """What the nodes of the attempt know and nobody else: by it their toolkits trust each other."""
    file_systems: Mapping[str, str] = field(default_factory=dict)
    """What stands for a ``FileSystemId``: a folder of this machine, or ``nfs://host/export``."""
    cache: str = ""
    """Folder shared by the nodes of a machine, for what is worth keeping between jobs."""
    cache_limit: int = 0
    """Bytes that staged objects may take there; 0 keeps none."""
    warm_pool: str = ""
    """The chain of warm pools that the node is of (``Attempt.pool_chain``); "" for none."""
    warm_cache: str = ""
    """Folder that outlives the node, for the next one of that chain; "" where there is none."""
    unsent: str = ""
    """Folder that outlives the node, for results that no store takes; "" where there is none."""
    uploads: str = ""
    """Folder where uploads under way are noted, so that those of an agent that died can be given
    up; "" where there is none."""
    removed: str = ""
    """File that says, once it is there, that the node was removed: no agent begins any more."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """CreateTrainingJob as it came, for trainingjobconfig.json."""
    notes: tuple[str, ...] = ()
    """Said first in the job's log: where this place differs from what was asked."""

    def to_json(self) -> str:
        """Return the plan as the agent reads it."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "NodePlan":
        """Return the plan that ``to_json`` wrote."""
        members = json.loads(text)
        for key in ("hosts", "entrypoint", "arguments", "notes", "file_roots"):
            if members.get(key) is not None:
                members[key] = tuple(members[key])
        for key in ("instance_groups", "channels", "metrics", "stores"):
            members[key] = tuple(members[key])
        if members.get("resources") is not None:
            members["resources"] = Resources(**members["resources"])
        return cls(**members)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPlan:
    """All nodes of one attempt, and the backend they go to."""

    backend: str
    attempt: int
    nodes: tuple[NodePlan, ...]
