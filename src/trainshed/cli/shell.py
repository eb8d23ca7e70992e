"""``trainshed shell``: a job's container once more, with a person in it instead of the job."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import typer

from trainshed.agent.command import command
from trainshed.agent.node import Node, NodeOver
from trainshed.agent.runtimes import bubblewrap
from trainshed.agent.runtimes.docker import spec
from trainshed.agent.runtimes.process import Degree, ProcessRuntime
from trainshed.app import clock
from trainshed.cli import engines, output, session, staging
from trainshed.cli.inside import SHELL
from trainshed.cli.options import DataDir, Job
from trainshed.cli.options import Node as NodeOption
from trainshed.client import nodes, references
from trainshed.client.errors import ClientError
from trainshed.contract.tree import BASE

_ASLEEP: Final = ("/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done")
"""What runs in a container in place of the job, so that it stays while there is a shell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A container that a shell can be run in."""

    argv: Sequence[str]
    """Runs the shell, connected to what we are connected to."""
    own: Sequence[str]
    """What the job would run."""
    kind: str
    environment: Mapping[str, str] | None = None
    """None for ours."""
    folder: str | None = None


def shell(job: Job, node: NodeOption = "", data_dir: DataDir = None) -> None:
    """Open a job's container again: its image, its data under /opt/ml, and a shell.

    The job may run or be over; it is left alone. Data is brought once more, into a folder that goes
    away with the shell; nothing is uploaded. Commands may be piped in. Exit code: the shell's.
    """
    server, _ = session.ensure(data_dir)
    api = server.api(clock.now)
    found = references.resolve(api, job)
    host = nodes.host(node, found)
    wanted = staging.plan(server, found, references.tags(api, found), host)
    output.note(f"bringing the data of {wanted.job_name} for a shell on {host}")
    with staging.staged(server, wanted) as made:
        code = _docker(made) if wanted.runtime == "docker" else _process(made)
    raise typer.Exit(code)


def _process(node: Node) -> int:
    runtime = node.runtime
    if not isinstance(runtime, ProcessRuntime):
        raise TypeError(f"no process runtime: {runtime!r}")
    try:
        what = command(node, os.environ)
    except NodeOver as over:
        raise ClientError(over.reason) from over
    environment = {**what.environment, "TERM": os.environ.get("TERM", "dumb")}
    kind = runtime.describe()
    if runtime.degree is Degree.BARE:
        opened = Opened(
            argv=SHELL, own=what.argv, kind=kind, environment=environment, folder=what.folder
        )
        return _run(node, opened)
    hosts = node.folder / "hosts"
    hosts.write_text(bubblewrap.hosts_file(node.plan.hosts))
    options = bubblewrap.arguments(
        ml=node.tree.base,
        hosts=hosts,
        host=node.plan.host,
        own_pids=runtime.degree is Degree.NAMESPACES,
    )
    argv = ["bwrap", *options, "--chdir", what.folder, "--", *SHELL]
    return _run(node, Opened(argv=argv, own=what.argv, kind=kind, environment=environment))


def _docker(node: Node) -> int:
    tool = engines.engine_command(node.plan.engine)
    asleep = replace(node, plan=replace(node.plan, entrypoint=_ASLEEP, arguments=()))
    try:
        node.runtime.prepare(asleep)
    except NodeOver as over:
        raise ClientError(over.reason) from over
    name = spec.container_name(node.plan)
    try:
        tool.ask("start", name)
    except ClientError as error:
        raise ClientError(str(error), "an image without /bin/sh can have no shell") from error
    here = sys.stdin.isatty() and sys.stdout.isatty()
    connected = engines.terminal_options(interactive=True, tty=here)
    opened = Opened(
        argv=tool.words("exec", *connected, name, *SHELL),
        own=_own_command(node, tool, name),
        kind=f"{node.plan.image} (container {name})",
    )
    return _run(node, opened)


def _own_command(node: Node, tool: engines.EngineCommand, name: str) -> list[str]:
    """Return what the container would run, its image's ENTRYPOINT included."""
    plan = node.plan
    if plan.entrypoint is not None:
        return [*plan.entrypoint, *(plan.arguments or ())]
    image = tool.ask("container", "inspect", "--format", "{{.Image}}", name)
    entrypoint = tool.ask("image", "inspect", "--format", "{{json .Config.Entrypoint}}", image)
    return [*(json.loads(entrypoint) or ()), *(plan.arguments or ["train"])]


def _run(node: Node, opened: Opened) -> int:
    """Say where things are, then run the shell to its end; return its exit code."""
    seen = Path(BASE) if node.runtime.sees_opt_ml else node.tree.base
    output.note(
        f"shell of {node.plan.job_name} on {node.plan.host}: {opened.kind}\n"
        f"  files    {seen} is {node.tree.base} on this machine\n"
        f"  command  {shlex.join(opened.own)}\n"
        "  end      exit, or Ctrl-D; all of it goes away then, and nothing is uploaded"
    )
    sys.stdout.flush()
    child: subprocess.Popen[bytes] | None = None

    def hang_up(*_: object) -> None:
        if child is not None:  # a shell in a terminal ends by that alone
            child.send_signal(signal.SIGHUP)

    # Ctrl-C is for what runs in the shell; what asks us to end must not end us uncleaned.
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, hang_up),
        signal.SIGHUP: signal.signal(signal.SIGHUP, hang_up),
    }
    try:
        child = subprocess.Popen(list(opened.argv), env=opened.environment, cwd=opened.folder)
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
