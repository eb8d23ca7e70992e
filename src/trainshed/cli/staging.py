"""A job's node made once more, for a person to look around in: planned, laid out, data brought.

The plan is the one its agent has, where the job runs; else it is made of the job's description as
the server would make it now. It differs in its name, and in whose keys it uses: the server's own,
since a job that is over has none. It is told to nobody, and uploads nothing.
"""

import fcntl
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import typer

from trainshed.agent.journal import Journal
from trainshed.agent.log import OutputLog
from trainshed.agent.node import Node, NodeOver, Runtime
from trainshed.agent.report import Reporter
from trainshed.agent.runtimes.docker import cleaning
from trainshed.agent.runtimes.docker.engine import EngineError
from trainshed.agent.runtimes.docker.runtime import DockerRuntime
from trainshed.agent.runtimes.process import ProcessRuntime
from trainshed.agent.steps.image import fetch_image
from trainshed.agent.steps.inputs import bring_inputs
from trainshed.agent.steps.layout import lay_out
from trainshed.agent.stopping import Stop
from trainshed.app import backends, clock, settings
from trainshed.cli import exits, output
from trainshed.client import nodes
from trainshed.client.errors import ClientError
from trainshed.client.server import Server
from trainshed.domain import names, sizes
from trainshed.domain.facts import Outcome
from trainshed.domain.plan import NodePlan
from trainshed.domain.training import Attempt, TrainingJob
from trainshed.drivers.local.left_over import end_left_over
from trainshed.engine import planning

_FOLDER: Final = "shells"
"""Below the server's folder: there is room for data, and the engine may mount what is there."""
_LOCK: Final = "agent.lock"
"""Held while the folder is in use. Data that lies around a folder with it is not copied into it."""
_TOLD: Final = frozenset(
    {
        "BillableTimeInSeconds",
        "CreationTime",
        "DebugRuleEvaluationStatuses",
        "FailureReason",
        "FinalMetricDataList",
        "LastModifiedTime",
        "ModelArtifacts",
        "ProfilerRuleEvaluationStatuses",
        "ProfilingStatus",
        "SecondaryStatus",
        "SecondaryStatusTransitions",
        "TrainingEndTime",
        "TrainingJobArn",
        "TrainingJobStatus",
        "TrainingStartTime",
        "TrainingTimeInSeconds",
        "WarmPoolStatus",
    }
)
"""What DescribeTrainingJob answers and CreateTrainingJob does not take."""


def plan(server: Server, job: Mapping[str, Any], tags: Mapping[str, str], host: str) -> NodePlan:
    """Return a plan for a node like the job's, under a name of its own.

    Args:
        server: the job's.
        job: DescribeTrainingJob's answer.
        tags: the job's.
        host: such as ``algo-1``.

    Raises:
        ClientError: the server could not run it either, or it is a pod.
        SettingsError: the server's settings can't be read.
    """
    found = nodes.find(server.data_dir, job, host)
    like = found.plan if found else _planned(server, job, tags, host)
    if like.runtime == "sibling":
        raise ClientError(
            f"{like.job_name} is of a cluster, and shells are opened on this machine",
            f"trainshed exec {like.job_name} while it runs; or run it --on docker, then the same",
        )
    keys = server.credentials
    own = {"access_key": keys.access_key, "secret_key": keys.secret_key}
    return replace(
        like,
        node_id=names.node_id(secrets.token_hex(6), 1, host),
        objects={"endpoint": server.url, "region": keys.region, **own},
        container_keys={} if like.isolated else own,
        credentials_token="",
        token="",
        log_stream="",
    )


@contextmanager
def staged(server: Server, wanted: NodePlan) -> Iterator[Node]:
    """Yield a node whose image and data are there; at the end everything of it is removed.

    Raises:
        ClientError: something can't be brought in; the message is the job's FailureReason.
        typer.Exit: Ctrl-C, while it was brought.
    """
    root = server.data_dir / _FOLDER
    root.mkdir(mode=0o700, exist_ok=True)
    _sweep(root)
    folder, lock = _made(root, wanted.job_name)
    try:
        (folder / "plan.json").write_text(wanted.to_json())
        (folder / "plan.json").chmod(0o600)
        node = _node(folder, wanted)
        _bring(node)
        yield node
    finally:
        _remove(folder)
        os.close(lock)


