"""Decides what a container runs, where no image can say it.

With Docker, an image's own ENTRYPOINT stands behind ContainerArguments and ``train``. Without,
only what the request spells out, script mode, and an environment with a ``train`` can run.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from trainshed.agent.node import Node, NodeOver
from trainshed.agent.runtimes.base import Command
from trainshed.contract import environment as contract
from trainshed.contract import script_mode
from trainshed.domain.container import toolkit_secret, variables
from trainshed.domain.facts import Outcome
from trainshed.domain.names import NODE_VARIABLE
from trainshed.domain.plan import NodePlan

_FOREIGN: Final = ("AWS_", "TRAINSHED_", "SAGEMAKER_", "SM_")
"""The server's own settings and credentials: none of a job's business."""
_NO_FILES: Final = {"AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_CONFIG_FILE": os.devnull}
"""AWS clients look for keys in files before they ask for them; what lies in the home directory
here is the server's owner's."""
_TOOLKIT: Final = Path(__file__).parents[1] / "toolkit" / "__main__.py"
_ADVICE: Final = (
    "which needs a container engine; install Docker and use the docker backend, or map the image "
    "to an environment that has bin/train ([backends.local.images])"
)


def command(node: Node, host: Mapping[str, str]) -> Command:
    """Return the command of a node.

    Args:
        node: its plan, and the tree as laid out.
        host: the agent's own environment.

    Raises:
        NodeOver: the image's own program was asked for, and there is none here.
    """
    plan = node.plan
    python = interpreter(plan.environment_path)
    environment = _environment(node, host, python)
    code = node.tree.code.is_dir()
    folder = str(node.seen.code if code else node.seen.base)
    return Command(argv=_argv(node, python), environment=environment, folder=folder)


def interpreter(environment_path: str) -> Path | None:
    """Return the Python that an image was mapped to; None when it was mapped to nothing."""
    if not environment_path:
        return None
    path = Path(environment_path)
    return path / "bin" / "python" if path.is_dir() else path


def _argv(node: Node, python: Path | None) -> tuple[str, ...]:
    plan = node.plan
    if plan.entrypoint is not None:
        return (*plan.entrypoint, *(plan.arguments or ()))
    if plan.script_mode:
        if python is None:
            raise NodeOver(
                Outcome.FAILED,
                f'ClientError: the image "{plan.image}" is mapped to no Python environment that '
                "could run the script; map it in [backends.local.images]",
            )
        return (node.python, "-I", "-S", str(_TOOLKIT), "train")
    if plan.arguments is not None:
        raise NodeOver(
            Outcome.FAILED,
            f"ClientError: ContainerArguments were given without ContainerEntrypoint, so the image "
            f'"{plan.image}" would start its own program with them, {_ADVICE}; '
            "or name the program in ContainerEntrypoint",
        )
    train = None if python is None else python.parent / "train"
    if train is None or not os.access(train, os.X_OK):
        raise NodeOver(
            Outcome.FAILED,
            f'ClientError: the image "{plan.image}" brings its own program "train", {_ADVICE}',
        )
    return (str(train),)


def _environment(node: Node, host: Mapping[str, str], python: Path | None) -> dict[str, str]:
    plan: NodePlan = node.plan
    found = {name: text for name, text in host.items() if not name.startswith(_FOREIGN)}
    found["PYTHONUNBUFFERED"] = "1"
    if python is not None:
        found["PATH"] = f"{python.parent}:{found.get('PATH', os.defpath)}"
        found[script_mode.PYTHON_VARIABLE] = str(python)
    if plan.cache:
        found[script_mode.ENVIRONMENTS_VARIABLE] = str(Path(plan.cache) / "environments")
    if plan.script_mode:
        found.update(toolkit_secret(plan))
    if node.source_archive.exists():
        found[script_mode.SOURCE_ARCHIVE_VARIABLE] = str(node.source_archive)
    if not node.runtime.sees_opt_ml:
        found.update(_places(node))
    if not contract.own_access(plan.environment):
        found.update(_NO_FILES)
    found.update(variables(plan, node.seen))
    found[NODE_VARIABLE] = str(node.folder.resolve())
    return found


def _places(node: Node) -> dict[str, str]:
    """Return where the tree is, for programs that do not find it under ``/opt/ml``."""
    tree = node.seen
    channels = [channel["ChannelName"] for channel in node.plan.channels]
    return {
        "SAGEMAKER_BASE_DIR": str(tree.base),
        "SM_INPUT_DIR": str(tree.input),
        "SM_INPUT_CONFIG_DIR": str(tree.config),
        "SM_MODEL_DIR": str(tree.model),
        "SM_OUTPUT_DIR": str(tree.output),
        "SM_OUTPUT_DATA_DIR": str(tree.output_data),
        **{f"SM_CHANNEL_{name}".upper(): str(tree.channel(name)) for name in channels},
    }
