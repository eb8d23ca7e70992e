"""``trainshed run``: a script or an image becomes a job, and is watched until it is over."""

import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from trainshed.app import clock
from trainshed.cli import exits, live, output, parsing, session
from trainshed.cli.options import DataDir, Quiet, behind_dashes, spread
from trainshed.cli.progress import bytes_bar
from trainshed.client import upload
from trainshed.client.api import Api
from trainshed.client.errors import ClientError
from trainshed.client.order import (
    CHANNEL_OPTIONS,
    DEFAULT_INSTANCE,
    Order,
    image_stem,
    job_name,
)
from trainshed.client.references import describe
from trainshed.client.server import Server
from trainshed.client.standing import Standing
from trainshed.client.submit import bucket_of, submit
from trainshed.domain import sizes
from trainshed.domain.names import PYTHON_IMAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What can be typed after ``trainshed run``."""

    context: typer.Context
    script: Annotated[
        Path | None,
        typer.Argument(
            metavar="SCRIPT", help="The program, such as train.py; none: the image's own."
        ),
    ] = None
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="-- ARGS",
            help="With a script '--lr 0.1', the same as --hp lr=0.1; else the image's arguments.",
        ),
    ] = None
    image: Annotated[
        str, typer.Option("--image", metavar="IMAGE", help="Container image; means --on docker.")
    ] = ""
    entrypoint: Annotated[
        str,
        typer.Option(
            "--entrypoint", metavar="PROGRAM", help="What to run in the image [default: its own]."
        ),
    ] = ""
    on: Annotated[str, typer.Option("--on", metavar="BACKEND", help="Where: docker, local, ….")] = (
        ""
    )
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="[NAME=]PLACE[:OPTIONS]",
            help="A channel of data [NAME: training]; repeat.",
        ),
    ] = None
    input_mode: Annotated[
        str, typer.Option("--input-mode", metavar="MODE", help="File, FastFile or Pipe.")
    ] = "File"
    checkpoints: Annotated[
        str,
        typer.Option(
            "--checkpoints", metavar="s3://…", help="Where /opt/ml/checkpoints is kept, and from."
        ),
    ] = ""
    hp: Annotated[
        list[str] | None, typer.Option("--hp", metavar="K=V", help="A hyperparameter; repeat.")
    ] = None
    nodes: Annotated[int, typer.Option("--nodes", metavar="N", min=1, help="How many nodes.")] = 1
    instance: Annotated[
        str,
        typer.Option(
            "--instance",
            metavar="TYPE[,TYPE]",
            help="Instance type of each node, such as g5.xlarge; further ones would do too.",
        ),
    ] = DEFAULT_INSTANCE
    shm: Annotated[
        str,
        typer.Option("--shm", metavar="SIZE", help="Size of /dev/shm in containers, such as 4g."),
    ] = ""
    max_time: Annotated[
        str, typer.Option("--max-time", metavar="TIME", help="Stop it after 90m, 2h, 1d, ….")
    ] = "1d"
    spot: Annotated[
        bool, typer.Option("--spot", help="On nodes that may be taken back at any time.")
    ] = False
    max_wait: Annotated[
        str,
        typer.Option(
            "--max-wait",
            metavar="TIME",
            help="Spot: over after this, waiting included [default: twice --max-time].",
        ),
    ] = ""
    retries: Annotated[
        int,
        typer.Option(
            "--retries",
            metavar="N",
            min=0,
            max=30,
            help="Further attempts when the platform fails.",
        ),
    ] = 0
    project: Annotated[
        str, typer.Option("--project", metavar="NAME", help="Whose share and quota it counts for.")
    ] = ""
    priority: Annotated[
        int | None,
        typer.Option("--priority", metavar="N", min=0, max=99, help="99 goes first [default: 50]."),
    ] = None
    preemptible: Annotated[
        bool, typer.Option("--preemptible", help="More important jobs may have its nodes.")
    ] = False
    keep_alive: Annotated[
        str,
        typer.Option("--keep-alive", metavar="TIME", help="Keep its nodes warm for the next job."),
    ] = ""
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
    """Train with a script, an image, or a script in an image.

    A script's folder is packed (.gitignore and .trainshedignore are honoured), local data is
    uploaded, and the job is watched until it is over: exit code 0 completed, 3 failed, 4 stopped,
    5 time limit. Ctrl-C leaves the job running; a second one within 2 s stops it.

    PLACE is a file or folder of this machine, or an address: s3://, gs://, az://, file://. OPTIONS
    say how a channel comes: train=s3://b/p/:mode=Pipe,distribution=ShardedByS3Key. There are mode,
    distribution, type, compression, wrapper, shuffle (a seed) and attributes (a+b).

    Without a script the image runs as "docker run IMAGE train", with --entrypoint and ARGS as
    "docker run --entrypoint PROGRAM IMAGE ARGS".
    """
    order = _order(options)
    sources = order.sources()
    order.request(bucket="checked", region="before")  # refuse before a server starts
    found, _ = session.ensure(options.data_dir)
    order = replace(order, backend=_backend(options, found))
    api = found.api(clock.now)
    if options.dry_run:
        request = order.request(bucket=bucket_of(api), region=api.credentials.region)
        print(output.dumps(request))
        return
    place(api, order, sources)
    if options.detach:
        print(order.name)
        output.note(f"next: trainshed logs -f {order.name}")
        return
    raise typer.Exit(watch(api, order.name, options.data_dir, quiet=options.quiet))


def _order(options: RunOptions) -> Order:
    script, words = _program(options)
    channels = parsing.channels(options.data or ())
    hyperparameters = (
        parsing.hyperparameters(options.hp or (), words)
        if script is not None
        else parsing.pairs(options.hp or (), parsing.A_HYPERPARAMETER)
    )
    return Order(
        name=options.name or new_name(script or Path(image_stem(options.image or PYTHON_IMAGE))),
        script=script,
        source=options.source,
        entrypoint=(options.entrypoint,) if options.entrypoint else (),
        arguments=() if script is not None else tuple(words),
        shm=parsing.size(options.shm) if options.shm else "",
        leave_out=(session.folder(options.data_dir),),
        data={name: place for name, (place, _) in channels.items()},
        channel_options={name: said for name, (_, said) in channels.items() if said},
        input_mode=parsing.one_of(options.input_mode, CHANNEL_OPTIONS["mode"], "--input-mode"),
        checkpoints=options.checkpoints,
        hyperparameters=hyperparameters,
        environment=parsing.pairs(options.env or (), "a variable like KEY=value"),
        metrics=parsing.metrics(options.metric or ()),
        tags=parsing.pairs(options.tag or (), "a tag like key=value"),
        image=options.image or PYTHON_IMAGE,
        instance=options.instance,
        nodes=options.nodes,
        max_time=parsing.duration(options.max_time),
        standing=_standing(options),
    )


def _standing(options: RunOptions) -> Standing:
    """Return how the job stands among others.

    Raises:
        typer.BadParameter: --max-wait is said of a job that is not for spot nodes.
    """
    if options.max_wait and not options.spot:
        raise typer.BadParameter("--max-wait is for jobs on spot nodes; say --spot too")
    return Standing(
        project=options.project,
        priority=options.priority,
        preemptible=options.preemptible,
        spot=options.spot,
        max_wait=parsing.duration(options.max_wait) if options.max_wait else None,
        retries=options.retries,
        keep_alive=parsing.duration(options.keep_alive) if options.keep_alive else timedelta(0),
    )


def _program(options: RunOptions) -> tuple[Path | None, list[str]]:
    """Return the script, None where a program of the image runs, and the arguments.

    Raises:
        typer.BadParameter: there is nothing to run, or both.
    """
    behind = behind_dashes(options.context) or []
    words = options.arguments or []
    script = options.script
    if script is not None and len(words) < len(behind):  # it stands behind the dashes itself
        script, words = None, behind
    if script is None and not (options.image or options.entrypoint):
        raise typer.BadParameter("name a SCRIPT to run, or an image with --image")
    if script is None and options.source is not None:
        raise typer.BadParameter("--source is the folder of a SCRIPT, and none is named")
    if script is not None and options.entrypoint:
        raise typer.BadParameter(
            f"--entrypoint is for a program of the image, without a SCRIPT; what {script} should "
            f"be an argument of goes behind dashes: --entrypoint {options.entrypoint} -- {script}"
        )
    return script, words


def _backend(options: RunOptions, found: Server) -> str:
    """Return the backend that the job asks for; "" for the server's default.

    Who names an image means it to run: where the default backend runs none, one that does is asked
    for. ``--on`` goes before that.

    Raises:
        ClientError: the server has no such backend.
    """
    if options.on:
        if found.backends and options.on not in found.backends:
            listed = ", ".join(sorted(found.backends))
            raise ClientError(
                f"this server has no backend called {options.on!r}",
                f"name one that it has ({listed}), or look into: trainshed doctor",
            )
        return options.on
    if not options.image or found.backends.get(found.backend, "") != "process":
        return ""
    return next((name for name, runtime in found.backends.items() if runtime == "docker"), "")


def new_name(script: Path) -> str:
    """Return a job name nobody has: the script, the local time, four random hex digits."""
    return job_name(script.name, now=clock.now().astimezone(), salt=secrets.token_hex(2))


def place(api: Api, order: Order, sources: Mapping[str, upload.Source]) -> None:
    """Upload and submit an order; what is brought along is said on stderr."""
    began = time.monotonic()
    size = sum(source.size for source in sources.values())
    with bytes_bar("uploading", size) as progress:
        submit(upload.Upload(api=api, progress=progress, sleep=time.sleep), order, sources)
    for channel, source in sources.items():
        files = output.plural(source.count, "file")
        output.note(f"data {channel}: {files}, {sizes.written(source.size)}")
    took = output.span(time.monotonic() - began)
    where = f"on {order.backend}, " if order.backend else ""
    output.note(f"job {order.name}  {where}submitted in {took}")


def watch(api: Api, name: str, data_dir: Path | None, *, quiet: bool) -> int:
    """Show a job until it is over, then how it ended; return the exit code."""
    view = live.view_for(describe(api, name), quiet=quiet)
    ended = live.watch(name, view, session.reconnect(data_dir), quiet=quiet)
    text = live.summary(session.reconnect(data_dir)(), ended)
    print(text.splitlines()[0] if quiet and exits.of_job(ended) == exits.OK else text)
    sys.stdout.flush()
    return exits.of_job(ended)
