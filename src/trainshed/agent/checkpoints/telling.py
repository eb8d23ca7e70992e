"""Tells how keeping goes: facts for the server, loud words in the log when it is late."""

import time
from collections.abc import Callable
from typing import Final

from trainshed.agent.checkpoints.kept import Kept
from trainshed.agent.checkpoints.sync import Pass, totals
from trainshed.agent.journal import Journal
from trainshed.domain.facts import Fact, Kind
from trainshed.domain.late import INTERVAL_S, is_late

_SLOW: Final = "saving is faster than the store takes"
"""Why changes wait when nothing stands against keeping them."""


class Telling:
    """Called in and after each pass, from one thread at a time."""

    def __init__(
        self,
        journal: Journal,
        say: Callable[[str], None],
        kept: Kept,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Append to ``journal`` and ``say``; ``kept`` is what the store holds.

        ``clock`` tells the seconds since the epoch.
        """
        self._clock = clock
        self._journal = journal
        self._say = say
        self._kept = kept
        self._since: dict[str, float] = {}
        """Since when changes wait to be kept, in seconds since the epoch."""
        self._kept_at = 0.0
        self._news = False
        self._trouble = ""
        self._told_at = 0.0
        self._told_lag = False
        self._late_since = 0.0
        """Since when it is late, as far as it was said; 0 while it is not."""
        self._resumed = 0.0
        self.interval_s = INTERVAL_S
        """The sync interval; facts come no more often than this, but for the first and for those
        that tell of a beginning or an end: clients print a line for each."""
        if (last := journal.last(Kind.CHECKPOINT)) is not None:
            self._take_up(last)

    def _take_up(self, last: Fact) -> None:
        """Go on where an agent before us told how it went."""
        self._kept_at = float(last.detail.get("kept_at", 0.0))
        self._told_at = last.at
        since = float(last.detail.get("since", 0.0))
        if since:
            self._resumed, self._told_lag = since, True
            self._late_since = since if is_late(last.at - since, self.interval_s) else 0.0

    def hear(self, done: Pass, *, last: bool = False) -> None:
        """Take what a pass came to; ``last`` has all that is new told at once."""
        now = self._clock()
        self._note(done, now)
        self._judge(done, now, last=last)

    def meanwhile(self, done: Pass) -> None:
        """Take how a pass goes that is under way: a store may take hours for one file."""
        self._judge(done, self._clock())

    def leave(self, done: Pass | None) -> None:
        """Tell at once what was not told yet: whoever keeps the rest does not know of it.

        ``done`` is a pass that was not heard of, because the container's end came in between.
        """
        now = self._clock()
        if done is not None:
            self._note(done, now)
        if self._news:
            oldest = min(self._since.values(), default=now)
            self._tell(oldest if now - oldest >= self.interval_s else 0.0, self._trouble, now)

    def _judge(self, done: Pass, now: float, *, last: bool = False) -> None:
        first = self._resumed or now
        self._since = {path: self._since.get(path, first) for path in sorted(done.waiting)}
        self._resumed = 0.0
        self._trouble = done.trouble
        oldest = min(self._since.values(), default=0.0)
        lag = now - oldest if oldest else 0.0
        waits, late = lag >= self.interval_s, is_late(lag, self.interval_s)
        turned = late != bool(self._late_since) or (self._told_lag and not waits)
        due = last or turned or now >= self._told_at + self.interval_s
        if (self._news or waits or self._told_lag) and due:
            self._tell(oldest if waits else 0.0, done.trouble, now)
            self._told_lag = waits
        self._say_turn(lag, done.trouble, now, late=late)

    def _say_turn(self, lag: float, trouble: str, now: float, *, late: bool) -> None:
        """Say once that it has become late, and once that it is no more."""
        if late and not self._late_since:
            self._late_since = now - lag
            self._say(
                f"checkpoints are NOT being kept: what was saved {lag:.0f} s ago is not in the "
                f"store, more than two sync intervals of {self.interval_s:g} s later: "
                f"{trouble or _SLOW}"
            )
        elif self._late_since and not late:
            self._say(f"checkpoints are kept again, after {now - self._late_since:.0f} s")
            self._late_since = 0.0

    def _note(self, done: Pass, now: float) -> None:
        if done.stored or done.deleted:
            self._kept_at, self._news = now, True

    def _tell(self, since: float, trouble: str, now: float) -> None:
        files, size = totals(self._kept.known.values())
        self._journal.append(
            Kind.CHECKPOINT,
            files=files,
            bytes=size,
            kept_at=self._kept_at,
            since=since,
            trouble=trouble,
            interval=self.interval_s,
        )
        self._told_at, self._news = now, False
