"""``trainshed lint``: what the container contract will trip over, told before any run."""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from trainshed.agent.runtimes.docker.engine import Engine, EngineError, find_socket
from trainshed.cli import exits, lint_image, output, parsing
from trainshed.cli.lint_folder import entry_point_of, read_folder
from trainshed.cli.options import Output, spread
from trainshed.cli.output import Format
from trainshed.client.errors import ClientError
from trainshed.client.lint import files, metrics
from trainshed.client.lint.facts import Asked, asked_by
from trainshed.client.lint.findings import Finding, Rule, Severity, worst_first
from trainshed.client.lint.folder import of_folder
from trainshed.contract import script_mode
from trainshed.domain import sizes

_PATIENCE_S: Final = 3.0
"""Processor time for one pattern; a job's own agent gives up after as much."""
_COLOURS: Final = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LintOptions:
    """What can be typed after ``trainshed lint``."""

    target: Annotated[
        str,
        typer.Argument(metavar="IMAGE|DIR", help="An image, or a folder of code or Dockerfile."),
    ] = ""
    entry_point: Annotated[
        str, typer.Option("--entry-point", metavar="FILE", help="The script, relative to DIR.")
    ] = ""
    hp: Annotated[
        list[str] | None, typer.Option("--hp", metavar="K=V", help="A hyperparameter; repeat.")
    ] = None
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME=REGEX", help="A number in the log; repeat."),
    ] = None
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="A sample of the job's log.")
    ] = None
    request: Annotated[
        Path | None,
        typer.Option("--request", metavar="FILE", help="A CreateTrainingJob request, as JSON."),
    ] = None
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too.")] = False
    shown_as: Output = Format.TABLE


@dataclass(slots=True, kw_only=True)
class _Report:
    """What came out."""

    checked: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    samples: list[metrics.Sample] = field(default_factory=list)


@spread(LintOptions)
def lint(options: LintOptions) -> None:
    """Tell what SageMaker's container contract will trip over, before any run.

    Looks at an image (nothing of it is run), at a folder of code with or without a Dockerfile, and
    at metric definitions. Exit code 1 when there is an error, or with --strict a warning.
    """
    asked = _asked(options)
    report = _Report()
    _look(options.target or asked.image, asked, report)
    _metrics(asked, options.log, report)
    report.findings = worst_first(report.findings)
    _show(report, options.shown_as)
    bad = {Severity.ERROR, Severity.WARNING} if options.strict else {Severity.ERROR}
    if any(finding.rule.severity in bad for finding in report.findings):
        raise typer.Exit(exits.ERROR)


def _show(report: _Report, shown_as: Format) -> None:
    match shown_as:
        case Format.JSON:
            print(output.dumps(_document(report)))
        case Format.JSONL:
            for finding in report.findings:
                print(output.dumps(_fields(finding), indent=None))
        case Format.NAME:
            for code in dict.fromkeys(finding.rule.code for finding in report.findings):
                print(code)
        case Format.TABLE | Format.WIDE:
            _print(report)


def _asked(options: LintOptions) -> Asked:
    asked = asked_by(_json(options.request)) if options.request else Asked()
    given = parsing.pairs(options.hp or (), "a hyperparameter like lr=0.1")
    if given:
        read = script_mode.read(given)
        asked = replace(asked, hyperparameters={**(asked.hyperparameters or {}), **read})
    defined = parsing.pairs(options.metric or (), "a metric like loss=loss=([0-9.]+)")
    asked = replace(asked, metrics=(*asked.metrics, *defined.items()))
    if options.entry_point:
        asked = replace(asked, entry_point=options.entry_point)
    if not (options.target or asked.image or asked.metrics):
        raise typer.BadParameter("name an IMAGE or a DIR, or give --request or --metric")
    return asked


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ClientError(f"{path} cannot be read as JSON: {error}", "check --request") from error
    if not isinstance(found, dict):
        raise ClientError(f"{path} holds no JSON object", "give a CreateTrainingJob request")
    return found


def _look(target: str, asked: Asked, report: _Report) -> None:
    if not target:
        report.unchecked.append("an image or a folder (none was named)")
        return
    path = Path(target)
    if path.is_dir() or path.is_file():
        _folder(path, asked, report)
    elif target.startswith((".", "/", "~")):
        raise ClientError(f"there is nothing at {target}", "check the path")
    else:
        _image(target, asked, report)


def _folder(path: Path, asked: Asked, report: _Report) -> None:
    folder = read_folder(path)
    if not asked.entry_point:
        asked = replace(asked, entry_point=entry_point_of(path, folder))
    report.checked.append(output.plural(len(folder.files), "file") + f" in {folder.name}")
    if folder.recipe is not None:
        base = folder.recipe.base or "nothing"
        report.checked.append(f"{folder.recipe.config.name} (what {base} says is not known)")
    if asked.entry_point:
        report.checked.append(f"script mode with {asked.entry_point}")
    elif folder.recipe is None:
        report.unchecked.append("the script (name it with --entry-point)")
    if asked.entry_point and asked.hyperparameters is None:
        report.unchecked.append("hyperparameters (give --hp or --request)")
    if asked.image:
        report.unchecked.append(f"the image {asked.image} (name it in place of the folder)")
    report.findings += of_folder(folder, asked)


