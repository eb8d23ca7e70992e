"""What is made on the cluster for a node: claim, Secret, Job; for an attempt, a Service. Pure.

Lease ts-<node>     the claim, made first and kept as the tombstone; the owner of all below, so
                    that a cluster deletes what nobody else did
Secret ts-<node>    the plan, and what the container proves itself by
Job ts-<node>       one pod, never again
Service ts-<attempt>        where there are several hosts: their names
NetworkPolicy ts-<attempt>  where the job is isolated
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from math import ceil
from typing import Final

from lightkube.models.batch_v1 import JobSpec
from lightkube.models.coordination_v1 import LeaseSpec
from lightkube.models.core_v1 import PodTemplateSpec, ServiceSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta, OwnerReference
from lightkube.models.networking_v1 import (
    IPBlock,
    NetworkPolicyEgressRule,
    NetworkPolicyIngressRule,
    NetworkPolicyPeer,
    NetworkPolicyPort,
    NetworkPolicySpec,
)
from lightkube.resources.batch_v1 import Job
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import Secret, Service
from lightkube.resources.networking_v1 import NetworkPolicy

from trainshed.domain import pods
from trainshed.domain.plan import NodePlan
from trainshed.drivers.kubernetes import pod
from trainshed.drivers.kubernetes.options import KubernetesBackend
from trainshed.drivers.kubernetes.pod import attempt_of

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"
_WEEK: Final = 7 * 86400
"""Seconds after which the cluster itself ends and deletes what a server that died for ever left."""
_DNS_PORT: Final = 53


def labels(plan: NodePlan, backend: str) -> dict[str, str]:
    """Return by what everything that is made for a node is found again."""
    return {
        MANAGED_BY: "trainshed",
        pods.BACKEND_LABEL: backend,
        pods.NODE_LABEL: plan.node_id,
        pods.ATTEMPT_LABEL: attempt_of(plan),
        pods.JOB_LABEL: plan.job_name,
    }


def claim(node_id: str, told: Mapping[str, str]) -> Lease:
    """Return the claim of a node that nobody holds yet; ``told``: its labels."""
    metadata = ObjectMeta(name=pods.object_name(node_id), labels=dict(told))
    return Lease(metadata=metadata, spec=LeaseSpec())


def tombstone(node_id: str, backend: str, now: datetime) -> Lease:
    """Return the claim of a node that was removed before anybody launched it."""
    told = {
        MANAGED_BY: "trainshed",
        pods.BACKEND_LABEL: backend,
        pods.NODE_LABEL: node_id,
        pods.ATTEMPT_LABEL: node_id.rpartition(".")[0],
    }
    found = claim(node_id, told)
    found.spec = LeaseSpec(holderIdentity=pods.REMOVED, renewTime=moment(now))
    return found


def moment(now: datetime) -> datetime:
    """Return a time as a cluster takes it in a claim: with microseconds, never without."""
    return now.replace(microsecond=now.microsecond or 1)


def secret(plan: NodePlan, backend: str, options: KubernetesBackend, owner: Lease) -> Secret:
    """Return the Secret of a node."""
    held = pod.secrets(plan, options)
    return Secret(
        metadata=_metadata(pods.object_name(plan.node_id), labels(plan, backend), owner),
        data={key: b64encode(text.encode()).decode() for key, text in held.items()},
    )


def job(
    plan: NodePlan, backend: str, options: KubernetesBackend, owner: Lease, namespace: str
) -> Job:
    """Return the Job of a node."""
    own = labels(plan, backend)
    template = ObjectMeta(
        labels={**options.labels, **own}, annotations=dict(options.annotations) or None
    )
    return Job(
        metadata=_metadata(pods.object_name(plan.node_id), {**options.labels, **own}, owner),
        spec=JobSpec(
            backoffLimit=0,
            completions=1,
            parallelism=1,
            activeDeadlineSeconds=ceil(plan.max_runtime + plan.grace) + _WEEK,
            ttlSecondsAfterFinished=_WEEK,
            template=PodTemplateSpec(metadata=template, spec=pod.spec(plan, options, namespace)),
        ),
    )


def queued(job: Job, queue: str) -> Job:
    """Return a Job that waits in a queue of Kueue, which is to begin it."""
    if job.metadata is not None and job.spec is not None:
        job.metadata.labels = {**(job.metadata.labels or {}), QUEUE_LABEL: queue}
        job.spec.suspend = True
    return job


def service(plan: NodePlan, backend: str, owner: Lease) -> Service | None:
    """Return the Service by which an attempt's hosts find each other; None where it has one."""
    if len(plan.hosts) == 1:
        return None
    attempt = attempt_of(plan)
    return Service(
        metadata=_metadata(pods.service_name(attempt), _of_attempt(plan, backend), owner),
        spec=ServiceSpec(
            clusterIP="None",
            selector={pods.ATTEMPT_LABEL: attempt},
            # Hosts look for each other before any of them is ready.
            publishNotReadyAddresses=True,
        ),
    )


