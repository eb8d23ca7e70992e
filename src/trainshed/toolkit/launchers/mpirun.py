"""The command line of ``mpirun``, and what its last words mean.

Source: the command of Amazon's ``sagemaker-training`` package, held to by a differential test, and
Open MPI 4.1 (its texts).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from trainshed.contract import exits, script_mode
from trainshed.toolkit import failure
from trainshed.toolkit.launchers.job import positive

_CREDENTIALS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_OF_ONE_HOST: Final = frozenset(
    f"SM_{name}"
    for name in (
        "CURRENT_HOST",
        "CURRENT_INSTANCE_GROUP",
        "CURRENT_INSTANCE_GROUP_HOSTS",
        "CURRENT_INSTANCE_TYPE",
        "NETWORK_INTERFACE_NAME",
        "NUM_CPUS",
        "NUM_GPUS",
        "NUM_NEURONS",
        "RESOURCE_CONFIG",
        "TRAINING_ENV",
    )
)
"""Variables that every host has of its own. ``-x`` would give all processes the first host's."""
_ODD_NAME: Final = re.compile(r"[\s;,=]|^$")
"""Names that ``-x`` does not read as one; the processes have them from their host all the same."""
_DEBUG_OPTION: Final = "--NCCL_DEBUG"


class Mpirun(NamedTuple):
    """One call of ``mpirun``."""

    hosts: Sequence[str]
    per_host: int
    """Processes that a host runs."""
    processes: int
    """All of them."""
    interface: str
    options: str
    """``sagemaker_mpi_custom_mpi_options``."""

    def command(
        self, script: Sequence[str], variables: Mapping[str, str], fabric: Mapping[str, str]
    ) -> list[str]:
        """Return the command line.

        Args:
            script: the command line of one process.
            variables: the environment of ``mpirun``; what of it is exported to the processes, by
                name, is what the toolkit made and access keys.
            fabric: variables for the network card.
        """
        debug, others = own_options(self.options)
        slots = "" if self.per_host == 1 else f":{self.per_host}"
        exported = [
            "NCCL_MIN_NRINGS=4",
            f"NCCL_SOCKET_IFNAME={self.interface}",
            f"NCCL_DEBUG={debug}",
            "LD_LIBRARY_PATH",
            "PATH",
        ]
        return [
            *("mpirun", "--host", ",".join(f"{host}{slots}" for host in self.hosts)),
            *("-np", str(self.processes)),
            *("--allow-run-as-root", "--display-map", "--tag-output"),
            *_settings("btl_tcp_if_include", self.interface),
            *_settings("oob_tcp_if_include", self.interface),
            *_settings("plm_rsh_no_tree_spawn", "1"),
            *("-bind-to", "none", "-map-by", "slot"),
            *_settings("pml", "ob1"),
            *_settings("btl", "^openib"),
            *_settings("orte_abort_on_non_zero_status", "1"),
            *_settings("btl_vader_single_copy_mechanism", "none"),
            *_exports(exported),
            *others,
            *_exports(_of_fabric(fabric)),
            *_exports([name for name in _CREDENTIALS if name in variables]),
            *_exports(self._told(variables)),
            *script,
        ]

    def _told(self, variables: Mapping[str, str]) -> list[str]:
        several = len(self.hosts) > 1
        return [
            name
            for name in variables
            if name.startswith("SM_")
            and not (several and name in _OF_ONE_HOST)
            and not _ODD_NAME.search(name)
        ]

    def host_of(self, rank: int) -> str:
        """Return the host that runs a process, as ``-map-by slot`` lays them; "" if unknown."""
        index = rank // self.per_host
        return self.hosts[index] if index < len(self.hosts) else ""

    def explained(self, exit_code: int, stderr_tail: str, words: list[str]) -> str:
        """Return the failure text: which process failed first, where, and what it said."""
        lost = _LOST.search(stderr_tail)
        rank = _failed_rank(stderr_tail)
        if rank is None and lost:
            who = f"mpirun lost the host {lost[1]}"
            return failure.script_failure(exit_code, stderr_tail, words, who)
        if rank is None:
            return failure.script_failure(exit_code, stderr_tail, words)
        where = self.host_of(rank)
        who = f"rank {rank}{f' on {where}' if where else ''} failed first"
        said = _said_by(rank, stderr_tail) or stderr_tail
        return failure.script_failure(exit_code, said, words, who)


