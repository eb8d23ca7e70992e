"""Shows a job while it runs: plain lines anywhere, one moving status line in a terminal."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import typer

from trainshed.app import clock
from trainshed.cli import exits, output
from trainshed.cli.hints import hint
from trainshed.client import fetch
from trainshed.client.api import Api
from trainshed.client.errors import ApiError
from trainshed.client.follow import Away, Event, Follower, Line, Metric, Over, Phase, follow
from trainshed.client.stores import Stores
from trainshed.domain import sizes

_SECOND_CHANCE: Final = 2.0
"""Seconds in which another Ctrl-C stops the job."""


_LAST: Final = frozenset(
    {"Completed", "Failed", "Stopped", "MaxRuntimeExceeded", "MaxWaitTimeExceeded"}
)
"""Phases that take no time."""


class View(Protocol):
    """Where a job's events are shown."""

    def __enter__(self) -> "View":
        """Begin."""
        ...

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        ...

    def show(self, event: Event) -> None:
        """Show one event."""
        ...


class PlainView:
    """Lines, one below the other; for pipes, files and screen readers."""

    def __init__(self, *, nodes: int, quiet: bool = False) -> None:
        self._nodes = nodes
        self._quiet = quiet

    def __enter__(self) -> "PlainView":
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was changed, nothing is put back."""

    def show(self, event: Event) -> None:
        """Print a phase or a line."""
        match event:
            case Away():
                output.note("the server does not answer; waiting for it")
            case _ if self._quiet:
                pass
            case Phase(status=status, message=message):
                print(f"  {output.status(status)}  {message}", flush=True)
            case Line():
                print(text_of(event, self._nodes), flush=True)
            case _:
                pass


class TerminalView:
    """Lines that scroll, and below them where the job stands: phases, seconds, last metrics."""

    def __init__(self, *, nodes: int, began: float) -> None:
        """Take the number of nodes and when the job was created (seconds since the epoch)."""
        # Measured: Rich costs as much as all else together, so only a terminal pays for it.
        from rich.live import Live  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        self._text = Text
        self._nodes = nodes
        self._began = began
        self._phases: list[Phase] = []
        self._metrics: dict[str, float] = {}
        self._away = False
        # Looked at now: while the status line moves, Rich stands in for stdout.
        self._signs = ("✓ ", "● ") if output.unicode_out(sys.stdout) else ("+ ", "* ")
        self._live = Live(get_renderable=self._status, refresh_per_second=8, transient=True)

    def __enter__(self) -> "TerminalView":
        """Begin the status line."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the status line away."""
        self._live.stop()

    def show(self, event: Event) -> None:
        """Scroll a line, or change the status line."""
        self._away = isinstance(event, Away)
        match event:
            case Phase(entered=True):
                self._phases.append(event)
            case Phase() if not self._phases or event.status == self._phases[-1].status:
                self._phases[-1:] = [event]
            case Metric(name=name, value=value):
                self._metrics[name] = value
            case Line():
                ours = "dim" if event.text.startswith("[trainshed]") else ""
                line = self._text.from_ansi(text_of(event, self._nodes), style=ours)
                self._live.console.print(line, soft_wrap=True)
            case _:
                pass

    def _status(self) -> Any:  # noqa: ANN401 - a Rich Text, imported late
        now = clock.now().timestamp()
        done = [
            f"{phase.status} {output.span(after.start - phase.start)}"
            for phase, after in zip(self._phases, self._phases[1:], strict=False)
            if phase.status != after.status
        ]
        line = self._text(overflow="ellipsis", no_wrap=True)
        for text in done:
            line.append(self._signs[0], "green").append(f"{text}  ")
        if self._phases:
            last = self._phases[-1]
            line.append(self._signs[1], "cyan")
            line.append(f"{last.status} {output.span(now - last.start)}  ", "bold")
        line.append(f"elapsed {output.span(now - self._began)}  ", "dim")
        line.append("  ".join(f"{name}={value:g}" for name, value in self._metrics.items()), "bold")
        if self._phases and "NOT being kept" in self._phases[-1].message:
            line.append("  checkpoints are not being kept", "bold red")
        if self._away:
            line.append("  waiting for the server", "yellow")
        return line


