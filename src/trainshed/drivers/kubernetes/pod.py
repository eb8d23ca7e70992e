"""The pod that is a node: three containers over one folder. Pure: a plan and options make a value.

    STAGE  (init)  agent's image: claims the node, brings everything in
    MAIN           the user's image, as the contract has it
    AGENT          agent's image: watches MAIN, carries out what it made

See ``domain.pods``.
"""

from math import ceil
from pathlib import Path
from typing import Final

from lightkube.models.core_v1 import (
    ConfigMapProjection,
    Container,
    DownwardAPIProjection,
    DownwardAPIVolumeFile,
    EmptyDirVolumeSource,
    EnvVar,
    EnvVarSource,
    KeyToPath,
    LocalObjectReference,
    ObjectFieldSelector,
    PodDNSConfig,
    PodSpec,
    ProjectedVolumeSource,
    ResourceRequirements,
    SecretKeySelector,
    SecretVolumeSource,
    SecurityContext,
    ServiceAccountTokenProjection,
    Toleration,
    Volume,
    VolumeMount,
    VolumeProjection,
)

from trainshed.contract import script_mode
from trainshed.contract.tree import Tree
from trainshed.domain import container, pods
from trainshed.domain.plan import NodePlan, Resources
from trainshed.drivers.kubernetes import file_systems
from trainshed.drivers.kubernetes.options import KubernetesBackend, NodeSize
from trainshed.drivers.kubernetes.options import Toleration as Accepted

_AGENT: Final = ["python", "-I", "-m", "trainshed.agent"]
_PULLS: Final = {"missing": "IfNotPresent", "always": "Always", "never": "Never"}
_NODE: Final = "node"
_PLAN: Final = "plan"
_CREDENTIALS: Final = "credentials"
_SHM: Final = "shm"
_TREE: Final = "ml"
"""Where the tree lies in the node's folder."""
_TOKEN_SECONDS: Final = 3600
"""How long a token is good; the kubelet replaces it in time. The least that most clusters give."""
_ROOT_CA: Final = "kube-root-ca.crt"
"""The ConfigMap that every namespace has from Kubernetes 1.20 on."""
_UNREACHABLE: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_PLAN_KEY: Final = "plan.json"
_VARIABLE_KEY: Final = "variable."


def spec(plan: NodePlan, options: KubernetesBackend, namespace: str) -> PodSpec:
    """Return what a node's pod is made of."""
    size = options.size_of(plan.instance_type)
    domain = f"{pods.service_name(attempt_of(plan))}.{namespace}.svc.{options.cluster_domain}"
    found = PodSpec(
        hostname=plan.host,
        initContainers=[_agent(pods.STAGE, "--stage", options)],
        containers=[_main(plan, options), _agent(pods.AGENT, "--keep", options)],
        restartPolicy="Never",
        # The agent sends signals to the user's program.
        shareProcessNamespace=True,
        terminationGracePeriodSeconds=ceil(plan.grace + options.keep_seconds),
        serviceAccountName=options.account_of(str(plan.request.get("RoleArn", ""))),
        automountServiceAccountToken=False,
        # Variables of all Services of the namespace are none of the contract's.
        enableServiceLinks=False,
        imagePullSecrets=[LocalObjectReference(name=each) for each in options.image_pull_secrets]
        or None,
        nodeSelector={**options.node_selector, **(size.node_selector if size else {})} or None,
        tolerations=_tolerations(options, size),
        priorityClassName=options.priority_class or None,
        runtimeClassName=(size.runtime_class if size else "") or None,
        volumes=_volumes(plan, options),
    )
    if len(plan.hosts) > 1:
        found.subdomain = pods.service_name(attempt_of(plan))
        found.dnsConfig = PodDNSConfig(searches=[domain])
    return found


def attempt_of(plan: NodePlan) -> str:
    """Return the id of the attempt that a node is of."""
    return plan.node_id.rpartition(".")[0]


