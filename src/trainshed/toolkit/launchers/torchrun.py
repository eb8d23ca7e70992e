"""Starts one process per accelerator with ``torchrun``, which must be in the image.

Source: the command and variables of Amazon's ``sagemaker-training`` package, held to by a
differential test. ``sagemaker_pytorch_ddp_enabled`` comes here too: Amazon's images start it with
``smddprun``, which only they have, and which gives the processes the same variables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final

from trainshed.contract import exits
from trainshed.contract.script_mode import MPI_PROCESSES_PER_HOST, RENDEZVOUS_PORT
from trainshed.toolkit import failure
from trainshed.toolkit.entry_point import Kind
from trainshed.toolkit.environment import on_path
from trainshed.toolkit.failure import ToolkitError
from trainshed.toolkit.launchers import efa, names
from trainshed.toolkit.launchers.job import Finished, Job, processes_per_host, run

_ROOT_CAUSE: Final = "Root Cause (first observed failure)"
_SIGNALLED: Final = "SignalException: Process"
_TORCH: Final = re.compile(r'^.*File ".*/torch/distributed/', re.MULTILINE)


def launch(job: Job) -> Finished:
    """Run ``torchrun`` to its end.

    Raises:
        ToolkitError: the entry point is no Python file, or ``torchrun`` cannot be started.
        SystemExit: we were asked to stop before it ran.
    """
    if job.kind is not Kind.PYTHON:
        raise ToolkitError(
            f"torchrun starts Python files, and the entry point {job.program!r} is a "
            f"{'package with setup.py' if job.kind is Kind.PACKAGE else 'program of another kind'};"
            " name a .py file, or start the processes from the program itself"
        )
    hosts = job.facts["distribution_hosts"]
    if len(hosts) > 1:
        names.wait(hosts, names.WITHIN if job.in_container else 0.0)
    processes = processes_per_host(job, job.parameters.get(MPI_PROCESSES_PER_HOST))
    words = command(job.program, job.arguments, job.facts, processes, job.own_port)
    full = [*starter(job), *words[1:]]
    ended = run(job, full, variables(job.interface, efa.settings(job.facts)))
    if not ended.exit_code:
        return Finished(0, "")
    return Finished(ended.exit_code, explained(ended.exit_code, ended.stderr_tail, words))


def command(
    program: str,
    arguments: list[str],
    facts: Mapping[str, Any],
    processes: int,
    own_port: int | None = None,
) -> list[str]:
    """Return the command line, as Amazon's toolkit has it but for an ``own_port``."""
    hosts = facts["distribution_hosts"]
    several = len(hosts) > 1
    found = ["torchrun", "--nnodes", str(len(hosts)), "--nproc_per_node", str(processes)]
    if several:
        found += ["--master_addr", str(facts["master_hostname"])]
    if several or own_port is not None:  # else torchrun's own: 29500 for all of a machine
        found += ["--master_port", str(own_port or RENDEZVOUS_PORT)]
    if several:
        found += ["--node_rank", str(hosts.index(facts["current_host"]))]
    return [*found, program, *arguments]


def variables(interface: str, fabric: Mapping[str, str]) -> dict[str, str]:
    """Return what the processes' environment is given, as by Amazon's toolkit.

    Gloo is told the interface too: else it asks for the address of the machine's own name.
    """
    names = {"NCCL_SOCKET_IFNAME": interface, "GLOO_SOCKET_IFNAME": interface}
    return {**names, "NCCL_PROTO": "simple", **fabric}


def starter(job: Job) -> list[str]:
    """Return what ``torchrun`` is here: the program, or the module behind it."""
    # Without a container the PATH behind the chosen interpreter is the machine's own: a torchrun
    # found there may belong to any Python.
    folder = os.path.dirname(job.python)  # noqa: PTH120
    searched = job.variables if job.in_container else {"PATH": folder}
    found = on_path("torchrun", searched)
    return [found] if found else [job.python, "-m", "torch.distributed.run"]


def explained(exit_code: int, stderr_tail: str, words: list[str]) -> str:
    """Return the failure text: the script's own last words and the rank, not torchrun's traceback.

    torchrun ends with a traceback of itself, behind which it names the first process that failed.
    """
    said, _, after = stderr_tail.rpartition(_ROOT_CAUSE)
    if not said:
        return failure.script_failure(exit_code, _before_the_signal(stderr_tail), words)
    found = dict(re.findall(r"^\s*(\w+)\s+: (.*)$", after, re.MULTILINE))
    rank, host = found.get("rank", "?"), found.get("host", "")
    who = f"rank {rank.split()[0]}" + (f" on {host}" if host else "") + " failed first"
    if found.get("exitcode", "").startswith("-"):
        who += f" (exit code {found['exitcode'].split()[0]})"
    own = said.rfind(exits.TRACEBACK_HEADER)
    if own >= 0 and _TORCH.search(said, own):
        said = said[:own]
    # PyTorch from 2.2 on puts the rank before an exception's lines; the others fail by the first.
    tag = f"[rank{rank.split()[0]}]: "
    tagged = [line[len(tag) :] for line in said.splitlines() if line.startswith(tag)]
    return failure.script_failure(exit_code, "\n".join(tagged) or said, words, who)


def _before_the_signal(text: str) -> str:
    """Return what was said before torchrun was told to stop, if a program had failed by then."""
    own = text.rfind(exits.TRACEBACK_HEADER)
    if own < 0 or _SIGNALLED not in text[own:]:
        return text
    return text[:own] if exits.traceback_in(text[:own]) else text
