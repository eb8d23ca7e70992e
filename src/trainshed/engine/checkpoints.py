"""How keeping a job's checkpoints goes, in words, from what its nodes report. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from trainshed.domain import sizes
from trainshed.domain.facts import Fact, Kind
from trainshed.domain.late import INTERVAL_S, is_late

_WHY: Final = 200
"""Longest explanation; a status message is one line."""


def message(facts: Mapping[str, tuple[Fact, ...]]) -> str:
    """Return what the status should tell of the checkpoints; "" when there are none to tell of.

    Args:
        facts: of each host in the current attempt, in order.
    """
    lasts = [last for each in facts.values() if (last := _last(each)) is not None]
    if not lasts:
        return ""
    stuck = [last for last in lasts if _is_stuck(last)]
    files = sum(int(last.detail.get("files", 0)) for last in lasts)
    size = sum(int(last.detail.get("bytes", 0)) for last in lasts)
    kept_at = max(float(last.detail.get("kept_at", 0.0)) for last in lasts)
    kept = f"Checkpoints: {sizes.files(files, size)} kept"
    if kept_at:
        kept += f" at {datetime.fromtimestamp(kept_at, UTC):%H:%M:%S} UTC"
    if not stuck:
        return kept
    worst = max(stuck, key=_age)
    why = str(worst.detail.get("trouble") or "saving is faster than the store takes")
    return f"{kept}. WARNING: NOT being kept for {int(_age(worst) // 60)} min: {why[:_WHY]}"


def _is_stuck(fact: Fact) -> bool:
    """Tell whether the node's sync lags by more than two of its intervals."""
    interval = float(fact.detail.get("interval", INTERVAL_S))
    return bool(fact.detail.get("since")) and is_late(_age(fact), interval)


def _age(fact: Fact) -> float:
    """Return the seconds that the oldest change had waited when the fact was told."""
    return fact.at - float(fact.detail["since"])


def _last(facts: tuple[Fact, ...]) -> Fact | None:
    return next((fact for fact in reversed(facts) if fact.kind is Kind.CHECKPOINT), None)