def _image(name: str, asked: Asked, report: _Report) -> None:
    try:
        engine = Engine(find_socket("", os.environ))
        facts = lint_image.look(engine, name)
    except EngineError as error:
        raise ClientError(
            f"{name} is no folder, and no image can be looked at: {error}", "trainshed doctor"
        ) from error
    report.checked.append(f"image {name} ({sizes.written(facts.size)}, {facts.architecture})")
    if facts.start is not None:
        report.checked.append(facts.start.path)
    report.findings += files.of_image(facts, asked)


def _metrics(asked: Asked, log: Path | None, report: _Report) -> None:
    if not asked.metrics:
        return
    count = output.plural(len(asked.metrics), "metric")
    report.findings += metrics.of_definitions(asked.metrics)
    if log is None:
        report.checked.append(count)
        report.unchecked.append("what the metrics match (give --log)")
        return
    try:
        lines = log.read_bytes().decode("utf-8", "replace").split("\n")
    except OSError as error:
        raise ClientError(f"{log} cannot be read: {error.strerror}", "check --log") from error
    lines = [line.removesuffix("\r") for line in lines]
    report.checked.append(f"{count} against {output.plural(len(lines), 'line')} of {log}")
    report.samples = metrics.measure(asked.metrics, lines, _at_most)
    report.findings += metrics.of_samples(report.samples, str(log))


@contextlib.contextmanager
def _at_most() -> Iterator[None]:
    """Raise ``TooSlow`` in a block that uses more processor time; ``re`` looks for signals."""

    def ring(*_: object) -> None:
        raise metrics.TooSlow

    signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, _PATIENCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _document(report: _Report) -> dict[str, object]:
    return {
        "findings": [_fields(finding) for finding in report.findings],
        "metrics": [
            {
                "name": sample.name,
                "regex": sample.regex,
                "matches": sample.matches,
                "numbers": sample.numbers,
                "first": sample.first,
                "last": sample.last,
                "slow": sample.slow,
            }
            for sample in report.samples
        ],
        "checked": report.checked,
        "unchecked": report.unchecked,
    }


def _fields(finding: Finding) -> dict[str, str]:
    return {
        "code": finding.rule.code,
        "severity": finding.rule.severity,
        "title": finding.rule.title,
        "where": finding.where,
        "found": finding.found,
        "sagemaker": finding.rule.sagemaker,
        "here": finding.rule.here or "the same",
        "mend": finding.rule.mend,
    }


def _print(report: _Report) -> None:
    before = ""
    for finding in report.findings:
        rule = finding.rule
        if rule.code != before:
            print(f"{_coloured(rule.severity)} {rule.code}  {output.strong(rule.title)}")
        print(f"  {finding.where}: {finding.found}")
        before = rule.code
        if finding is _last_of(report.findings, rule.code):
            _explain(rule)
    if report.samples:
        rows = [_row(sample) for sample in report.samples]
        print(output.table(("METRIC", "MATCHES", "NUMBERS", "FIRST", "LAST"), rows) + "\n")
    print(f"{_count(report.findings)}: {'; '.join(report.checked) or 'nothing was looked at'}")
    if report.unchecked:
        print(f"not looked at: {'; '.join(report.unchecked)}")
    sys.stdout.flush()


def _explain(rule: Rule) -> None:
    if rule.here:
        print(f"    SageMaker: {rule.sagemaker}\n    here:      {rule.here}")
    else:
        print(f"    happens:   {rule.sagemaker}")
    print(f"    mend:      {rule.mend}\n")


def _last_of(findings: Sequence[Finding], code: str) -> Finding:
    return [finding for finding in findings if finding.rule.code == code][-1]


def _row(sample: metrics.Sample) -> tuple[str, ...]:
    if sample.slow:
        return (sample.name, "given up", "", "", "")
    ends = ["-" if value is None else f"{value:g}" for value in (sample.first, sample.last)]
    return (sample.name, str(sample.matches), str(sample.numbers), *ends)


def _coloured(severity: Severity) -> str:
    if not output.fancy(sys.stdout):
        return f"{severity:<7}"
    return f"\033[{_COLOURS[severity]}m{severity:<7}\033[0m"


def _count(findings: Sequence[Finding]) -> str:
    if not findings:
        return "nothing found"
    counts = [(sum(f.rule.severity is level for f in findings), level) for level in Severity]
    return ", ".join(output.plural(count, level.value) for count, level in counts if count)
