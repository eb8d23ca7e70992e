"""``trainshed pull``: a job's model, here."""

from pathlib import Path
from typing import Annotated

import typer

from trainshed.cli import output, session
from trainshed.cli.options import DataDir, Job
from trainshed.cli.progress import bytes_bar
from trainshed.client import fetch, references


def pull(
    job: Job,
    into: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--dir",
            metavar="DIR",
            help="Where to put it [default: a folder named as the job].",
        ),
    ] = None,
    with_output: Annotated[
        bool, typer.Option("--output", help="Also what it wrote to SM_OUTPUT_DATA_DIR.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Fetch a job's model, unpacked, and print where its files are."""
    api = session.connect(data_dir)
    found = references.resolve(api, job)
    target = (into or Path(found["TrainingJobName"])).resolve()
    with bytes_bar("fetching", None) as progress:
        files = fetch.fetch(api, fetch.model_uri(found), target, progress)
        if with_output:
            files += fetch.fetch(api, fetch.output_uri(found), target / "output", progress)
    for path in files:
        print(path)
    output.note(f"{output.plural(len(files), 'file')} in {target}")
