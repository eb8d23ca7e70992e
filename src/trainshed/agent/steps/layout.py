"""Lays out ``/opt/ml``: the folders, and the files that tell a container its job."""

from pathlib import Path

from trainshed.agent.node import Node
from trainshed.contract import configs, script_mode
from trainshed.contract.tree import Tree
from trainshed.domain.facts import Kind


def lay_out(node: Node) -> None:
    """Make the tree. Repeatable until the container has started; then it is the container's."""
    if node.journal.last(Kind.TRAINING) is not None:
        return
    tree = node.tree
    for folder in _folders(node, tree):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
    for path, text in _files(node, tree).items():
        path.write_text(text)
        path.chmod(0o644)


def _folders(node: Node, tree: Tree) -> tuple[Path, ...]:
    # Where it is there, no toolkit keeps what is in it: the agent does.
    kept = script_mode.intermediate_output(node.plan.hyperparameters)
    # No code/ here: script mode makes it, and images bring their own.
    return (
        tree.base,
        tree.input,
        tree.config,
        tree.data,
        tree.model,
        tree.checkpoints,
        tree.output,
        tree.output_data,
        *((tree.intermediate,) if kept else ()),
    )


def _files(node: Node, tree: Tree) -> dict[Path, str]:
    plan = node.plan
    channels = [channel for channel in plan.channels if is_for(channel, plan.instance_group)]
    found = {
        tree.hyperparameters: configs.hyperparameters(plan.hyperparameters),
        tree.input_data_config: configs.input_data_config(channels, plan.input_mode),
        tree.resource_config: configs.resource_config(
            host=plan.host,
            hosts=plan.hosts,
            instance_type=plan.instance_type,
            instance_group=plan.instance_group,
            instance_groups=plan.instance_groups,
            network_interface=node.runtime.interface,
        ),
    }
    for name, text in configs.extras(plan.request, plan.metrics).items():
        found[tree.config / name] = text
    return found


def is_for(channel: object, group: str) -> bool:
    """Tell whether a channel goes to an instance group (``S3DataSource.InstanceGroupNames``)."""
    match channel:
        case {"DataSource": {"S3DataSource": {"InstanceGroupNames": [*names]}}} if names:
            return group in names
        case _:
            return True