def _made(root: Path, name: str) -> tuple[Path, int]:
    """Return a new folder, and its lock, held."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=root))
        lock = _locked(folder)
        if lock is not None:
            return folder, lock
        # Another shell swept it away before it was locked.


def _planned(
    server: Server, job: Mapping[str, Any], tags: Mapping[str, str], host: str
) -> NodePlan:
    backend = tags.get(names.BACKEND_TAG) or server.backend
    created = datetime.fromtimestamp(float(job["CreationTime"]), UTC)
    arn = str(job["TrainingJobArn"])
    wish = TrainingJob(
        arn=arn,
        name=job["TrainingJobName"],
        region=arn.split(":")[3],
        account=arn.split(":")[4],
        id=secrets.token_hex(6),
        request={key: value for key, value in job.items() if key not in _TOLD},
        created=created,
        modified=created,
        backend=backend,
        shm=sizes.parse(tags[names.SHM_TAG]) if names.SHM_TAG in tags else 0,
    )
    attempt = Attempt(number=1, backend=backend, started=clock.now())
    made = planning.plan(wish, attempt, _site(server))
    if isinstance(made, planning.Unplannable):
        raise ClientError(made.reason)
    return next(node for node in made.nodes if node.host == host)


def _site(server: Server) -> planning.Site:
    chosen = settings.load(server.config)
    places = backends.drivers(chosen, server.data_dir)
    return planning.Site(
        server_url=server.url,
        secret="",
        objects={"endpoint": server.url, "region": server.credentials.region},
        file_roots=chosen.file_roots,
        cache=str(server.data_dir / "cache"),
        capabilities={name: place.capabilities for name, place in places.items()},
    )


class _SpokenLog(OutputLog):
    """Says what a job's log would say on stderr too."""

    def say(self, text: str) -> None:
        """Append the platform's own words."""
        super().say(text)
        output.note(text)


class _Silent(Reporter):
    """Reports nothing."""

    def start(self) -> None:
        """Do nothing."""


def _node(folder: Path, wanted: NodePlan) -> Node:
    stop = Stop(folder / "stop")
    journal, log = Journal(folder / "journal.jsonl"), _SpokenLog(folder / "output.log")
    runtime: Runtime = (
        DockerRuntime(wanted)
        if wanted.runtime == "docker"
        else ProcessRuntime(python=sys.executable)
    )
    return Node(
        folder=folder,
        plan=wanted,
        journal=journal,
        log=log,
        stop=stop,
        reporter=_Silent(wanted, journal, log, stop.forget_job),
        runtime=runtime,
        python=sys.executable,
    )


def _bring(node: Node) -> None:
    """Walk the steps that come before the container; Ctrl-C ends them between two pieces."""
    before = signal.signal(signal.SIGINT, node.stop.hear)
    try:
        for step in (lay_out, fetch_image, bring_inputs):
            step(node)
        for note in (*node.plan.notes, *node.runtime.notes(node)):
            node.log.say(note)
    except NodeOver as over:
        if over.outcome is Outcome.STOPPED:
            raise typer.Exit(exits.INTERRUPTED) from over
        raise ClientError(over.reason) from over
    finally:
        signal.signal(signal.SIGINT, before)


def _sweep(root: Path) -> None:
    """Remove what shells that were killed left behind."""
    for folder in root.iterdir():
        lock = _locked(folder)
        if lock is not None:
            _remove(folder)
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """Return the folder's lock, held; None when another process holds it, or it is gone."""
    try:
        fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _remove(folder: Path) -> None:
    """Remove a folder and what was made for it; say so where that is not possible."""
    end_left_over(folder)
    try:
        cleaning.clean(folder)
        shutil.rmtree(folder)
    except (EngineError, OSError) as error:
        output.note(f"{folder} is still there: {error}")
