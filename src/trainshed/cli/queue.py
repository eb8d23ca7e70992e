"""``trainshed queue``: who waits for nodes, and who has them meanwhile."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from trainshed.app import clock
from trainshed.cli import output, session
from trainshed.cli.options import DataDir

_PAGE: Final = 1000
_DEFAULT: Final = "default"
"""What the project of jobs that name none is called."""


def queue(
    project: Annotated[
        str | None, typer.Option("--project", metavar="NAME", help="Only this project's jobs.")
    ] = None,
    backend: Annotated[
        str | None, typer.Option("--backend", metavar="NAME", help="Only jobs for this backend.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="Show at most so many.")
    ] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="All of it, as JSON.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show who waits for nodes, in which order and what for, and who has them meanwhile."""
    api = session.connect(data_dir)
    asked = {"Project": project, "Backend": backend}
    params: dict[str, Any] = {key: text for key, text in asked.items() if text is not None}
    params["MaxResults"] = min(limit, _PAGE)
    found = api.call("trainshed", "DescribeQueue", params)
    while found.get("NextToken") and len(found["WaitingJobs"]) < limit:
        params["NextToken"] = found.pop("NextToken")
        page = api.call("trainshed", "DescribeQueue", params)
        found = page | {"WaitingJobs": found["WaitingJobs"] + page["WaitingJobs"]}
    more = bool(found.pop("NextToken", None))
    found["WaitingJobs"] = found["WaitingJobs"][:limit]
    if as_json:
        print(output.dumps(found))
        return
    _show(found)
    if more:
        output.note("and more: -n shows them")


def _show(found: Mapping[str, Any]) -> None:
    now = clock.now().timestamp()
    if found["WaitingJobs"]:
        columns = ["POS", "JOB", "PROJECT", "PRIO", "BACKEND", "NODES", "WAITS", "FOR"]
        print(output.table(columns, [_waiting(job, now) for job in found["WaitingJobs"]]))
    else:
        print("nobody waits")
    if found["Projects"]:
        print()
        columns = ["PROJECT", "RUNNING", "WAITING", "NODES", "SHARE"]
        print(output.table(columns, [_project(each) for each in found["Projects"]]))
    print()
    columns = ["BACKEND", "NODES", "WAITING"]
    print(output.table(columns, [_backend(each) for each in found["Backends"]]))


def _waiting(job: Mapping[str, Any], now: float) -> list[str]:
    return [
        str(job["Position"]),
        job["TrainingJobName"],
        job.get("Project", _DEFAULT),
        str(job["Priority"]),
        job["Backend"],
        str(job["Nodes"]),
        output.span(now - job["SinceTime"]),
        job["Reason"].removeprefix("Training job waiting for "),
    ]


def _project(project: Mapping[str, Any]) -> list[str]:
    share = project.get("Share")
    return [
        project["Project"],
        str(project["RunningJobs"]),
        str(project["WaitingJobs"]),
        str(project["NodesInUse"]),
        "" if share is None else f"{share:.0%}",
    ]


def _backend(backend: Mapping[str, Any]) -> list[str]:
    total = backend.get("NodesTotal", "?")
    return [
        backend["Backend"],
        f"{backend['NodesInUse']} of {total}",
        str(backend["WaitingJobs"]),
    ]
