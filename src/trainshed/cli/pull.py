"""``trainshed pull``: a job's model, here; or every model, as long as it is let."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from trainshed.app import clock
from trainshed.cli import aws, exits, output, parsing, session
from trainshed.cli.options import ByEnvironment, DataDir, Output, spread
from trainshed.cli.output import Format
from trainshed.cli.progress import bytes_bar
from trainshed.client import arrivals, fetch, references
from trainshed.client.arrivals import Arrival
from trainshed.client.download import Download
from trainshed.client.errors import ApiError
from trainshed.client.follow_models import Away, Back, ModelFollower, News, Waiting, Wanted
from trainshed.domain import sizes

_STATUSES: Final = {"Completed", "Stopped", "Failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PullOptions:
    """What can be typed after ``trainshed pull``."""

    job: Annotated[
        str, typer.Argument(metavar="[JOB]", help="Name, unique prefix, @last or @-2.")
    ] = ""
    into: Annotated[
        Path | None,
        typer.Option(
            "--to",
            "--dir",
            metavar="DIR",
            help="Where to put it [default: a folder named as the job; with --follow: models].",
        ),
    ] = None
    with_output: Annotated[
        bool, typer.Option("--with-output", help="Also what it wrote to SM_OUTPUT_DATA_DIR.")
    ] = False
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Bring the model of every job that gets over.")
    ] = False
    once: Annotated[
        bool, typer.Option("--once", help="With --follow: bring what there is now, and end.")
    ] = False
    name_contains: Annotated[
        str, typer.Option("--name-contains", metavar="TEXT", help="Only of jobs named so.")
    ] = ""
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status", metavar="STATUS", help="Completed (the default), Stopped, Failed; repeat."
        ),
    ] = None
    existing: Annotated[
        bool, typer.Option("--existing", help="At the first start: of all jobs that are over too.")
    ] = False
    since: Annotated[
        str,
        typer.Option("--since", metavar="TIME", help="At the first start: of the last 2h, 7d too."),
    ] = ""
    every: Annotated[
        str, typer.Option("--every", metavar="TIME", help="How often to look for more.")
    ] = "10s"
    shown_as: Output = Format.TABLE
    by_environment: ByEnvironment = False
    data_dir: DataDir = None


@spread(PullOptions)
def pull(options: PullOptions) -> None:
    """Fetch a job's model, unpacked, and print where its files are.

    Who is interrupted, or killed, runs the same command again: it goes on from there.

    With --follow it is a service: every model comes to DIR/JOB, whole, once, whatever is restarted
    meanwhile. What was brought is written in DIR/.trainshed-pull.jsonl. SIGTERM ends it.
    """
    if bool(options.job) == options.follow:
        raise typer.BadParameter("name a JOB, or give --follow")
    if options.follow:
        _follow(options)
    else:
        _pull(options)


def _pull(options: PullOptions) -> None:
    api = session.reach(options.data_dir, options.by_environment)
    found = references.resolve(api, options.job)
    name = found["TrainingJobName"]
    target = (options.into or Path(name)).resolve()
    with bytes_bar("fetching", None) as progress:
        how = Download(api=api, progress=progress)
        files = fetch.fetch_model(how, found, target)
        if options.with_output:
            files += _output(how, found, target / "output")
    if options.shown_as in {Format.JSON, Format.JSONL}:
        facts = {
            "job": name,
            "status": found["TrainingJobStatus"],
            "model": fetch.model_uri(found),
            "folder": str(target),
            "files": [str(path) for path in files],
        }
        print(output.dumps(facts, indent=2 if options.shown_as is Format.JSON else None))
        return
    for path in files:
        print(path)
    output.note(f"{output.plural(len(files), 'file')} in {target}")


def _output(how: Download, job: dict[str, Any], into: Path) -> list[Path]:
    try:
        return fetch.fetch(how, fetch.output_uri(job), into)
    except ApiError as error:
        if error.status != 404:
            raise
        output.note(f"{job['TrainingJobName']} has written nothing to SM_OUTPUT_DATA_DIR")
        return []


def _follow(options: PullOptions) -> None:
    statuses = tuple(options.status or ["Completed"])
    if unknown := set(statuses) - _STATUSES:
        raise typer.BadParameter(f"--status {unknown.pop()!r} is none of {', '.join(_STATUSES)}")
    since = 0.0 if options.existing else None
    if options.since:
        since = (clock.now() - parsing.duration(options.since)).timestamp()
    wanted = Wanted(statuses=statuses, name_contains=options.name_contains, since=since)
    into = (options.into or Path("models")).resolve()
    connect = (
        (lambda: aws.connect(clock.now))
        if options.by_environment
        else session.reconnect(options.data_dir)
    )
    ending = _Ending()
    with arrivals.opened(into) as state:
        follower = ModelFollower(
            state=state,
            wanted=wanted,
            connect=connect,
            sleep=time.sleep,
            progress=lambda moved: None,
            every=parsing.duration(options.every).total_seconds(),
            whole=ending.put_off,
        )
        show = _shown_as(options.shown_as, into)
        if not options.once:
            output.note(f"bringing models to {into}; Ctrl-C or SIGTERM ends it")
        late = False
        for news in follower.look() if options.once else follower.follow():
            show(news)
            late = late or isinstance(news, Waiting)
    if late:
        raise typer.Exit(exits.ERROR)


class _Ending:
    """SIGTERM and Ctrl-C: they end us at once, for what was written so far is where it goes on."""

    def __init__(self) -> None:
        self._whole = False
        self._asked = 0
        signal.signal(signal.SIGTERM, self._hear)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._hear)

    @contextmanager
    def put_off(self) -> Iterator[None]:
        """End behind this block, not in it; who asks twice need not wait for that."""
        self._whole = True
        try:
            yield
        finally:
            self._whole = False
        if self._asked:
            self._end(self._asked)

    def _hear(self, number: int, _: object) -> None:
        if self._whole and not self._asked:
            self._asked = number
        else:
            self._end(number)

    @staticmethod
    def _end(number: int) -> None:
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        output.note("ended; what was begun goes on at the next start")
        raise SystemExit(exits.OK)


def _shown_as(shown_as: Format, into: Path) -> Callable[[News], None]:
    def show(news: News) -> None:
        match news:
            case Arrival():
                _show_arrival(news, shown_as, into)
            case Away(why=why):
                output.note(f"the server does not answer; trying again until it does ({why})")
            case Back():
                output.note("the server answers again")
            case Waiting(job=job, error=error):
                output.note(f"{job}: not brought yet, trying again at every look: {error}")

    return show


def _show_arrival(arrival: Arrival, shown_as: Format, into: Path) -> None:
    folder = str(into / arrival.folder) if arrival.folder else ""
    if shown_as in {Format.JSON, Format.JSONL}:
        print(output.dumps(asdict(arrival) | {"folder": folder}, indent=None), flush=True)
    elif arrival.problem:
        output.note(f"{arrival.job}: {arrival.problem}")
    else:
        print(folder, flush=True)
        count = output.plural(arrival.files, "file")
        output.note(f"{arrival.job}: {count}, {sizes.written(arrival.bytes)}")
