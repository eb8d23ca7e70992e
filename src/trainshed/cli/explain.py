"""``trainshed explain``: why a job is where it is, and where its time went."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from trainshed.cli import exits, output, session
from trainshed.cli.options import DataDir, Job
from trainshed.client import references
from trainshed.client.api import Api
from trainshed.client.errors import ServerUnreachable
from trainshed.domain import sizes

_BAR: Final = 40
"""Columns of a bar that is as long as the job."""
_LOOK_SECONDS: Final = 1.0
_NL: Final = "\n"
_OVER: Final = frozenset({"Completed", "Failed", "Stopped"})
_COLOURS: Final = {
    "Queue": "33",
    "Capacity": "33",
    "Interrupted": "31",
    "Training": "32",
}
"""ANSI colours of bars; the others are cyan."""

Explained = Mapping[str, Any]
"""ExplainTrainingJob's answer."""


def explain(
    job: Job,
    follows: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job is over.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All of it, as JSON.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Tell what a job waits for, where its time went, what failed last and what to do about it."""
    api = session.connect(data_dir)
    name = references.resolve(api, job)["TrainingJobName"]
    found = _ask(api, name)
    if follows:
        try:
            _follow(found, name, session.reconnect(data_dir), as_json=as_json)
        except KeyboardInterrupt:
            raise typer.Exit(exits.INTERRUPTED) from None
    elif as_json:
        print(output.dumps(found))
    else:
        print("\n".join(lines_of(found)))


def _ask(api: Api, name: str) -> Explained:
    return api.call("trainshed", "ExplainTrainingJob", {"TrainingJobName": name})


def _follow(found: Explained, name: str, connect: Callable[[], Api], *, as_json: bool) -> None:
    """Show a job until it is over: anew in a terminal, else what is new of it."""
    repaints = output.fancy(sys.stdout) and not as_json
    shown = 0
    told = ""
    while True:
        over = found["TrainingJobStatus"] in _OVER
        lines = lines_of(found)
        if as_json:
            print(output.dumps(found, indent=None), flush=True)
        elif repaints:
            back = f"\033[{shown}F\033[J" if shown else ""
            print(back + "\n".join(lines), flush=True)
            shown = len(lines)
        elif over:
            print("\n".join(lines), flush=True)
        elif (now := _now(found)) != told:
            told = now
            print(now, flush=True)
        if over:
            return
        time.sleep(_LOOK_SECONDS)
        found = _ask_again(name, connect)


def _ask_again(name: str, connect: Callable[[], Api]) -> Explained:
    noted = False
    while True:
        try:
            return _ask(connect(), name)
        except ServerUnreachable:
            if not noted:
                output.note("the server does not answer; waiting for it")
            noted = True
            time.sleep(_LOOK_SECONDS)


def _now(found: Explained) -> str:
    """Return where a job stands, in a line."""
    text = found.get("WaitsFor", {}).get("Message", "")
    return f"{found['SecondaryStatus']:<12} {text}".rstrip()


def lines_of(found: Explained) -> list[str]:
    """Return what is shown of a job."""
    facts = [*_standing(found), *_troubles(found), *_sums(found)]
    width = max(len(key) for key, _ in facts) + 2
    lines = [
        line
        for key, text in facts
        for line in f"{key:<{width}}{text.replace(_NL, _NL + ' ' * width)}".splitlines()
    ]
    lines += ["", "timeline", *_timeline(found)]
    attempts = found["Attempts"]
    if len(attempts) > 1 or (attempts and "LastFailure" in found):
        lines += ["", "attempts", *_attempts(attempts)]
    return lines


def _standing(found: Explained) -> list[tuple[str, str]]:
    name = found["TrainingJobName"]
    facts = [
        ("name", name),
        ("status", f"{output.status(found['TrainingJobStatus'])}  ({found['SecondaryStatus']})"),
    ]
    if "Project" in found:
        facts.append(("project", found["Project"]))
    if found["Priority"] != 50 or found["Preemptible"]:
        also = ", preemptible" if found["Preemptible"] else ""
        facts.append(("priority", f"{found['Priority']}{also}"))
    if "Warning" in found:
        facts.append(("warning", found["Warning"]))
    if waits := found.get("WaitsFor"):
        facts.append(("waits for", f"{waits['Message']}  (for {output.span(waits['Seconds'])})"))
        facts += _advice(waits)
    return facts


def _troubles(found: Explained) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    if failure := found.get("LastFailure"):
        facts.append(("went wrong", failure["Reason"].strip()))
        facts += _advice(failure)
    if kept := found.get("Checkpoints"):
        facts.append(("checkpoints", _checkpoints(kept)))
        if trouble := kept.get("Trouble"):
            facts.append(("not kept", trouble))
            facts += _advice(kept)
    if drill := found.get("Drill"):
        facts.append(("last drill", f"{drill['Status']}{_of_drill(drill)}"))
    return facts


def _of_drill(drill: Mapping[str, Any]) -> str:
    if "LostSeconds" not in drill:
        return ""
    gap = drill.get("GapSeconds", 0.0)
    return f": {output.span(drill['LostSeconds'])} of work lost, gap {output.span(gap)}"


def _checkpoints(kept: Mapping[str, Any]) -> str:
    told = [kept["S3Uri"], sizes.files(kept["Files"], kept["Bytes"]) + " kept"]
    if "KeptTime" in kept:
        told.append(f"last at {output.moment(kept['KeptTime'])}")
    if "RestoredFiles" in kept:
        told.append(f"went on from {output.plural(kept['RestoredFiles'], 'file')}")
    return ", ".join(told)


def _advice(holder: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [("" if number else "do", line) for number, line in enumerate(holder.get("Advice", ()))]


def _sums(found: Explained) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    if "TrainingTimeInSeconds" in found:
        told = [
            f"{output.span(found['TrainingTimeInSeconds'])} on nodes and between",
            f"{output.span(found['BillableTimeInSeconds'])} billable",
        ]
        if lost := found.get("LostTimeInSeconds"):
            told.append(f"{output.span(lost)} of work lost")
        facts.append(("time", ", ".join(told)))
    if "SpotSavingPercent" in found:
        facts.append(("spot", f"saves {found['SpotSavingPercent']:g} % of the time"))
    if "Cost" in found:
        facts.append(("cost", _money(found["Cost"])))
    return facts


def _timeline(found: Explained) -> list[str]:
    phases = _together(found["Phases"])
    start = float(found["CreationTime"])
    whole = max((each["StartTime"] + each["Seconds"] for each in phases), default=start) - start
    several = len({each["AttemptNumber"] for each in phases if "AttemptNumber" in each}) > 1
    rows = []
    for each in phases:
        row = [f"  {each['Phase']}", output.span(each["Seconds"])]
        row.append(_whose(each, several))
        row.append("" if "EndTime" in each else "…")
        row.append(_money(each["Cost"]) if "Cost" in each else "")
        if output.fancy(sys.stdout):
            row.insert(1, _bar(each, start, whole))
        rows.append(row)
    return output.table([""] * len(rows[0]), rows).splitlines()[1:] if rows else []


def _together(phases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the phases with those of the nodes of an attempt as one: from the first to the last.

    ``Host`` tells how many they are and which one took longest.
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for number, each in enumerate(phases):
        alone = None if "Host" in each else number
        groups.setdefault((each.get("AttemptNumber"), each["Phase"], alone), []).append(each)
    return [_joined(group) for group in groups.values()]


def _joined(group: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = dict(group[0])
    if len(group) == 1:
        return first
    longest = max(group, key=lambda each: float(each["Seconds"]))
    first["Host"] = f"{len({each['Host'] for each in group})} nodes, longest {longest['Host']}"
    first["Seconds"] = max(each["StartTime"] + each["Seconds"] for each in group) - min(
        each["StartTime"] for each in group
    )
    if any("EndTime" not in each for each in group):
        first.pop("EndTime", None)
    if all("Cost" in each for each in group):
        first["Cost"] = sum(each["Cost"] for each in group)
    return first


def _whose(phase: Mapping[str, Any], several: bool) -> str:
    attempt = f"attempt {phase['AttemptNumber']}" if several and "AttemptNumber" in phase else ""
    return f"{attempt}  {phase.get('Host', '')}".strip()


def _bar(phase: Mapping[str, Any], start: float, whole: float) -> str:
    """Return a bar that lies where the phase lies in the job's time."""
    if whole <= 0:
        return " " * _BAR
    begin = min(_BAR - 1, int(_BAR * (phase["StartTime"] - start) / whole))
    length = max(1, min(_BAR - begin, round(_BAR * phase["Seconds"] / whole)))
    sign = "█" if output.unicode_out(sys.stdout) else "#"
    colour = _COLOURS.get(phase["Phase"], "36")
    rest = " " * (_BAR - begin - length)
    return f"\033[{colour}m{' ' * begin}{sign * length}{rest}\033[0m"


def _attempts(attempts: Sequence[Mapping[str, Any]]) -> list[str]:
    columns = ["  NO", "OUTCOME", "TOOK", "TRAINED", "LOST", "GAP", "WHERE", "FROM"]
    rows = [
        [
            f"  {each['AttemptNumber']}",
            each["Outcome"],
            output.span(each["Seconds"]),
            _span(each, "TrainingSeconds"),
            _span(each, "LostSeconds"),
            _span(each, "GapSeconds"),
            f"{each['Backend']} {each.get('InstanceType', '')}".strip(),
            output.plural(each["RestoredFiles"], "file") if "RestoredFiles" in each else "",
        ]
        for each in attempts
    ]
    return output.table(columns, rows).splitlines()


def _money(amount: float) -> str:
    return f"{amount:.2f}" if amount >= 1 else f"{amount:.4f}"


def _span(holder: Mapping[str, Any], member: str) -> str:
    return output.span(holder[member]) if member in holder else ""
