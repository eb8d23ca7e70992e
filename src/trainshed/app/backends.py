"""The configured places: from settings to drivers, by backend name."""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from trainshed.app import clock
from trainshed.app.settings import (
    DockerBackend,
    LocalBackend,
    Settings,
    SettingsError,
    engine_socket,
    inherited_environment,
    interpreter,
)
from trainshed.domain.facts import Fact
from trainshed.domain.plan import NodePlan
from trainshed.drivers import registry
from trainshed.drivers.base import Capabilities, Driver
from trainshed.drivers.images import images
from trainshed.drivers.instance_sizes import in_bytes, instances
from trainshed.stores.records.base import TrainingRecords

AGENT: Final = (sys.executable, "-I", "-m", "trainshed.agent")
"""The command that starts an agent."""


def drivers(
    settings: Settings,
    data: Path,
    records: TrainingRecords | None = None,
    agent: Sequence[str] = AGENT,
) -> dict[str, Driver]:
    """Return a driver for each backend that this server offers.

    ``docker`` is offered when it is configured, when an engine's socket is on this machine, and
    while there are nodes of it: an engine that is started later than we are still has them.
    Without an engine its jobs fail, each with that reason.

    Args:
        settings: what was configured.
        data: the data directory.
        records: take what the agents of simulated backends tell; without them there are none.
        agent: the command that starts an agent on this machine.
    """
    environment = inherited_environment()
    found = {
        name: registry.find("local")(
            name=name,
            root=data / "nodes",
            capabilities=capabilities,
            environment=environment,
            clock=clock.now,
            agent=agent,
        )
        for name, capabilities in _of_this_machine(settings, data, environment).items()
    }
    for name, each in settings.backends.further.items():
        if each.kind == "simulated" and records is not None:
            found[name] = registry.find(each.kind)(
                name=name,
                options=each.options,
                file=data / "simulated" / f"{name}.db",
                report=partial(_reported, records),
                clock=clock.now,
            )
        elif each.kind == "kubernetes":
            found[name] = _cluster(name)(name=name, options=each.options, clock=clock.now)
    return found


def _cluster(name: str) -> Callable[..., Driver]:
    """Return the driver of clusters; raise ``SettingsError`` when its library is missing."""
    try:
        return registry.find("kubernetes")
    except ImportError as error:
        raise SettingsError(
            f"[backends.{name}] is a cluster, but what speaks to one is not installed "
            f"({error.name}): pip install 'trainshed[kubernetes]', or remove that table"
        ) from error


async def _reported(records: TrainingRecords, node_id: str, facts: Sequence[Fact]) -> int | None:
    """Take facts of a node whose agent is a part of this process."""
    job_id, attempt, host = node_id.split(".")
    return await records.take(job_id, int(attempt), host, facts)


def _of_this_machine(
    settings: Settings, data: Path, environment: Mapping[str, str]
) -> dict[str, Capabilities]:
    """Return what this machine's own places can do, by backend name."""
    found = {"local": local(settings.backends.local)}
    docker = settings.backends.docker
    engine = engine_socket(docker.engine if docker else "", environment)
    wanted = docker is not None or engine or settings.backend == "docker"
    if wanted or has_nodes(data, "docker"):
        found["docker"] = containers(docker or DockerBackend(), engine)
    for name, each in settings.backends.further.items():
        match each.options:
            case LocalBackend() as options:
                found[name] = local(options)
            case DockerBackend() as options:
                found[name] = containers(options, engine_socket(options.engine, environment))
            case _:
                pass  # no place of this machine
    return found


def has_nodes(data: Path, runtime: str) -> bool:
    """Tell whether a former start of this server has left nodes of a runtime."""
    for path in (data / "nodes").glob("*/plan.json"):
        try:
            if NodePlan.from_json(path.read_text()).runtime == runtime:
                return True
        except (OSError, ValueError, TypeError):  # it goes just now, or is of another version
            continue
    return False


def local(settings: LocalBackend) -> Capabilities:
    """Return what the processes of this machine can do."""
    capabilities = Capabilities(
        max_nodes=settings.max_nodes,
        images=tuple(
            (pattern, interpreter(environment)) for pattern, environment in settings.images.items()
        ),
        grace=settings.stop_seconds,
    )
    return settings.limited(capabilities)


def containers(settings: DockerBackend, engine: str) -> Capabilities:
    """Return what the containers of an engine can do."""
    capabilities = Capabilities(
        max_nodes=settings.max_nodes,
        images=images(settings.images),
        runtime="docker",
        engine=engine,
        pull=settings.pull,
        instances=instances(settings.instances),
        shm=in_bytes("shm", settings.shm),
        grace=settings.stop_seconds,
        container_host=settings.container_host,
    )
    return settings.limited(capabilities)
