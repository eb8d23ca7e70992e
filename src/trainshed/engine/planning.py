"""From a job to what will be launched: a pure function, so a plan can be printed before it runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from trainshed.contract import script_mode
from trainshed.domain import keys, names, patterns
from trainshed.domain.instances import known
from trainshed.domain.plan import LaunchPlan, NodePlan, Resources
from trainshed.domain.training import Attempt, SecondaryStatus, TrainingJob
from trainshed.drivers.base import Capabilities

_ASKED: Final = frozenset({"", "127.0.0.1", "localhost", names.CONTAINER_ADDRESS})
"""Hosts that AWS clients ask for keys over http; "" is the server's own, which is loopback."""
_DEFAULT_MAX_RUNTIME: Final = 86400
"""Seconds; the service's default, one day (API reference, StoppingCondition)."""
_GIB: Final = 1 << 30
_LEAST_RUNTIME: Final = 1.0
"""Seconds that an attempt has at least: it then ends as any that reaches its limit does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where this server stands, as its nodes need to know it."""

    server_url: str
    secret: str
    """What report tokens and the keys of nodes are derived from."""
    objects: Mapping[str, str]
    """See ``NodePlan.objects``. Without ``access_key``, each node has a key of its own."""
    file_roots: tuple[str, ...] = ()
    stores: tuple[Mapping[str, str], ...] = ()
    """See ``NodePlan.stores``."""
    file_systems: Mapping[str, str] = field(default_factory=dict)
    """See ``NodePlan.file_systems``."""
    cache: str = ""
    cache_limit: int = 0
    """See ``NodePlan.cache_limit``."""
    capabilities: Mapping[str, Capabilities] = field(default_factory=dict)
    """By backend name."""


@dataclass(frozen=True, slots=True)
class Unplannable:
    """Why a job can run on no node of its backend; ``reason`` is a FailureReason."""

    reason: str


def plan(job: TrainingJob, attempt: Attempt, site: Site) -> LaunchPlan | Unplannable:
    """Return what ``attempt`` of ``job`` launches.

    The same arguments give the same plan, so a launch that was cut short can be repeated.
    """
    capabilities = site.capabilities.get(attempt.backend)
    if capabilities is None:
        offered = ", ".join(sorted(site.capabilities)) or "none"
        return Unplannable(
            f"ClientError: the backend '{attempt.backend}' is not configured; known: {offered}"
        )
    algorithm = job.request.get("AlgorithmSpecification", {})
    image = str(algorithm.get("TrainingImage") or algorithm.get("AlgorithmName") or "")
    mapped = mapped_image(image, capabilities.images)
    process = capabilities.runtime == "process"
    if process and capabilities.images and mapped is None:
        return Unplannable(
            f"ClientError: no environment is mapped to the image '{image}'; "
            f"add a pattern that fits it to [backends.{attempt.backend}.images]"
        )
    site = _from_afar(site, capabilities.server_url) if capabilities.server_url else site
    groups = _groups(job, attempt.instance_type)
    shared = replace(
        _shared(job, site, groups, capabilities),
        image=image if process else mapped or image,
        environment_path=(mapped or "") if process else "",
        attempt_secret=names.attempt_secret(site.secret, job.id, attempt.number),
        warm_pool=attempt.pool_chain,
    )
    nodes = []
    for group in groups:
        for host in group["hosts"]:
            node_id = names.node_id(job.id, attempt.number, host)
            resources = (
                None
                if process
                else _resources(job, attempt.backend, group["instance_type"], capabilities)
            )
            if isinstance(resources, Unplannable):
                return resources
            node = replace(
                _with_access(shared, node_id, site, capabilities),
                node_id=node_id,
                host=host,
                instance_type=group["instance_type"],
                instance_group=group["instance_group_name"],
                log_stream=names.log_stream(job.name, host, attempt.started),
                token=names.report_token(site.secret, node_id),
                max_runtime=_runtime_left(job, attempt),
                resources=resources,
                notes=_notes(job.request, image, mapped, group["instance_type"], process=process),
            )
            nodes.append(node)
    return LaunchPlan(backend=attempt.backend, attempt=attempt.number, nodes=tuple(nodes))


def _shared(
    job: TrainingJob,
    site: Site,
    groups: tuple[Mapping[str, Any], ...],
    capabilities: Capabilities,
) -> NodePlan:
    """Return what all nodes have in common; what is a node's own is still empty."""
    request = job.request
    algorithm = request.get("AlgorithmSpecification", {})
    entrypoint = algorithm.get("ContainerEntrypoint")
    arguments = algorithm.get("ContainerArguments")
    hyperparameters = dict(request.get("HyperParameters") or {})
    environment = dict(request.get("Environment") or {})
    output = request.get("OutputDataConfig", {})
    return NodePlan(
        node_id="",
        job_name=job.name,
        job_arn=job.arn,
        region=job.region,
        host="",
        hosts=tuple(host for group in groups for host in group["hosts"]),
        instance_type="",
        instance_group="",
        instance_groups=groups,
        image="",
        environment_path="",
        entrypoint=None if entrypoint is None else tuple(entrypoint),
        arguments=None if arguments is None else tuple(arguments),
        script_mode=not entrypoint and script_mode.is_script_mode(hyperparameters, environment),
        hyperparameters=hyperparameters,
        environment=environment,
        channels=tuple(request.get("InputDataConfig") or ()),
        input_mode=str(algorithm.get("TrainingInputMode") or "File"),
        output_path=str(output.get("S3OutputPath", "")).rstrip("/"),
        compression=str(output.get("CompressionType") or "GZIP"),
        metrics=tuple(algorithm.get("MetricDefinitions") or ()),
        max_runtime=0.0,
        grace=capabilities.grace,
        runtime=capabilities.runtime,
        engine=capabilities.engine,
        pull=capabilities.pull,
        isolated=bool(request.get("EnableNetworkIsolation")),
        container_url=_container_url(site, capabilities),
        log_group=names.TRAINING_LOG_GROUP,
        log_stream="",
        server_url=site.server_url,
        token="",
        objects={},
        file_roots=site.file_roots,
        stores=site.stores,
        file_systems=site.file_systems,
        cache=site.cache,
        cache_limit=site.cache_limit,
        request=dict(request),
    )


