"""What a check can say: a rule is known beforehand, a finding is a rule met at one place."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How sure and how bad."""

    ERROR = "error"
    """The job will fail, or lose something."""
    WARNING = "warning"
    """It will fail in some cases, or behave unlike what was meant."""
    NOTE = "note"
    """Worth knowing; often meant so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that is looked for. Codes are never given to another rule."""

    code: str
    severity: Severity
    title: str
    """What is the matter, in a few words."""
    sagemaker: str
    """What happens on SageMaker."""
    here: str
    """What happens in Trainshed; "" where it is the same."""
    mend: str
    """What to do."""

    def at(self, where: str, found: str) -> "Finding":
        """Return this rule as met at a place.

        Args:
            where: ``Dockerfile:7``, ``train.py:12``, or what was looked at.
            found: what stands there.
        """
        return Finding(rule=self, where=where, found=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that was met."""

    rule: Rule
    where: str
    found: str


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings by severity, then code, then place; none twice."""
    order = list(Severity)
    return sorted(
        dict.fromkeys(findings),
        key=lambda finding: (order.index(finding.rule.severity), finding.rule.code),
    )
