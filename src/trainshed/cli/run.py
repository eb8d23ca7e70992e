"""``trainshed run``: a script becomes a job, and is watched until it is over."""

import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from trainshed.app import clock
from trainshed.cli import exits, live, output, parsing, session
from trainshed.cli.options import DataDir, Quiet, spread
from trainshed.cli.progress import bytes_bar
from trainshed.client import upload
from trainshed.client.api import Api
from trainshed.client.order import DEFAULT_IMAGE, DEFAULT_INSTANCE, Order, job_name
from trainshed.client.references import describe
from trainshed.client.submit import bucket_of, submit


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What can be typed after ``trainshed run``."""

    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="The program, such as train.py.")]
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- ARGS", help="'--lr 0.1', the same as --hp lr=0.1."),
    ] = None
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="[NAME=]PATH_OR_URI",
            help="A channel of data [NAME: training]; repeat.",
        ),
    ] = None
    hp: Annotated[
        list[str] | None, typer.Option("--hp", metavar="K=V", help="A hyperparameter; repeat.")
    ] = None
    nodes: Annotated[int, typer.Option("--nodes", metavar="N", min=1, help="How many nodes.")] = 1
    instance: Annotated[
        str, typer.Option("--instance", metavar="TYPE", help="Instance type of each node.")
    ] = DEFAULT_INSTANCE
    max_time: Annotated[
        str, typer.Option("--max-time", metavar="TIME", help="Stop it after 90m, 2h, 1d, ….")
    ] = "1d"
    env: Annotated[
        list[str] | None, typer.Option("--env", metavar="K=V", help="A variable; repeat.")
    ] = None
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME=REGEX", help="A number in the log; repeat."),
    ] = None
    name: Annotated[
        str,
        typer.Option(
            "--name", metavar="NAME", help="The job's name [default: script, time, 4 digits]."
        ),
    ] = ""
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="K=V", help="A tag; repeat.")
    ] = None
    image: Annotated[str, typer.Option("--image", metavar="IMAGE", help="Container image.")] = (
        DEFAULT_IMAGE
    )
    source: Annotated[
        Path | None,
        typer.Option(
            "--source", metavar="DIR", help="Folder of the code [default: the script's own]."
        ),
    ] = None
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Print the name and return.")] = (
        False
    )
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the request; change nothing.")
    ] = False
    quiet: Quiet = False
    data_dir: DataDir = None


@spread(RunOptions)
def run(options: RunOptions) -> None:
    """Train with a script.

    Its folder is packed (.gitignore and .trainshedignore are honoured), local data is uploaded, and
    the job is watched until it is over: exit code 0 completed, 3 failed, 4 stopped, 5 time limit.
    Ctrl-C leaves the job running; a second one within 2 s stops it.
    """
    order = _order(options)
    sources = order.sources()
    order.request(bucket="checked", region="before")  # refuse before a server starts
    if options.dry_run:
        api = session.connect(options.data_dir)
        request = order.request(bucket=bucket_of(api), region=api.credentials.region)
        print(output.dumps(request))
        return
    api = session.connect(options.data_dir)
    place(api, order, sources)
    if options.detach:
        print(order.name)
        output.note(f"next: trainshed logs -f {order.name}")
        return
    raise typer.Exit(watch(api, order.name, options.data_dir, quiet=options.quiet))


def _order(options: RunOptions) -> Order:
    return Order(
        name=options.name or new_name(options.script),
        script=options.script,
        source=options.source,
        leave_out=(session.folder(options.data_dir),),
        data=parsing.data(options.data or ()),
        hyperparameters=parsing.hyperparameters(options.hp or (), options.arguments or ()),
        environment=parsing.pairs(options.env or (), "a variable like KEY=value"),
        metrics=parsing.metrics(options.metric or ()),
        tags=parsing.pairs(options.tag or (), "a tag like key=value"),
        image=options.image,
        instance=options.instance,
        nodes=options.nodes,
        max_time=parsing.duration(options.max_time),
    )


def new_name(script: Path) -> str:
    """Return a job name nobody has: the script, the local time, four random hex digits."""
    return job_name(script.name, now=clock.now().astimezone(), salt=secrets.token_hex(2))


def place(api: Api, order: Order, sources: Mapping[str, upload.Source]) -> None:
    """Upload and submit an order; what is brought along is said on stderr."""
    began = time.monotonic()
    size = sum(source.size for source in sources.values())
    with bytes_bar("uploading", size) as progress:
        submit(api, order, sources, progress)
    for channel, source in sources.items():
        files = output.plural(len(source.files), "file")
        output.note(f"data {channel}: {files}, {output.size(source.size)}")
    took = output.span(time.monotonic() - began)
    output.note(f"job {order.name}  submitted in {took}")


def watch(api: Api, name: str, data_dir: Path | None, *, quiet: bool) -> int:
    """Show a job until it is over, then how it ended; return the exit code."""
    view = live.view_for(describe(api, name), quiet=quiet)
    ended = live.watch(name, view, session.reconnect(data_dir), quiet=quiet)
    text = live.summary(session.reconnect(data_dir)(), ended)
    print(text.splitlines()[0] if quiet and exits.of_job(ended) == exits.OK else text)
    sys.stdout.flush()
    return exits.of_job(ended)