def view_for(job: Mapping[str, Any], *, quiet: bool) -> View:
    """Return the view that fits where stdout goes."""
    nodes = nodes_of(job)
    if not quiet and output.fancy(sys.stdout):
        return TerminalView(nodes=nodes, began=float(job["CreationTime"]))
    return PlainView(nodes=nodes, quiet=quiet)


def watch(name: str, view: View, connect: Callable[[], Api], *, quiet: bool) -> Mapping[str, Any]:
    """Show a job until it is over and return its last description.

    Ctrl-C leaves the job alone and says how to come back; a second one within two seconds asks the
    job to stop.

    Raises:
        typer.Exit: Ctrl-C, with code 130.
    """
    follower = Follower(name, with_lines=not quiet)
    try:
        with view:
            for event in follow(follower, connect, sleep=time.sleep):
                view.show(event)
                if isinstance(event, Over):
                    return event.job
    except KeyboardInterrupt:
        detach(name, connect)
    raise typer.Exit(exits.INTERRUPTED)


def detach(name: str, connect: Callable[[], Api]) -> None:
    """Say that the job goes on; stop it when Ctrl-C comes again."""
    try:
        output.note(f"\ndetached: {name} goes on; come back with: trainshed logs -f {name}")
        output.note("press Ctrl-C again within 2 s to stop it")
        time.sleep(_SECOND_CHANCE)
    except KeyboardInterrupt:
        connect().call("sagemaker", "StopTrainingJob", {"TrainingJobName": name})
        output.note(f"asked {name} to stop")


def summary(api: Api, job: Mapping[str, Any]) -> str:
    """Return how a job ended: status, phases, metrics, model, reason, and what to do next."""
    name, ended = job["TrainingJobName"], job["TrainingJobStatus"]
    total = float(job.get("TrainingEndTime", job["LastModifiedTime"])) - float(job["CreationTime"])
    lines = [f"{output.status(ended)} in {output.span(total)}   {phases(job)}".rstrip()]
    if ended == "Stopped" and exits.of_job(job) == exits.TIME_LIMIT:
        limit = job["StoppingCondition"].get("MaxRuntimeInSeconds", 0)
        lines.append(f"  reason   it reached its time limit of {output.span(float(limit))}")
    if reason := job.get("FailureReason"):
        shown = reason.strip().replace("\n", "\n           ")
        lines.append(f"  reason   {shown}")
        if advice := hint(reason, name):
            lines.append(f"  hint     {advice}")
    if found := metrics(job):
        lines.append(f"  metrics  {found}")
    lines += _model(api, job)
    return "\n".join(lines)


def phases(job: Mapping[str, Any]) -> str:
    """Return the phases that are behind a job, each with its duration."""
    return "  ".join(
        f"{entry['Status']} {output.span(entry['EndTime'] - entry['StartTime'])}"
        for entry in job.get("SecondaryStatusTransitions", ())
        if "EndTime" in entry and entry["Status"] not in _LAST
    )


def metrics(job: Mapping[str, Any]) -> str:
    """Return the last value of every metric."""
    found = job.get("FinalMetricDataList", ())
    return "  ".join(f"{entry['MetricName']}={entry['Value']:g}" for entry in found)


def nodes_of(job: Mapping[str, Any]) -> int:
    """Return how many nodes a job asks for."""
    resources = job["ResourceConfig"]
    groups = resources.get("InstanceGroups") or [resources]
    return sum(int(group.get("InstanceCount", 1)) for group in groups)


def text_of(line: Line, nodes: int) -> str:
    """Return a line as it is shown: with its node's name where there are several."""
    return line.text if nodes == 1 else f"[{line.node}] {line.text}"


def _model(api: Api, job: Mapping[str, Any]) -> list[str]:
    name = job["TrainingJobName"]
    uri = fetch.model_uri(job)
    again = f"  next:    trainshed logs {name}"
    try:
        size = Stores(api).size(uri)
    except ApiError as error:
        if error.status != 404:
            raise
        nothing = "  model    none: nothing was saved to the folder in SM_MODEL_DIR"
        return [nothing, again] if job["TrainingJobStatus"] == "Completed" else [again]
    shown = f"{uri}  ({sizes.written(size)})"
    return [f"  model    {shown}", f"  next:    trainshed pull {name}"]