def secrets(plan: NodePlan, options: KubernetesBackend) -> dict[str, str]:
    """Return what a node's Secret holds: the plan, and variables that nobody else may read."""
    hidden = {f"{_VARIABLE_KEY}{name}": text for name, text in _hidden(plan).items()}
    return {_PLAN_KEY: file_systems.as_agents_see(plan, options).to_json(), **hidden}


def literal(text: str) -> str:
    """Return what a cluster reads as ``text``, in which it would replace ``$(NAME)`` by itself."""
    return text.replace("$", "$$")


def _main(plan: NodePlan, options: KubernetesBackend) -> Container:
    entrypoint, arguments = container.command_line(plan)
    return Container(
        name=pods.MAIN,
        image=plan.image,
        imagePullPolicy=_PULLS[options.pull],
        command=None if entrypoint is None else [literal(each) for each in entrypoint],
        args=[literal(each) for each in arguments],
        env=_environment(plan),
        resources=_limits(plan.resources, options) if plan.resources else None,
        volumeMounts=_mounts(plan, options),
    )


def _agent(name: str, word: str, options: KubernetesBackend) -> Container:
    memory = str(options.agent_bytes())
    return Container(
        name=name,
        image=options.agent_image,
        imagePullPolicy=_PULLS[options.agent_pull],
        command=[*_AGENT, word],
        env=[
            _from_pod(pods.POD_VARIABLE, "metadata.name"),
            _from_pod(pods.POD_UID_VARIABLE, "metadata.uid"),
        ],
        resources=ResourceRequirements(
            requests={"cpu": _cpus(options.agent_cpus), "memory": memory},
            limits={"memory": memory},
        ),
        # It signals programs of any user, and reads what they wrote.
        securityContext=SecurityContext(runAsUser=0, runAsNonRoot=False),
        volumeMounts=[
            VolumeMount(name=_NODE, mountPath=pods.NODE_FOLDER),
            VolumeMount(name=_PLAN, mountPath=str(Path(pods.PLAN_FILE).parent), readOnly=True),
            VolumeMount(name=_CREDENTIALS, mountPath=pods.CREDENTIALS, readOnly=True),
        ],
    )


def _environment(plan: NodePlan) -> list[EnvVar]:
    hidden = _hidden(plan)
    secret = pods.object_name(plan.node_id)
    found = [
        EnvVar(name=name, value=literal(text))
        for name, text in container.variables(plan, Tree()).items()
        if name not in hidden
    ]
    if _brings_code(plan):
        found.append(EnvVar(name=script_mode.SOURCE_ARCHIVE_VARIABLE, value=container.ARCHIVE))
    for name in hidden:
        key = SecretKeySelector(name=secret, key=f"{_VARIABLE_KEY}{name}")
        found.append(EnvVar(name=name, valueFrom=EnvVarSource(secretKeyRef=key)))
    return found


def _hidden(plan: NodePlan) -> dict[str, str]:
    """Return the variables by which a container proves who it is."""
    told = container.variables(plan, Tree())
    mine = {*plan.container_keys.values(), plan.credentials_token} - {""}
    found = {
        name: text
        for name, text in told.items()
        if name not in plan.environment and any(each in text for each in mine)
    }
    return {**found, **(container.toolkit_secret(plan) if plan.script_mode else {})}


