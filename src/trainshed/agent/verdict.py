"""How a container's run counts, by what the journal says of it."""

from trainshed.agent.journal import Journal
from trainshed.domain.facts import Kind, Outcome

ASKED, NOTICE, MAX_RUNTIME = "asked", "notice", "max_runtime"
"""Reasons of ``stopping``."""


def verdict(journal: Journal) -> tuple[Outcome, str]:
    """Return how a container's run counts: (outcome, reason).

    A program that ended because its node is taken away may have ended with any code.
    """
    exited, stopping = journal.last(Kind.EXITED), journal.last(Kind.STOPPING)
    if exited is None:
        return Outcome.STOPPED, ""
    # A wish to stop that came over a notice may be younger than the end: ``began`` tells of it.
    if stopping is not None and (stopping.n < exited.n or "began" in stopping.detail):
        return _cut_short(journal, str(stopping.detail.get("reason", "")))
    if exited.detail["exit_code"] == 0:
        return Outcome.COMPLETED, ""
    return Outcome.FAILED, str(exited.detail["reason"])


def interrupted(journal: Journal) -> bool:
    """Tell whether the container ended because its node is taken away, and for no other reason."""
    exited = journal.last(Kind.EXITED)
    return exited is not None and verdict(journal)[0] is Outcome.INTERRUPTED


def note_stopping(journal: Journal, reason: str) -> None:
    """Journal why the container is to end; a user's wish takes the place of a notice.

    The node then ends as one that was stopped, and what it made is delivered.
    """
    before = journal.last(Kind.STOPPING)
    if before is None:
        journal.append(Kind.STOPPING, reason=reason)
    elif reason == ASKED and before.detail.get("reason") == NOTICE:
        journal.append(Kind.STOPPING, reason=reason, began=before.at)


def _cut_short(journal: Journal, why: str) -> tuple[Outcome, str]:
    if why != NOTICE:
        return Outcome.STOPPED, ""
    notice = journal.last(Kind.NOTICE)
    return Outcome.INTERRUPTED, str(notice.detail["reason"]) if notice else ""
