"""Starts the processes of an MPI job: ``mpirun`` on the first host, and on the others its helpers.

Amazon's toolkit needs an SSH server with keys in the image. Here ``mpirun`` is given a remote
shell of ours instead (``rsh``, ``worker``), by variables of its environment, so that its command
line stays Amazon's and an agent that somebody names there (``-mca plm_rsh_agent``) is used as it
is; no SSH server is started for it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from trainshed.contract.script_mode import MPI_PROCESSES_PER_HOST, MPI_SECRET_VARIABLE
from trainshed.toolkit import entry_point
from trainshed.toolkit.entry_point import Kind
from trainshed.toolkit.environment import on_path, passable
from trainshed.toolkit.failure import ToolkitError, script_failure
from trainshed.toolkit.launchers import efa, mpirun, names, processors, remote
from trainshed.toolkit.launchers.job import Finished, Job, processes_per_host, run, say

WORKERS_WITHIN: Final = 60 * 60.0
"""Seconds in which all workers must listen."""
_SAID_AFTER: Final = 5.0
_SHORTEST_SECRET: Final = 32
_HAS_MPI4PY: Final = "import importlib.util as u, sys; sys.exit(u.find_spec('mpi4py') is None)"


def launch(job: Job) -> Finished:
    """Run the job to its end, on the first host with ``mpirun``, on the others at its service.

    Raises:
        ToolkitError: something that it needs is not there.
        SystemExit: we were asked to stop before it ran.
    """
    program = on_path("mpirun", job.variables)
    if program is None:
        raise ToolkitError(
            "the job asks for MPI (sagemaker_mpi_enabled), and there is no mpirun on the PATH; "
            "install Open MPI in the image, and mpi4py for Python (Debian: openmpi-bin and "
            "python3-mpi4py)"
        )
    # mpirun gives the processes a terminal, so that lines come at once anyway; what is written
    # without a buffer comes in pieces, and it puts a tag before each.
    kept = {name: text for name, text in job.variables.items() if name != "PYTHONUNBUFFERED"}
    job = job._replace(variables=kept)
    hosts = job.facts["distribution_hosts"]
    if len(hosts) == 1:
        return _run_mpirun(job, program, "")
    secret = job.platform.get(MPI_SECRET_VARIABLE, "")
    if len(secret) < _SHORTEST_SECRET:
        raise ToolkitError(
            f"MPI on several hosts needs {MPI_SECRET_VARIABLE}, at least {_SHORTEST_SECRET} "
            "characters, from the platform"
        )
    names.wait(hosts, names.WITHIN if job.in_container else 0.0)
    if not job.facts["is_master"]:
        return _serve(job, secret)
    workers = [host for host in hosts if host != job.host]
    wait_for(workers, secret)
    finished = _run_mpirun(job, program, secret)
    word = {"do": "end", "exit_code": finished.exit_code, "text": finished.failure}
    for worker in workers:
        if not remote.tell(worker, secret, word):
            say(f"{worker} could not be told that mpirun ended")
    return finished


def wait_for(workers: Sequence[str], secret: str, within: float = WORKERS_WITHIN) -> None:
    """Return once every worker listens and knows the secret.

    Raises:
        ToolkitError: one does not in time, or does not know the secret.
        SystemExit: we were asked to stop.
    """
    began, said = time.monotonic(), False
    for worker in workers:
        while not _listens(worker, secret):
            waited = time.monotonic() - began
            if waited > within:
                raise ToolkitError(f"MPI: the host {worker} does not listen after {within:.0f} s")
            if waited > _SAID_AFTER and not said:
                say(f"waiting for the host {worker} to get ready for MPI")
                said = True
            time.sleep(0.2 if waited < _SAID_AFTER else 1.0)


def _listens(worker: str, secret: str) -> bool:
    try:
        with remote.ask(worker, secret, {"do": "ping"}) as connection:
            return any(kind == b"x" for kind, _ in remote.frames(connection))
    except OSError:
        return False
    except remote.Refused as refused:
        raise ToolkitError(
            f"MPI: the host {worker} refused: {refused}; {MPI_SECRET_VARIABLE} must be the same "
            "on every host of an attempt"
        ) from refused


def _serve(job: Job, secret: str) -> Finished:
    command = [*_toolkit(), "mpi-worker", job.host, job.interface]
    ended = run(job, command, {MPI_SECRET_VARIABLE: secret})
    if not ended.exit_code:
        return Finished(0, "")
    told = ended.stderr_tail.strip()
    return Finished(ended.exit_code, told or script_failure(ended.exit_code, "", command))


def _run_mpirun(job: Job, program: str, secret: str) -> Finished:
    per_host = processes_per_host(job, job.parameters.get(MPI_PROCESSES_PER_HOST))
    call = mpirun.of(job.facts, job.parameters, per_host)
    script = entry_point.command(
        job.program, job.kind, _python(job), job.arguments, job.tree.code, job.variables
    )
    passed, _ = passable(job.variables)
    words = call.command(script, passed, efa.settings(job.facts))
    folder = Path(tempfile.mkdtemp(prefix="trainshed-mpi-"))
    try:
        settings = {**_remote_shell(folder, job.host, secret), **_idling(per_host)}
        ended = run(job, [program, *words[1:]], settings)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not ended.exit_code:
        return Finished(0, "")
    return Finished(ended.exit_code, call.explained(ended.exit_code, ended.stderr_tail, words))


def _python(job: Job) -> list[str]:
    """Return what runs a Python program: mpi4py ends all processes when one ends by an exception.

    Programs of other libraries (Horovod) do without it; then an exception in one process may
    leave the others waiting, unless Open MPI sees it end.
    """
    if job.kind is Kind.SHELL:
        return [job.python]
    if run(job, [job.python, "-c", _HAS_MPI4PY], {}).exit_code == 0:
        return [job.python, "-m", "mpi4py"]
    say("mpi4py is not installed: the script is started without it")
    return [job.python]


def _remote_shell(folder: Path, host: str, secret: str) -> dict[str, str]:
    """Write the remote shell into ``folder``; return the variables that name it to ``mpirun``."""
    for name, text in (("host", host), ("secret", secret)):
        path = folder / name
        path.touch(0o600)
        path.write_text(text)
    words = " ".join(shlex.quote(each) for each in [*_toolkit(), "rsh", str(folder)])
    (folder / "agent").write_text(f'exec {words} "$@"\n')
    agent = f"/bin/sh {folder}/agent"
    return {
        # Open MPI up to 4, and from 5 on.
        "OMPI_MCA_plm_rsh_agent": agent,
        "PRTE_MCA_plm_ssh_agent": agent,
        # Its helper on a worker stays our command's process, so that its end is seen.
        "OMPI_MCA_orte_leave_session_attached": "1",
        "PRTE_MCA_prte_leave_session_attached": "1",
        "LD_LIBRARY_PATH": "",  # the command line exports it, and warns where it is not set
    }


def _idling(per_host: int) -> dict[str, str]:
    """Return what has waiting processes give way where they outnumber the processors.

    Open MPI does so by itself when it knows, but it is told as many slots as there are processes;
    without, each waits by turning in circles, and eight on one processor get nowhere.
    """
    if per_host <= processors.usable():
        return {}
    return {"OMPI_MCA_mpi_yield_when_idle": "1"}


def _toolkit() -> list[str]:
    """Return the command that starts this toolkit again."""
    return [sys.executable, "-I", "-S", os.path.abspath(sys.argv[0])]  # noqa: PTH100
