"""What a cluster is like and how jobs run there, as it stands in the settings.

[backends.gpu-cluster]
kind = "kubernetes"
server_url = "http://trainshed.ml.svc:7070"
agent_image = "registry.example.com/trainshed:1.0"

[backends.gpu-cluster.instances."ml.g5.*"]
cpus = 7
memory = "28g"
gpus = 1
node_selector = { "node.example.com/pool" = "a10g" }
tolerations = [{ key = "nvidia.com/gpu", operator = "Exists", effect = "NoSchedule" }]
"""

from typing import Annotated, Final, Literal

import msgspec

from trainshed.domain import patterns
from trainshed.drivers.base import Capabilities
from trainshed.drivers.capacity import Capacity
from trainshed.drivers.images import images
from trainshed.drivers.instance_sizes import InstanceSize, in_bytes, instances

_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_Pull = Literal["missing", "always", "never"]
_FileSystem = Annotated[str, msgspec.Meta(pattern=r"^(pvc://[a-z0-9.-]+|nfs://[^/]+/.*)$")]

_STAY: Final = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}


class Toleration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A taint of machines that pods accept, as a pod's manifest has it."""

    key: str = ""
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""


class NodeSize(InstanceSize, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an instance type means on the cluster: what its pods get, and where they may run.

    A machine has less to give than it is sold with: its kubelet keeps some for itself.
    """

    node_selector: dict[str, str] = msgspec.field(default_factory=dict)
    """Labels that a machine must have, beside those that the backend asks of all."""
    tolerations: tuple[Toleration, ...] = ()
    """Beside those that all pods of the backend have."""
    runtime_class: str = ""
    """Name of a RuntimeClass, such as ``nvidia``; the cluster's default when it is not said."""


class KubernetesBackend(Capacity, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nodes that are pods of a cluster."""

    server_url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^/]+$")]
    """How pods reach this server, ``http://host:port``: inside the cluster its Service, from
    outside an address of this machine. There is no default: only you know the way."""
    agent_image: Annotated[str, msgspec.Meta(min_length=1)]
    """The image with this version of Trainshed (``deploy/Dockerfile`` builds it), which runs
    beside each job's own."""
    agent_pull: _Pull = "missing"
    """When machines fetch the agent's image."""
    kubeconfig: str = ""
    """Path of a kubeconfig file; by default what a pod is given where this server is one, else
    KUBECONFIG, else ``~/.kube/config``."""
    context: str = ""
    """Name of one of its contexts; its current one by default."""
    namespace: str = ""
    """Where pods are made; by default the context's namespace, or this server's own."""
    max_nodes: Annotated[int, msgspec.Meta(ge=1)] = 100
    """Nodes that may run at once; further jobs wait here and not in the cluster. What the cluster
    has is its own to know, so the default only keeps a slip from filling it."""
    images: dict[str, str] = msgspec.field(default_factory=dict)
    """Image name pattern (``*`` and ``?``) to the image that runs in its place. The closest pattern
    counts; an image that no pattern fits runs as it is called."""
    pull: _Pull = "missing"
    """When machines fetch the images of jobs."""
    image_pull_secrets: tuple[str, ...] = ()
    """Names of Secrets of the namespace by which images are fetched."""
    instances: dict[str, NodeSize] = msgspec.field(default_factory=dict)
    """Instance type pattern to what it means here. The closest counts; others ask for what Amazon's
    have."""
    gpu_resource: str = "nvidia.com/gpu"
    """What GPUs are called in a pod's resources."""
    shm: str = ""
    """Size of /dev/shm of every container; half of its memory when it is not said."""
    agent_cpus: Annotated[float, msgspec.Meta(gt=0)] = 0.1
    """Processors that the agent's containers ask for; they may use more where there is more. It
    idles while a job trains, so little is reserved."""
    agent_memory: Annotated[str, msgspec.Meta(min_length=1)] = "512m"
    """What each of the agent's containers may use: it streams what it moves."""
    service_account: str = "default"
    """Whom pods run as: a ServiceAccount with the Role ``trainshed-node``. Its token is in the
    agent's containers alone."""
    service_accounts: dict[str, str] = msgspec.field(default_factory=dict)
    """Pattern of a job's RoleArn to whom its pods run as instead, with that Role as well. First
    match wins."""
    node_selector: dict[str, str] = msgspec.field(default_factory=dict)
    """Labels that a machine must have to run jobs."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that the pods of all jobs accept."""
    priority_class: str = ""
    """Name of the pods' PriorityClass; the cluster's default when it is not said."""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    """Put on every pod and Job beside our own."""
    annotations: dict[str, str] = msgspec.field(default_factory=lambda: dict(_STAY))
    """Put on every pod. By default those by which autoscalers let it be where it is: a node that is
    moved to save a machine begins again from its last checkpoint."""
    queue: str = ""
    """Name of the LocalQueue in which Kueue lets Jobs wait; without one, or where the cluster has
    no Kueue, Jobs begin at once."""
    file_systems: dict[str, _FileSystem] = msgspec.field(default_factory=dict)
    """FileSystemId to what stands for that file system: ``pvc://claim`` of the namespace, or
    ``nfs://host/export``."""
    cluster_domain: str = "cluster.local"
    """What the names of Services end with; that of nearly every cluster."""
    stop_seconds: _Seconds = 120.0
    """Between SIGTERM and SIGKILL. The service gives 120."""
    keep_seconds: _Seconds = 60.0
    """What a pod that the cluster itself takes has beyond that to keep its checkpoints; clouds
    that take a machine back leave two minutes in all."""
    unreachable_seconds: _Seconds = 120.0
    """How long a machine may be silent before its pods count as lost. Kubernetes waits 300; a
    training job that hangs so long has lost more than one that begins again."""
    unschedulable_seconds: _Seconds = 1800.0
    """How long a pod may wait for room (a machine, or the namespace's quota) before its job fails;
    0: for ever. New GPU machines take a cluster up to a quarter of an hour. Waiting in a queue of
    Kueue does not count."""
    image_seconds: _Seconds = 180.0
    """How long an image may fail to be fetched before the job fails; 0: for ever. A machine tries
    four times in that time."""
    mount_seconds: _Seconds = 600.0
    """How long volumes may fail to be mounted before the job fails; 0: for ever. A disk that
    another machine has yet to let go takes six minutes."""
    config_seconds: _Seconds = 120.0
    """How long the cluster may refuse to make a pod or a container before the job fails; 0: for
    ever. What is missing is often made a moment later."""
    isolation_allows: tuple[str, ...] = ()
    """Networks (CIDR) that isolated jobs may reach beside their own nodes and the cluster's names.
    Agents share their pods' network, so they need this server's in it, the API server's, and those
    of object stores elsewhere. Without any no NetworkPolicy is made, as jobs' logs say then."""

    def __post_init__(self) -> None:
        """See that sizes are sizes.

        Raises:
            ValueError: one is none; the message names the option.
        """
        self.capabilities()
        self.agent_bytes()

    def capabilities(self) -> Capabilities:
        """Return what the engine is told of the cluster."""
        return self.limited(
            Capabilities(
                max_nodes=self.max_nodes,
                images=images(self.images),
                runtime="sibling",
                server_url=self.server_url,
                pull=self.pull,
                instances=instances(self.instances),
                shm=in_bytes("shm", self.shm),
                grace=self.stop_seconds,
            )
        )

    def agent_bytes(self) -> int:
        """Return ``agent_memory`` in bytes."""
        return in_bytes("agent_memory", self.agent_memory)

    def size_of(self, instance_type: str) -> NodeSize | None:
        """Return what an instance type means here; None where nothing is said of it."""
        return patterns.value(instance_type, self.instances.items())

    def account_of(self, role: str) -> str:
        """Return the ServiceAccount by which jobs with a RoleArn run."""
        return patterns.value(role, self.service_accounts.items()) or self.service_account