def _mounts(plan: NodePlan, options: KubernetesBackend) -> list[VolumeMount]:
    """Return what the user's container sees beside its image."""
    found = [
        VolumeMount(name=_NODE, subPath=str(folder), mountPath=target)
        for folder, target in container.parts(plan, Tree(Path(_TREE)))
    ]
    found.append(VolumeMount(name=_SHM, mountPath="/dev/shm"))  # noqa: S108 - the contract's
    if plan.script_mode:
        found.append(
            VolumeMount(
                name=_NODE,
                subPath=f"{pods.TOOLKIT_FOLDER}/train",
                mountPath=pods.TRAIN_PROGRAM,
                readOnly=True,
            )
        )
    if _brings_code(plan):
        found += [
            VolumeMount(name=_NODE, subPath=f"{_TREE}/code", mountPath=str(Tree().code)),
            VolumeMount(
                name=_NODE,
                subPath=f"{pods.TOOLKIT_FOLDER}/{Path(container.ARCHIVE).name}",
                mountPath=container.ARCHIVE,
                readOnly=True,
            ),
        ]
    return found + [each.mount() for each in file_systems.channels(plan, options)]


def _brings_code(plan: NodePlan) -> bool:
    return bool(container.code_archive(plan))


def _volumes(plan: NodePlan, options: KubernetesBackend) -> list[Volume]:
    disk = plan.resources.volume if plan.resources else 0
    names = {each.volume: each for each in file_systems.channels(plan, options)}
    return [
        Volume(name=_NODE, emptyDir=EmptyDirVolumeSource(sizeLimit=str(disk) if disk else None)),
        Volume(name=_SHM, emptyDir=EmptyDirVolumeSource(medium="Memory", sizeLimit=_shm(plan))),
        Volume(
            name=_PLAN,
            secret=SecretVolumeSource(
                secretName=pods.object_name(plan.node_id),
                items=[KeyToPath(key=_PLAN_KEY, path=Path(pods.PLAN_FILE).name)],
                defaultMode=0o400,
            ),
        ),
        Volume(name=_CREDENTIALS, projected=_credentials()),
        *(each.made() for each in names.values()),
    ]


def _shm(plan: NodePlan) -> str | None:
    if plan.resources is None:
        return None
    return str(plan.resources.shm or plan.resources.memory // 2)


def _credentials() -> ProjectedVolumeSource:
    namespace = DownwardAPIVolumeFile(
        path="namespace", fieldRef=ObjectFieldSelector(fieldPath="metadata.namespace")
    )
    return ProjectedVolumeSource(
        defaultMode=0o400,
        sources=[
            VolumeProjection(
                serviceAccountToken=ServiceAccountTokenProjection(
                    path="token", expirationSeconds=_TOKEN_SECONDS
                )
            ),
            VolumeProjection(
                configMap=ConfigMapProjection(
                    name=_ROOT_CA, items=[KeyToPath(key="ca.crt", path="ca.crt")]
                )
            ),
            VolumeProjection(downwardAPI=DownwardAPIProjection(items=[namespace])),
        ],
    )


def _limits(resources: Resources, options: KubernetesBackend) -> ResourceRequirements:
    """Return what the container gets: no less, and no more, so that it runs everywhere alike."""
    found: dict[str, str] = {"cpu": _cpus(resources.cpus), "memory": str(resources.memory)}
    if resources.gpus:
        found[options.gpu_resource] = str(resources.gpus)
    return ResourceRequirements(requests=dict(found), limits=found)


def _cpus(count: float) -> str:
    return f"{max(1, round(count * 1000))}m"


def _from_pod(name: str, path: str) -> EnvVar:
    return EnvVar(name=name, valueFrom=EnvVarSource(fieldRef=ObjectFieldSelector(fieldPath=path)))


def _tolerations(options: KubernetesBackend, size: NodeSize | None) -> list[Toleration]:
    accepted = [*options.tolerations, *(size.tolerations if size else ())]
    return [
        *(_toleration(each) for each in accepted),
        *(
            Toleration(
                key=key,
                operator="Exists",
                effect="NoExecute",
                tolerationSeconds=ceil(options.unreachable_seconds),
            )
            for key in _UNREACHABLE
        ),
    ]


def _toleration(accepted: Accepted) -> Toleration:
    return Toleration(
        key=accepted.key or None,
        operator=accepted.operator,
        value=accepted.value or None,
        effect=accepted.effect or None,
    )
