"""Finds where a job's nodes work on this machine: the folders that its agents hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainshed.client.errors import ClientError
from trainshed.client.follow import ENDED
from trainshed.domain import names
from trainshed.domain.plan import NodePlan


@dataclass(frozen=True, slots=True)
class NodeFolder:
    """One node of a job, as its agent finds it."""

    path: Path
    """Holds the node's journal, its log and its tree."""
    plan: NodePlan


def host(text: str, job: Mapping[str, Any]) -> str:
    """Return the name of the node that a person means: ``2`` and ``algo-2`` are the same.

    Args:
        text: "" for the first one.
        job: DescribeTrainingJob's answer.

    Raises:
        ClientError: the job has no such node.
    """
    resources = job["ResourceConfig"]
    groups = resources.get("InstanceGroups") or [resources]
    known = names.hosts(sum(int(group.get("InstanceCount", 1)) for group in groups))
    name = f"algo-{text}" if text.isdigit() else text or known[0]
    if name not in known:
        last = f" to {known[-1]}" if len(known) > 1 else ""
        raise ClientError(
            f"{job['TrainingJobName']} has no node {text!r}", f"its nodes are {known[0]}{last}"
        )
    return name


def find(data_dir: Path, job: Mapping[str, Any], host: str) -> NodeFolder | None:
    """Return where a node of a job works; None when it is nowhere below the server's folder.

    Args:
        data_dir: the server's folder.
        job: DescribeTrainingJob's answer.
        host: such as ``algo-1``.
    """
    found: list[tuple[float, NodeFolder]] = []
    for path in data_dir.glob(f"nodes/*.{host}/plan.json"):
        try:
            plan = NodePlan.from_json(path.read_text())
            written = path.stat().st_mtime
        except FileNotFoundError:  # its job ended just now
            continue
        if plan.job_arn == job["TrainingJobArn"] and plan.host == host:
            found.append((written, NodeFolder(path.parent, plan)))
    # Of an attempt that was lost a folder may be left, until its agent is known to be gone.
    return max(found, key=lambda each: each[0])[1] if found else None


def check_runs(job: Mapping[str, Any]) -> None:
    """See that a job is not over.

    Raises:
        ClientError: it is.
    """
    name = job["TrainingJobName"]
    if job["TrainingJobStatus"] in ENDED:
        raise ClientError(
            f"{name} is over ({job['TrainingJobStatus']}), and nothing of it runs",
            f"trainshed shell {name}   # the same image and data, made anew",
        )


def running(data_dir: Path, job: Mapping[str, Any], host: str) -> NodeFolder:
    """Return where a node of a running job works.

    Raises:
        ClientError: the job has not begun, or runs on another machine.
    """
    name = job["TrainingJobName"]
    found = find(data_dir, job, host)
    if found is None:
        raise ClientError(
            f"{name} has no node {host} on this machine now (it is {job['SecondaryStatus']})",
            f"trainshed logs -f {name}",
        )
    return found
