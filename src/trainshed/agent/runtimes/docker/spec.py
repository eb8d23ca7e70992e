"""What an engine is told to make: the container, from its plan and its image. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from trainshed.agent.channels import mounts as file_systems
from trainshed.agent.runtimes.docker import network
from trainshed.agent.runtimes.docker.machine import Machine, Share
from trainshed.contract.tree import Tree
from trainshed.domain import container
from trainshed.domain.plan import NodePlan

STOP_SIGNAL: Final = "SIGTERM"
"""What asks a command to end, unless its image names another."""
NODE_LABEL: Final = "trainshed.node"
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where an engine looks for programs in an image that does not say."""
_NFS_OPTIONS: Final = "nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport"
"""Source: Amazon EFS user guide, "Recommended NFS mount options"."""
_ONE_FILE: Final = "1000000g"
"""A log that is never begun anew: the engine's own setting would drop its first lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A file or folder of this machine, and where the container finds it."""

    source: Path
    target: str
    read_only: bool = False

    def told(self) -> dict[str, Any]:
        """Return it in the engine's words."""
        return {
            "Type": "bind",
            "Source": str(self.source),
            "Target": self.target,
            "ReadOnly": self.read_only,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NfsMount:
    """What an NFS server exports, and where the container finds it.

    The engine mounts it itself, as a volume without a name, which goes with its container.
    """

    url: str
    """``nfs://host/export/path``."""
    target: str
    read_only: bool
    labels: Mapping[str, str]

    def told(self) -> dict[str, Any]:
        """Return it in the engine's words.

        Read-only is the server's part: engines refuse ``ReadOnly`` of a volume without a name.
        """
        where = urlsplit(self.url)
        options = [f"addr={where.hostname}", _NFS_OPTIONS, "ro" if self.read_only else "rw"]
        if where.port:
            options.append(f"port={where.port}")
        driver = {"type": "nfs", "o": ",".join(options), "device": f":{unquote(where.path)}"}
        return {
            "Type": "volume",
            "Target": self.target,
            "VolumeOptions": {
                "NoCopy": True,
                "Labels": dict(self.labels),
                "DriverConfig": {"Name": "local", "Options": driver},
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image as the engine has it."""

    id: str
    digest: str
    """``repository@sha256:…`` of its registry; "" when it came from none."""
    environment: Mapping[str, str]
    entrypoint: tuple[str, ...]
    stop_signal: str

    @classmethod
    def of(cls, found: Mapping[str, Any], name: str) -> "Image":
        """Return what an engine tells of the image that was asked for by ``name``."""
        config = found.get("Config") or {}
        digests = list(found.get("RepoDigests") or [])
        own = [each for each in digests if each.partition("@")[0] == name.partition("@")[0]
               or name.startswith(each.partition("@")[0] + ":")]  # fmt: skip
        return cls(
            id=str(found["Id"]),
            digest=str((own or digests or [""])[0]),
            environment=dict(each.partition("=")[::2] for each in config.get("Env") or ()),
            entrypoint=tuple(config.get("Entrypoint") or ()),
            stop_signal=str(config.get("StopSignal") or STOP_SIGNAL),
        )


def container_name(plan: NodePlan) -> str:
    """Return what a node's container is called."""
    return f"trainshed-{plan.node_id}"


def folders_of_path(plan: NodePlan, image: Image) -> list[str]:
    """Return the folders in which the container's engine looks for programs, in order."""
    text = plan.environment.get("PATH") or image.environment.get("PATH") or _PATH
    return [each for each in dict.fromkeys(text.split(":")) if each.startswith("/")]


def tree_mounts(plan: NodePlan, tree: Tree) -> list[Mount]:
    """Return the parts of ``/opt/ml`` that are the platform's; all else is the image's own."""
    seen = Tree()
    mounts = [Mount(source=each, target=target) for each, target in container.parts(plan, tree)]
    if plan.warm_cache:
        mounts.append(Mount(source=Path(plan.warm_cache), target=str(seen.warm_pool_cache)))
    mounts += [
        Mount(source=tree.channel(name), target=str(seen.channel(name)), read_only=True)
        for name in (each["ChannelName"] for each in plan.channels if _is_fast_file(plan, each))
        if tree.channel(name).is_dir()
    ]
    return mounts


def file_system_mounts(plan: NodePlan) -> list[Mount | NfsMount]:
    """Return the channels that are folders of file systems.

    Raises:
        BadInput: one is not there.
    """
    found: list[Mount | NfsMount] = []
    for each in file_systems.mounts_of(plan):
        target = str(Tree().channel(each.channel))
        if each.is_remote:
            found.append(
                NfsMount(
                    url=each.source, target=target, read_only=each.read_only, labels=labels(plan)
                )
            )
        else:
            found.append(Mount(source=Path(each.source), target=target, read_only=each.read_only))
    return found


def body(
    plan: NodePlan,
    image: Image,
    *,
    environment: Mapping[str, str],
    mounts: Sequence[Mount | NfsMount],
    given: Share,
    machine: Machine,
    folder: Path,
) -> dict[str, Any]:
    """Return what the engine is told to make, but for its network (``join``, ``join_alone``).

    Args:
        plan: the node's.
        image: what it is made of.
        environment: what the container finds beside the image's own.
        mounts: what of this machine it sees.
        given: what of this machine it gets.
        machine: how GPUs are asked for there.
        folder: the node's.
    """
    found: dict[str, Any] = {
        "Image": image.id,
        "Hostname": plan.host,
        "Env": [f"{name}={text}" for name, text in environment.items()],
        "Labels": {**labels(plan), "trainshed.folder": str(folder)},
        "AttachStdout": False,
        "AttachStderr": False,
        "HostConfig": _host_config(plan, mounts, given, machine),
    }
    found |= _command(plan)
    return found


def join(body: dict[str, Any], name: str, address: str, names: Path) -> None:
    """Have what ``body`` told of find the attempt's other hosts, and be found by them.

    Args:
        body: what the engine is told to make.
        name: the attempt's network.
        address: the node's there.
        names: the file that is to be its ``/etc/hosts``.
    """
    config = body["HostConfig"]
    config["NetworkMode"] = name
    config["Mounts"].append(Mount(source=names, target="/etc/hosts").told())
    endpoint = {"IPAMConfig": {"IPv4Address": address}}
    body["NetworkingConfig"] = {"EndpointsConfig": {name: endpoint}}


def join_alone(body: dict[str, Any], plan: NodePlan, name: str) -> None:
    """Put what ``body`` told of, which has no peers, on a network."""
    config = body["HostConfig"]
    config["NetworkMode"] = name
    if name == "none":
        config["ExtraHosts"] = [f"{plan.host}:127.0.0.1"]


def labels(plan: NodePlan) -> dict[str, str]:
    """Return by what everything that is made for a node is found again."""
    return {
        NODE_LABEL: plan.node_id,
        "trainshed.host": plan.host,
        **network.labels(plan),
    }


def _command(plan: NodePlan) -> dict[str, list[str]]:
    entrypoint, arguments = container.command_line(plan)
    found = {"Cmd": list(arguments)}
    return found if entrypoint is None else {"Entrypoint": list(entrypoint), **found}


def _host_config(
    plan: NodePlan, mounts: Sequence[Mount | NfsMount], given: Share, machine: Machine
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Init": False,
        "ShmSize": given.shm,
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": _ONE_FILE, "mode": "blocking"}},
        "Mounts": [each.told() for each in mounts],
    }
    if given.cpus:
        found["NanoCpus"] = int(given.cpus * 1e9)
    if given.memory:
        found["Memory"] = found["MemorySwap"] = given.memory
    if given.gpus:
        found["DeviceRequests"] = [_gpu_request(given.gpus, machine.gpu_driver)]
    return found


def _gpu_request(count: int, driver: str) -> dict[str, Any]:
    if driver == "cdi":
        return {"Driver": "cdi", "DeviceIDs": [f"nvidia.com/gpu={n}" for n in range(count)]}
    return {"Driver": "nvidia", "Count": count, "Capabilities": [["gpu"]]}


def _is_fast_file(plan: NodePlan, channel: Mapping[str, Any]) -> bool:
    return (channel.get("InputMode") or plan.input_mode) == "FastFile"