def _with_access(
    shared: NodePlan, node_id: str, site: Site, capabilities: Capabilities
) -> NodePlan:
    """Return the plan with what its agent and its container sign with."""
    objects = dict(site.objects)
    if "access_key" not in objects:
        objects |= keys.node(node_id).given(site.secret)
    if shared.isolated:
        return replace(shared, objects=objects)
    if _container_host(capabilities) not in _ASKED:
        given = keys.container(node_id).given(site.secret)
        return replace(shared, objects=objects, container_keys=given)
    token = names.credentials_token(site.secret, node_id)
    return replace(shared, objects=objects, credentials_token=token)


def _runtime_left(job: TrainingJob, attempt: Attempt) -> float:
    """Return the seconds that the attempt's containers may run: the limit counts over all."""
    limit = (job.request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds")
    spent = sum(
        (
            (each.end or attempt.started) - each.start
            for each in job.transitions
            if each.status is SecondaryStatus.TRAINING and each.start < attempt.started
        ),
        timedelta(),
    )
    return max(float(limit or _DEFAULT_MAX_RUNTIME) - spent.total_seconds(), _LEAST_RUNTIME)


def mapped_image(image: str, images: Sequence[tuple[str, str]]) -> str | None:
    """Return what the closest pattern has run in place of ``image``, or None."""
    return patterns.value(image, images)


def _groups(job: TrainingJob, instance_type: str) -> tuple[Mapping[str, Any], ...]:
    """Return the instance groups as resourceconfig.json has them, hosts dealt out in order.

    ``instance_type`` is what the attempt got, where the job named several; "" else.
    """
    resources = job.request.get("ResourceConfig", {})
    asked = resources.get("InstanceGroups") or [
        {
            "InstanceGroupName": "homogeneousCluster",
            "InstanceType": instance_type or resources.get("InstanceType") or "local",
            "InstanceCount": job.instance_count,
        }
    ]
    all_hosts = names.hosts(sum(int(group["InstanceCount"]) for group in asked))
    groups, first = [], 0
    for group in asked:
        count = int(group["InstanceCount"])
        groups.append(
            {
                "instance_group_name": group["InstanceGroupName"],
                "instance_type": group["InstanceType"],
                "hosts": list(all_hosts[first : first + count]),
            }
        )
        first += count
    return tuple(groups)


def _resources(
    job: TrainingJob, backend: str, instance_type: str, capabilities: Capabilities
) -> Resources | Unplannable:
    """Return what a node of this type may use on the backend."""
    instance = patterns.value(instance_type, capabilities.instances) or known(instance_type)
    if instance is None:
        return Unplannable(
            f"ClientError: nothing is known of the instance type '{instance_type}'; "
            f"say what it means here in [backends.{backend}.instances]"
        )
    volume = job.request.get("ResourceConfig", {}).get("VolumeSizeInGB") or 0
    return Resources(
        cpus=instance.cpus,
        memory=instance.memory,
        gpus=instance.gpus,
        shm=job.shm or instance.shm or capabilities.shm,
        volume=int(volume) * _GIB,
    )


def _from_afar(site: Site, url: str) -> Site:
    """Return where the server stands for nodes that reach it at ``url`` and have no files of it."""
    objects = {name: value for name, value in site.objects.items() if name != "folder"}
    if objects.get("endpoint") == site.server_url:
        objects["endpoint"] = url
    return replace(site, server_url=url, objects=objects, file_roots=(), cache="", cache_limit=0)


def _container_url(site: Site, capabilities: Capabilities) -> str:
    """Return where containers reach the server; "" where nothing says that nodes do not."""
    if capabilities.server_url:
        return capabilities.server_url
    host, port = capabilities.container_host, urlsplit(site.server_url).port
    return f"http://{host}:{port}" if host else ""


def _container_host(capabilities: Capabilities) -> str:
    """Return the host by which containers ask the server; "" for the server's own."""
    if capabilities.server_url:
        return urlsplit(capabilities.server_url).hostname or ""
    return capabilities.container_host


def _notes(
    request: Mapping[str, Any],
    image: str,
    mapped: str | None,
    instance_type: str,
    *,
    process: bool,
) -> tuple[str, ...]:
    """Return where the backend differs from what was asked."""
    notes = []
    if process and mapped is not None:
        notes += [
            f"no container engine on this backend: instead of the image '{image}' runs {mapped}",
            (
                f"instance type {instance_type} is not reserved: "
                "the job shares the processors and memory of this machine"
            ),
        ]
        if request.get("EnableNetworkIsolation"):
            notes.append(
                "EnableNetworkIsolation is not kept here: the job has this machine's network"
            )
    elif mapped is not None:
        notes.append(f"instead of the image '{image}' runs {mapped}, as this server is set")
    return tuple(notes)
