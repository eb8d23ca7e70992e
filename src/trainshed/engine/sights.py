"""What drivers last said of nodes, so that the engine acts on what is new and not on all again.

Nothing is lost with it: a server that begins anew looks at its nodes first, and is told the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from trainshed.drivers.base import Handle, NodeState, Sight
from trainshed.engine.decision import Hopeless


@dataclass(frozen=True, slots=True)
class _Known:
    sight: Sight
    since: datetime


class Sights:
    """The last sights of nodes that wait or are hopeless; of all others nothing is kept."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: dict[Handle, _Known] = {}

    def note(self, sights: Mapping[Handle, Sight], now: datetime) -> None:
        """Keep what was seen of nodes; of those that could not be seen, what was seen before."""
        for handle, sight in sights.items():
            known = self._known.get(handle)
            if known is not None and known.sight.state is NodeState.HOPELESS:
                continue  # for good, whatever becomes of what the place has of it
            if sight.state is NodeState.HOPELESS or _waits(sight):
                self._known[handle] = _Known(sight, now)
            else:
                self._known.pop(handle, None)

    def forget(self, handles: Iterable[Handle]) -> None:
        """Let go of nodes."""
        for handle in handles:
            self._known.pop(handle, None)

    def news(self, sights: Mapping[Handle, Sight]) -> list[Handle]:
        """Return who is worth a closer look: who does not live, or says what it did not before."""
        return [
            handle
            for handle, sight in sights.items()
            if sight.state is not NodeState.LIVES or sight.says != self._said(handle)
        ]

    def waiting(self, hosts: Mapping[Handle, str]) -> dict[str, str]:
        """Return why nodes have not begun yet, by host; nothing of those that say nothing."""
        known = ((host, self._known.get(handle)) for handle, host in hosts.items())
        return {host: each.sight.says for host, each in known if each and _waits(each.sight)}

    def hopeless(self, hosts: Mapping[Handle, str]) -> dict[str, Hopeless]:
        """Return which nodes will never start, by host."""
        known = ((host, self._known.get(handle)) for handle, host in hosts.items())
        return {
            host: Hopeless(reason=each.sight.says, since=each.since)
            for host, each in known
            if each and each.sight.state is NodeState.HOPELESS
        }

    def _said(self, handle: Handle) -> str:
        known = self._known.get(handle)
        return "" if known is None else known.sight.says


def _waits(sight: Sight) -> bool:
    return sight.state is NodeState.LIVES and bool(sight.says)
