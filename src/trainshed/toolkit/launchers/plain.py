"""Starts the script once on every host, and tells it how the hosts find each other.

Source: Amazon's PyTorch container sets ``MASTER_ADDR`` and ``MASTER_PORT``; the others are the
words that programs of ``torch.distributed`` and PyTorch Lightning look for.
"""

from __future__ import annotations

from trainshed.contract.script_mode import RENDEZVOUS_PORT
from trainshed.toolkit import entry_point, failure
from trainshed.toolkit.failure import ToolkitError
from trainshed.toolkit.launchers.job import Finished, Job, run, say


def launch(job: Job) -> Finished:
    """Run the script to its end.

    Raises:
        ToolkitError: it cannot be started, or the other hosts' names do not resolve.
        SystemExit: we were asked to stop before it ran.
    """
    _wait_for_names(job)
    command = entry_point.command(
        job.program, job.kind, [job.python], job.arguments, job.tree.code, job.variables
    )
    ended = run(job, command, rendezvous(job))
    if not ended.exit_code:
        return Finished(0, "")
    text = failure.script_failure(ended.exit_code, ended.stderr_tail, command)
    return Finished(ended.exit_code, text)


def rendezvous(job: Job) -> dict[str, str]:
    """Return the variables by which the hosts find each other.

    ``RANK`` and ``WORLD_SIZE`` count processes. Where a host has several accelerators, the
    script is expected to start a process for each, and numbers them itself.
    """
    master = str(job.facts["master_hostname"])
    hosts = [master, *(each for each in job.facts["hosts"] if each != master)]
    rank, count = str(hosts.index(job.host)), str(len(hosts))
    found = {
        "MASTER_ADDR": master,
        "MASTER_PORT": str(job.own_port or RENDEZVOUS_PORT),
        "NODE_RANK": rank,
        "NNODES": count,
        "NUM_NODES": count,
    }
    if job.facts["num_gpus"] < 2 and job.facts["num_neurons"] < 2:
        found.update(RANK=rank, WORLD_SIZE=count)
    if len(hosts) > 1:
        found.update(NCCL_SOCKET_IFNAME=job.interface, GLOO_SOCKET_IFNAME=job.interface)
    return found


def _wait_for_names(job: Job) -> None:
    if len(job.facts["hosts"]) == 1:
        return
    from trainshed.toolkit.launchers import names  # noqa: PLC0415 - 5 ms that one host does not need

    # Without a container names are a file that is there from the start, or is not at all. Such a
    # job may do without them.
    try:
        names.wait(job.facts["hosts"], names.WITHIN if job.in_container else 0.0)
    except ToolkitError as error:
        if job.in_container:
            raise
        say(str(error))
