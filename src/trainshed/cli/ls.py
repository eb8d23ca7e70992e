"""``trainshed ls``: the list of jobs."""

from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any

import typer

from trainshed.app import clock
from trainshed.cli import output, session
from trainshed.cli.options import DataDir, Output
from trainshed.cli.output import Format
from trainshed.client import references


def ls(
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="Show at most so many.")
    ] = 20,
    status: Annotated[
        str,
        typer.Option(
            "--status", metavar="STATUS", help="Only with this status, such as InProgress."
        ),
    ] = "",
    name: Annotated[
        str, typer.Option("--name", metavar="TEXT", help="Only names that contain this.")
    ] = "",
    shown_as: Output = Format.TABLE,
    data_dir: DataDir = None,
) -> None:
    """List jobs, the newest first."""
    filters = {"StatusEquals": status, "NameContains": name}
    asked = {
        "MaxResults": min(limit, 100),
        **{key: value for key, value in filters.items() if value},
    }
    api = session.connect(data_dir)
    jobs = list(islice(references.summaries(api, asked), limit))
    match shown_as:
        case Format.JSON:
            print(output.dumps(jobs))
        case Format.JSONL:
            for job in jobs:
                print(output.dumps(job, indent=None))
        case Format.NAME:
            for job in jobs:
                print(job["TrainingJobName"])
        case Format.TABLE | Format.WIDE:
            _table(jobs, wide=shown_as is Format.WIDE)


def _table(jobs: list[Mapping[str, Any]], *, wide: bool) -> None:
    if not jobs:
        output.note("no jobs yet; try: trainshed run SCRIPT, or trainshed demo")
        return
    columns = ["NAME", "STATUS", "CREATED", "TOOK"] + (["PHASE", "ARN"] if wide else [])
    print(output.table(columns, [_row(job, wide) for job in jobs]))


def _row(job: Mapping[str, Any], wide: bool) -> list[str]:
    now = clock.now()
    created = float(job["CreationTime"])
    over = job["TrainingJobStatus"] in {"Completed", "Failed", "Stopped"}
    last = job.get("LastModifiedTime", created) if over else now.timestamp()
    took = output.span(float(job.get("TrainingEndTime", last)) - created)
    row = [
        job["TrainingJobName"],
        output.status(job["TrainingJobStatus"]),
        output.moment(created) if wide else output.ago(created, now),
        took,
    ]
    return row + ([job.get("SecondaryStatus", ""), job["TrainingJobArn"]] if wide else [])
