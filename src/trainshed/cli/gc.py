"""``trainshed gc``: what is left of jobs that are over is told, and removed."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from trainshed.cli import exits, output, session
from trainshed.cli.options import DataDir
from trainshed.domain import sizes


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell only, remove nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The findings as JSON.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Look for what is left of jobs that are over, and remove it.

    Exit code 0: nothing is left; 1: something is still there.
    """
    api = session.connect(data_dir)
    found = api.call("trainshed", "CollectGarbage", {"DryRun": dry_run})["Findings"]
    if as_json:
        print(output.dumps(found))
    elif not found:
        print("nothing is left of jobs that are over")
    else:
        print(output.table(["KIND", "NAME", "SIZE", "WHY", ""], [_row(each) for each in found]))
    if any(not finding["Removed"] for finding in found):
        raise typer.Exit(exits.ERROR)


def _row(finding: Mapping[str, Any]) -> list[str]:
    size = finding.get("Bytes")
    where = f"{finding['Backend']}: " if "Backend" in finding else ""
    done = "removed" if finding["Removed"] else finding.get("Trouble", "still there")
    return [
        finding["Kind"],
        where + finding["Name"],
        "" if size is None else sizes.written(size),
        finding.get("Reason", ""),
        done,
    ]
