"""Rules about metric definitions, and what they find in a sample of a job's log.

A line is searched as the agent searches it: the first match of each pattern, group 1 as a number.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from trainshed.client.lint.findings import Finding, Rule, Severity

UNUSABLE: Final = Rule(
    code="TS401",
    severity=Severity.ERROR,
    title="the regex cannot be used",
    sagemaker="the metric stays empty, or the request is refused",
    here="the metric stays empty, and the job's log says so",
    mend="correct the regular expression",
)
NO_GROUP: Final = Rule(
    code="TS402",
    severity=Severity.ERROR,
    title="the regex has no group",
    sagemaker="the value is what the first (group) matches: the metric stays empty",
    here="the same, and the job's log says so",
    mend=r"put parentheses around the number: loss=([0-9.eE+-]+)",
)
TOO_LONG: Final = Rule(
    code="TS403",
    severity=Severity.ERROR,
    title="too long",
    sagemaker="the request is refused: a regex has at most 500 characters, a name 255",
    here="",
    mend="shorten it",
)
TOO_MANY: Final = Rule(
    code="TS404",
    severity=Severity.ERROR,
    title="too many metrics",
    sagemaker="the request is refused: at most 40 definitions",
    here="",
    mend="keep the ones that are looked at",
)
NO_MATCH: Final = Rule(
    code="TS405",
    severity=Severity.WARNING,
    title="the regex matches no line",
    sagemaker="the metric stays empty",
    here="",
    mend="compare it with a line of the log; mind spaces, brackets and capitals",
)
NO_NUMBER: Final = Rule(
    code="TS406",
    severity=Severity.WARNING,
    title="the group holds no number",
    sagemaker="such lines are passed over",
    here="the same; nan and inf are no numbers either",
    mend="put the parentheses around the number alone, without %, unit or comma",
)
SLOW: Final = Rule(
    code="TS407",
    severity=Severity.WARNING,
    title="the regex takes very long",
    sagemaker="not documented",
    here="it is given up after 3 s of processor time, and the metric stays as it was",
    mend="avoid a repeat within a repeat, such as (a+)+ or (.*)*",
)

RULES: Final = (UNUSABLE, NO_GROUP, TOO_LONG, TOO_MANY, NO_MATCH, NO_NUMBER, SLOW)
MOST: Final = 40
"""Metric definitions of a job, from the service model; so are the next two, in characters."""
LONGEST_REGEX: Final = 500
LONGEST_NAME: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one definition found in a log."""

    name: str
    regex: str
    matches: int = 0
    """Lines that matched."""
    numbers: int = 0
    """Those of them whose group is a finite number."""
    first: float | None = None
    last: float | None = None
    odd: str = ""
    """The first group that is no number, as ``line 3: 'abc'``."""
    slow: bool = False
    """Whether it was given up; the rest then counts nothing."""


class TooSlow(Exception):
    """The time for a pattern is used up."""


def of_definitions(definitions: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    """Return what is wrong with definitions (name, regex) whatever the log."""
    if len(definitions) > MOST:
        yield TOO_MANY.at("metrics", f"{len(definitions)} definitions")
    for name, regex in definitions:
        where = f"metric {name}"
        if len(name) > LONGEST_NAME:
            yield TOO_LONG.at(f"metric {name[:30]}...", f"a name of {len(name)} characters")
        if len(regex) > LONGEST_REGEX:
            yield TOO_LONG.at(where, f"a regex of {len(regex)} characters")
        compiled = _compiled(regex)
        if isinstance(compiled, str):
            yield UNUSABLE.at(where, f"{regex}: {compiled}")
        elif not compiled.groups:
            yield NO_GROUP.at(where, regex)


def measure(
    definitions: Iterable[tuple[str, str]],
    lines: Sequence[str],
    limit: Callable[[], AbstractContextManager[None]],
) -> list[Sample]:
    """Return what each usable definition finds.

    Args:
        definitions: name and regex.
        lines: a job's log.
        limit: a block that raises ``TooSlow`` when it takes too long.
    """
    samples = []
    for name, regex in definitions:
        compiled = _compiled(regex)
        if isinstance(compiled, str) or not compiled.groups:
            continue
        try:
            with limit():
                samples.append(_sample(name, compiled, lines))
        except TooSlow:
            samples.append(Sample(name=name, regex=regex, slow=True))
    return samples


def of_samples(samples: Iterable[Sample], log: str) -> Iterator[Finding]:
    """Return what is wrong with definitions, going by what they found in a log of that name."""
    for sample in samples:
        where = f"metric {sample.name}"
        if sample.slow:
            yield SLOW.at(where, sample.regex)
        elif not sample.matches:
            yield NO_MATCH.at(where, f"{sample.regex} in {log}")
        elif sample.odd:
            count = sample.matches - sample.numbers
            yield NO_NUMBER.at(where, f"{count} of {sample.matches} matches; {log} {sample.odd}")


def _compiled(regex: str) -> re.Pattern[str] | str:
    """Return the pattern, or why it is none."""
    try:
        return re.compile(regex)
    except (re.error, OverflowError, RecursionError) as error:
        return str(error)


def _sample(name: str, pattern: re.Pattern[str], lines: Sequence[str]) -> Sample:
    matches, numbers, odd = 0, [], ""
    for number, line in enumerate(lines, 1):
        found = pattern.search(line)
        if found is None:
            continue
        matches += 1
        value = _number(found[1])
        if value is not None:
            numbers.append(value)
        elif not odd:
            odd = f"line {number}: {(found[1] or '')[:40]!r}"
    return Sample(
        name=name,
        regex=pattern.pattern,
        matches=matches,
        numbers=len(numbers),
        first=numbers[0] if numbers else None,
        last=numbers[-1] if numbers else None,
        odd=odd,
    )


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