def policy(
    plan: NodePlan, backend: str, options: KubernetesBackend, owner: Lease
) -> NetworkPolicy | None:
    """Return what cuts the nodes of an isolated job off; None for others."""
    if not (plan.isolated and options.isolation_allows):
        return None
    attempt = attempt_of(plan)
    own = NetworkPolicyPeer(podSelector=LabelSelector(matchLabels={pods.ATTEMPT_LABEL: attempt}))
    names = [NetworkPolicyPort(port=_DNS_PORT, protocol=each) for each in ("UDP", "TCP")]
    networks = [NetworkPolicyPeer(ipBlock=IPBlock(cidr=each)) for each in options.isolation_allows]
    return NetworkPolicy(
        metadata=_metadata(pods.service_name(attempt), _of_attempt(plan, backend), owner),
        spec=NetworkPolicySpec(
            podSelector=LabelSelector(matchLabels={pods.ATTEMPT_LABEL: attempt}),
            policyTypes=["Ingress", "Egress"],
            ingress=[NetworkPolicyIngressRule(from_=[own])],
            egress=[
                NetworkPolicyEgressRule(to=[own, *networks]),
                NetworkPolicyEgressRule(ports=names),
            ],
        ),
    )


def noted(plan: NodePlan, options: KubernetesBackend) -> NodePlan:
    """Return the plan with notes of where this cluster differs from what was asked."""
    notes = list(plan.notes)
    if plan.isolated and options.isolation_allows:
        allowed = ", ".join(options.isolation_allows)
        notes.append(
            "EnableNetworkIsolation: a NetworkPolicy leaves this job its own nodes, the names of "
            f"the cluster, and {allowed}, which its agents need; "
            "it holds where the cluster's network heeds such policies"
        )
    elif plan.isolated:
        notes.append(
            "EnableNetworkIsolation is not kept here: the backend's isolation_allows is not set, "
            "so the job has the network of a pod; it has no credentials"
        )
    if plan.warm_pool:
        notes.append(
            "KeepAlivePeriodInSeconds: no folder is kept between jobs on this cluster, "
            "and each one starts with new pods"
        )
    return replace(plan, notes=tuple(notes))


def _of_attempt(plan: NodePlan, backend: str) -> dict[str, str]:
    return {key: text for key, text in labels(plan, backend).items() if key != pods.NODE_LABEL}


def _metadata(name: str, told: Mapping[str, str], owner: Lease) -> ObjectMeta:
    return ObjectMeta(name=name, labels=dict(told), ownerReferences=[_owner(owner)])


def _owner(owner: Lease) -> OwnerReference:
    about = owner.metadata or ObjectMeta()
    return OwnerReference(
        apiVersion="coordination.k8s.io/v1",
        kind="Lease",
        name=about.name or "",
        uid=about.uid or "",
    )
