"""CollectGarbage: what is left of jobs that are over, told and removed."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from trainshed.api.operations import Table
from trainshed.domain.garbage import Finding
from trainshed.wire.message import Call

Collect = Callable[[bool], Awaitable[Sequence[Finding]]]
"""Looks for what is left; asked with True it removes it too."""


class CollectGarbage:
    """Looks for what is left."""

    def __init__(self, collect: Collect) -> None:
        """``collect`` is what looks, and removes."""
        self._collect = collect

    def operations(self) -> Table:
        """Return the operations this subject offers."""
        return {("trainshed", "CollectGarbage"): self.collect_garbage}

    async def collect_garbage(self, call: Call) -> dict[str, Any]:
        """Return what was found; removed, unless it is a dry run."""
        findings = await self._collect(not call.params.get("DryRun"))
        return {"Findings": [_told(finding) for finding in findings]}


def _told(finding: Finding) -> dict[str, Any]:
    told: dict[str, Any] = {
        "Kind": finding.kind,
        "Name": finding.name,
        "Removed": finding.removed,
    }
    further = {
        "Backend": finding.backend or None,
        "Reason": finding.reason or None,
        "Bytes": finding.size,
        "Trouble": finding.trouble or None,
    }
    return told | {name: value for name, value in further.items() if value is not None}
