"""``trainshed drill``: a node of a running job is taken away, and what came of it is told."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from trainshed.app import clock
from trainshed.cli import exits, output, parsing, session
from trainshed.cli.options import DataDir, Job, spread
from trainshed.client import nodes, references
from trainshed.client.drills import Asked, Drills

_NOTICE = 120
_EVERY = "10s"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillOptions:
    """What can be typed after ``trainshed drill``."""

    job: Job
    sudden: Annotated[
        bool, typer.Option("--sudden", help="Without a notice: the node is gone at once.")
    ] = False
    notice: Annotated[
        int | None,
        typer.Option(
            "--notice",
            metavar="SECONDS",
            min=1,
            max=3600,
            help=f"From the notice to the loss [default: {_NOTICE}].",
        ),
    ] = None
    node: Annotated[
        str, typer.Option("--node", metavar="NODE", help="Which: 2, or algo-2 [default: 1].")
    ] = ""
    times: Annotated[
        int, typer.Option("--times", metavar="N", min=1, max=1000, help="So often.")
    ] = 1
    every: Annotated[
        str, typer.Option("--every", metavar="TIME", help="Let it train for so long in between.")
    ] = _EVERY
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per drill.")] = False
    data_dir: DataDir = None


@spread(DrillOptions)
def drill(options: DrillOptions) -> None:
    """Take a node of a running job away, as spot capacity goes, and tell whether it went on.

    Its program is told with SIGTERM, its checkpoints are kept, and after the notice's time the node
    is gone. The next attempt should go on from the checkpoint. Exit code 0: it did, each time;
    1: it began from nothing, or was over before. A job that does not train yet is waited for.
    """
    if options.sudden and options.notice is not None:
        raise typer.BadParameter("a sudden loss comes without a notice: --sudden or --notice")
    every = parsing.duration(options.every).total_seconds()
    api = session.ensure(options.data_dir)[0].api(clock.now)
    found = references.resolve(api, options.job)
    name = found["TrainingJobName"]
    drills = Drills(name, session.reconnect(options.data_dir), sleep=time.sleep, away=_away)
    notice = None if options.sudden else options.notice or _NOTICE
    asked = Asked(notice=notice, host=nodes.host(options.node, found))
    well = True
    if found["SecondaryStatus"] != "Training":
        output.note(f"{name} does not train yet; waiting until it does")
    drills.ready(0.0)
    for number in range(options.times):
        if number and not drills.ready(every):
            output.note(f"{name} is over, after {output.plural(number, 'drill')}")
            well = False
            break
        well &= _one(drills, asked, name, as_json=options.as_json)
    raise typer.Exit(exits.OK if well else exits.ERROR)


def _one(drills: Drills, asked: Asked, name: str, *, as_json: bool) -> bool:
    """Carry one drill out and tell of it; return whether the job went on from a checkpoint."""
    told = drills.ask(asked)
    attempt, host = told["AttemptNumber"], told["Host"]
    how = "a sudden loss" if asked.notice is None else f"a notice of {asked.notice} s"
    output.note(f"{name}: attempt {attempt}, {host}: {how}")
    done = drills.outcome(attempt, _say_interrupted)
    if as_json:
        print(output.dumps({"TrainingJobName": name, **done}, indent=None), flush=True)
    else:
        print(said(done), flush=True)
    return bool(done["Status"] == "Resumed")


def said(drill: Mapping[str, Any]) -> str:
    """Return what became of a drill, in a line or two."""
    match drill["Status"]:
        case "Resumed":
            made = drill.get("RestoredTime")
            which = f" of {output.moment(made)}" if made else ""
            files = output.plural(drill.get("RestoredFiles", 0), "file")
            first = f"resumed      from its checkpoint{which} ({files})"
        case "StartedOver":
            first = (
                "NOT resumed  the next attempt began from nothing\n"
                "do           have it write checkpoints: trainshed run --checkpoints s3://…"
            )
        case _:
            return "NOT resumed  the job ended before its next attempt trained"
    lost = drill.get("LostSeconds")
    gap = drill.get("GapSeconds")
    lines = [first]
    if lost is not None:
        lines.append(f"work lost    {output.span(lost)}")
    if gap is not None:
        lines.append(f"gap          {output.span(gap)}")
    return "\n".join(lines)


def _say_interrupted(drill: Mapping[str, Any]) -> None:
    if drill["Status"] == "Interrupted":
        output.note("interrupted; waiting for the next attempt")


def _away() -> None:
    output.note("the server does not answer; waiting for it")