def of(facts: Mapping[str, Any], parameters: Mapping[str, Any], per_host: int) -> Mpirun:
    """Return the call that a job asks for.

    Args:
        facts: what ``SM_TRAINING_ENV`` holds.
        parameters: the framework parameters, read.
        per_host: processes that a host runs.

    Raises:
        ToolkitError: the number of processes is none.
    """
    hosts = facts["distribution_hosts"]
    asked = parameters.get(script_mode.MPI_PROCESSES) or per_host * len(hosts)
    return Mpirun(
        hosts=hosts,
        per_host=per_host,
        processes=positive("the number of MPI processes", asked),
        interface=str(facts["network_interface_name"]),
        options=str(parameters.get(script_mode.MPI_OPTIONS) or ""),
    )


def own_options(options: str) -> tuple[str, list[str]]:
    """Return the level of ``NCCL_DEBUG`` (default INFO), and all other words as they are."""
    debug, others = "INFO", []
    words = iter(options.split())
    for word in words:
        if word == _DEBUG_OPTION:
            debug = next(words, debug)
        elif word.startswith(_DEBUG_OPTION + "="):
            debug = word[len(_DEBUG_OPTION) + 1 :]
        else:
            others.append(word)
    return debug, others


def _settings(name: str, value: str) -> tuple[str, str, str]:
    return ("-mca", name, value)


def _exports(names: Sequence[str]) -> list[str]:
    return [word for name in names for word in ("-x", name)]


def _of_fabric(fabric: Mapping[str, str]) -> list[str]:
    found = []
    if "FI_PROVIDER" in fabric:
        # The protocol that bears data delivered out of order, as this card does.
        found += [f"FI_PROVIDER={fabric['FI_PROVIDER']}", "NCCL_PROTO=simple"]
    if "FI_EFA_USE_DEVICE_RDMA" in fabric:
        found.append(f"FI_EFA_USE_DEVICE_RDMA={fabric['FI_EFA_USE_DEVICE_RDMA']}")
    return found


_FAILED: Final = (
    re.compile(r"process rank (\d+) with PID \d+ on node \S+ exited on signal"),
    re.compile(r"MPI_ABORT was invoked on rank (\d+)"),
    re.compile(r"Process name: \[\[\d+,\d+\],(\d+)\]"),
)
_LOST: Final = re.compile(
    r"lost communication with a remote daemon\.[\s\S]{0,200}?Remote daemon: \S+ on node (\S+)"
)
_STARTERS: Final = re.compile(
    r'^  File "(?:<frozen runpy>|[^"\n]*/(?:mpi4py/(?:__main__|run)|runpy)\.py)".*\n(?:    .*\n)*',
    re.MULTILINE,
)
"""What stands above the user's own lines in a traceback under ``python -m mpi4py``."""
_TAG: Final = re.compile(r"^\[\d+,(\d+)\]<stderr>:(.*)$")


def _failed_rank(text: str) -> int | None:
    for pattern in _FAILED:
        found = pattern.search(text)
        if found:
            return int(found[1])
    # A program that never spoke MPI is not named; then it is who left a traceback, if one did.
    tags = (_TAG.match(line) for line in text.splitlines() if exits.TRACEBACK_HEADER in line)
    ranks = {int(tag[1]) for tag in tags if tag}
    return ranks.pop() if len(ranks) == 1 else None


def _said_by(rank: int, text: str) -> str:
    """Return what one process wrote to stderr, without the tags.

    A line that was written in pieces has one before each.
    """
    tags = (_TAG.match(line) for line in text.splitlines())
    lines = [tag[2] for tag in tags if tag and int(tag[1]) == rank]
    said = re.sub(rf"\[\d+,{rank}\]<stderr>:", "", "\n".join(lines))
    return _STARTERS.sub("", said)
