"""What a job's container is given, whatever starts it: variables, command line, parts of /opt/ml.

Source: Amazon SageMaker developer guide, "How Amazon SageMaker Runs Your Training Image" and "How
Amazon SageMaker Provides Training Information".
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from trainshed.contract import environment as contract
from trainshed.contract import script_mode
from trainshed.contract.tree import Tree
from trainshed.domain.plan import NodePlan

ARCHIVE: Final = "/opt/trainshed/sourcedir.tar.gz"
"""Where a container with a root of its own finds the code that the agent fetched."""


def variables(plan: NodePlan, seen: Tree) -> dict[str, str]:
    """Return what the contract puts into the container's environment; the same on every runtime.

    Its way to AWS's services is this server, and an isolated job has none. Keys are not in it but
    where they are asked for, unless the plan says that its container can't ask there.
    """
    return contract.variables(
        job_name=plan.job_name,
        job_arn=plan.job_arn,
        region=plan.region,
        access={} if plan.isolated else _access(plan),
        environment=plan.environment,
        warm_pool_cache=str(seen.warm_pool_cache) if plan.warm_cache else "",
    )


def toolkit_secret(plan: NodePlan) -> dict[str, str]:
    """Return the variable by which the toolkits of several hosts trust each other, if they need it.

    Only where the toolkit runs: it keeps the variable from the user's script.
    """
    if not script_mode.needs_secret(plan.hyperparameters, len(plan.hosts)):
        return {}
    return {script_mode.MPI_SECRET_VARIABLE: plan.attempt_secret}


def command_line(plan: NodePlan) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Return what replaces the image's ENTRYPOINT (None keeps it), and what replaces its CMD."""
    if plan.entrypoint is not None:
        return plan.entrypoint, plan.arguments or ()
    return None, ("train",) if plan.arguments is None else plan.arguments


def parts(plan: NodePlan, tree: Tree) -> list[tuple[Path, str]]:
    """Return the parts of ``/opt/ml`` that are the platform's; all else is the image's own.

    Each is a folder of the tree as the agent has it, and where the container finds it.
    """
    seen = Tree()
    return [
        (tree.input, str(seen.input)),
        (tree.model, str(seen.model)),
        (tree.output, str(seen.output)),
        (tree.checkpoints, checkpoints_path(plan)),
    ]


def checkpoints_path(plan: NodePlan) -> str:
    """Return where the container finds its checkpoints."""
    config = plan.request.get("CheckpointConfig") or {}
    return str(PurePosixPath(config.get("LocalPath") or Tree().checkpoints))


def code_archive(plan: NodePlan) -> str:
    """Return the address of the code that our toolkit would run; "" for a folder of the image."""
    if not plan.script_mode:
        return ""
    named = script_mode.read_value(plan.hyperparameters.get(script_mode.SUBMIT_DIRECTORY, ""))
    return named if isinstance(named, str) and named.startswith(("s3://", "file://")) else ""


def _access(plan: NodePlan) -> dict[str, str]:
    url = plan.container_url or plan.server_url
    objects_url = plan.objects.get("endpoint", "")
    if objects_url == plan.server_url:
        objects_url = url
    credentials: Mapping[str, str] = plan.container_keys
    if plan.credentials_token and not credentials:
        asked = f"{url}/agent/v1/nodes/{plan.node_id}/credentials"
        credentials = {"url": asked, "token": plan.credentials_token}
    return contract.access(server_url=url, objects_url=objects_url, credentials=credentials)
