"""``trainshed artifacts``: what a job made, listed, read, brought here, without the rest of it."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from trainshed.cli import output, session
from trainshed.cli.options import ByEnvironment, DataDir, Job, Output
from trainshed.cli.output import Format
from trainshed.cli.progress import bytes_bar
from trainshed.client import artifacts as made
from trainshed.client import fetch, references
from trainshed.client.artifacts import Artifact, Group
from trainshed.client.download import Download
from trainshed.domain import sizes


def artifacts() -> None:
    """Look into what a job made: model/…, output/… and checkpoints/….

    A path that begins with none of them is in the model.
    """


def ls(
    job: Job,
    short: Annotated[
        bool, typer.Option("--short", "-s", help="Only the archives: they are not read.")
    ] = False,
    shown_as: Output = Format.TABLE,
    by_environment: ByEnvironment = False,
    data_dir: DataDir = None,
) -> None:
    """List a job's archives and the files in them, with their sizes."""
    api = session.reach(data_dir, by_environment)
    found = references.resolve(api, job)
    listed = []
    for group in made.groups(api, found):
        if shown_as in {Format.TABLE, Format.WIDE}:
            print(f"{group.name:<12} {sizes.written(group.size):>9}  {group.uri}")
        facts = _facts(group)
        files = [] if short else made.files(api, group)
        listed.append(facts | {"files": _listed(files, shown_as)})
        if shown_as is Format.JSONL:
            print(output.dumps(listed[-1], indent=None))
    if shown_as is Format.JSON:
        print(output.dumps(listed))
    if not listed:
        raise fetch.no_model(found)


def cat(
    job: Job,
    path: Annotated[str, typer.Argument(metavar="PATH", help="As artifacts ls shows it.")],
    by_environment: ByEnvironment = False,
    data_dir: DataDir = None,
) -> None:
    """Write one file of a job to standard output, as it comes."""
    api = session.reach(data_dir, by_environment)
    for piece in made.contents(api, references.resolve(api, job), path):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def get(
    job: Job,
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]", help="Files, folders [default: model and output]."),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Where [default: a folder named as the job]."),
    ] = None,
    shown_as: Output = Format.TABLE,
    by_environment: ByEnvironment = False,
    data_dir: DataDir = None,
) -> None:
    """Bring files of a job here, below model/, output/ and checkpoints/; print where they are."""
    api = session.reach(data_dir, by_environment)
    found = references.resolve(api, job)
    target = (into or Path(found["TrainingJobName"])).resolve()
    with bytes_bar("bringing", None) as progress:
        how = Download(api=api, progress=progress)
        came = made.bring_files(how, found, paths or [], target)
    if shown_as in {Format.JSON, Format.JSONL}:
        facts = {"folder": str(target), "files": [str(path) for path in came]}
        print(output.dumps(facts, indent=2 if shown_as is Format.JSON else None))
        return
    for path in came:
        print(path)


def _facts(group: Group) -> dict[str, Any]:
    return {"name": group.name, "address": group.uri, "size": group.size}


def _listed(files: Iterable[Artifact], shown_as: Format) -> list[dict[str, Any]]:
    """Print files as they come; for programs return them."""
    listed: list[dict[str, Any]] = []
    for file in files:
        match shown_as:
            case Format.JSON | Format.JSONL:
                listed.append({"path": file.path, "size": file.size})
            case Format.NAME:
                print(file.path)
            case Format.TABLE | Format.WIDE:
                print(f"  {sizes.written(file.size):>9}  {file.path}")
    return listed
