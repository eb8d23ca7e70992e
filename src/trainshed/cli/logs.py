"""``trainshed logs``: what a job wrote."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from trainshed.app import clock
from trainshed.cli import exits, live, output, parsing, session
from trainshed.cli.options import DataDir, Job, spread
from trainshed.client import references
from trainshed.client.api import Api
from trainshed.client.follow import Away, Follower, Line, Over, follow


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsOptions:
    """What can be typed after ``trainshed logs``."""

    job: Job
    follows: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job is over.")
    ] = False
    node: Annotated[
        str, typer.Option("--node", metavar="NODE", help="Only this node: 1, or algo-1.")
    ] = ""
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Only the last 10m, 2h, ….")
    ] = ""
    grep: Annotated[
        str, typer.Option("--grep", metavar="REGEX", help="Only lines with a match.")
    ] = ""
    timestamps: Annotated[
        bool, typer.Option("--timestamps", "-t", help="Begin lines with their time.")
    ] = False
    data_dir: DataDir = None


@spread(LogsOptions)
def logs(options: LogsOptions) -> None:
    """Show what a job wrote. Ctrl-C leaves the job alone."""
    wanted = _filter(options.node, options.grep)
    start = None
    if options.since:
        start = int((clock.now() - parsing.duration(options.since)).timestamp() * 1000)
    api = session.connect(options.data_dir)
    found = references.resolve(api, options.job)
    follower = Follower(found["TrainingJobName"], since=start)
    show = _printer(live.nodes_of(found), options.timestamps)
    if options.follows:
        _follow(follower, wanted, show, session.reconnect(options.data_dir))
        return
    for line in sorted(follower.lines(api), key=lambda line: line.at):
        if wanted(line):
            show(line)


def _follow(
    follower: Follower,
    wanted: Callable[[Line], bool],
    show: Callable[[Line], None],
    connect: Callable[[], Api],
) -> None:
    try:
        for event in follow(follower, connect, sleep=time.sleep):
            match event:
                case Line() if wanted(event):
                    show(event)
                case Away():
                    output.note("the server does not answer; waiting for it")
                case Over(job=ended):
                    output.note(_end(ended))
                case _:
                    pass
    except KeyboardInterrupt:
        live.detach(follower.name, connect)
        raise typer.Exit(exits.INTERRUPTED) from None


def _filter(node: str, grep: str) -> Callable[[Line], bool]:
    host = f"algo-{node}" if node.isdigit() else node
    try:
        pattern = re.compile(grep)
    except re.error as error:
        raise typer.BadParameter(f"--grep {grep!r}: {error}") from error
    return lambda line: (not host or line.node == host) and bool(pattern.search(line.text))


def _printer(nodes: int, timestamps: bool) -> Callable[[Line], None]:
    def show(line: Line) -> None:
        text = live.text_of(line, nodes)
        print(f"{output.moment(line.at / 1000)}  {text}" if timestamps else text, flush=True)

    return show


def _end(job: Any) -> str:  # noqa: ANN401 - DescribeTrainingJob's answer
    ended = job["TrainingJobStatus"]
    reason = job.get("FailureReason", "")
    return f"{ended}: {reason}" if reason else ended
