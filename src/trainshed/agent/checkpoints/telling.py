"""Tells how keeping goes: facts for the server, loud words in the log when it is stuck."""

import time
from collections.abc import Callable
from typing import Final

from trainshed.agent.checkpoints.kept import Kept
from trainshed.agent.checkpoints.sync import Pass, totals
from trainshed.agent.journal import Journal
from trainshed.domain.facts import Kind

TELL_S: Final = 30.0
"""Facts come no more often than this, but for the first: clients print a line for each."""
_LOUD_S: Final = 60.0
"""How old the oldest change that is not kept must be before that is said loudly."""
_LONGEST_SILENCE_S: Final = 3600.0


class Telling:
    """Called after each pass, from one thread at a time."""

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
        self._loud_at = 0.0
        self._silence = _LOUD_S
        if (last := journal.last(Kind.CHECKPOINT)) is not None:
            self._kept_at = float(last.detail.get("kept_at", 0.0))
            self._told_at = last.at

    def hear(self, done: Pass, *, last: bool = False) -> None:
        """Take what a pass came to; ``last`` has all that is new told at once."""
        now = self._clock()
        self._since = {path: self._since.get(path, now) for path in sorted(done.waiting)}
        self._trouble = done.trouble
        oldest = min(self._since.values(), default=0.0)
        self._note(done, now)
        lag = now - oldest if oldest else 0.0
        late = lag >= TELL_S
        due = last or now >= self._told_at + TELL_S
        if (self._news or late or (self._told_lag and not late)) and due:
            self._tell(oldest if late else 0.0, done.trouble, now)
            self._told_lag = late
        self._warn(lag, done, now)

    def leave(self, done: Pass | None) -> None:
        """Tell at once what was not told yet: whoever keeps the rest does not know of it.

        ``done`` is a pass that was not heard of, because the container's end came in between.
        """
        now = self._clock()
        if done is not None:
            self._note(done, now)
        if self._news:
            oldest = min(self._since.values(), default=now)
            self._tell(oldest if now - oldest >= TELL_S else 0.0, self._trouble, now)

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
        )
        self._told_at, self._news = now, False

    def _warn(self, lag: float, done: Pass, now: float) -> None:
        if lag < _LOUD_S:
            if self._loud_at:
                self._say("checkpoints are kept again")
            self._loud_at, self._silence = 0.0, _LOUD_S
        elif done.trouble and now >= self._loud_at + self._silence:
            first = not self._loud_at
            self._loud_at = now
            self._silence = _LOUD_S if first else min(2 * self._silence, _LONGEST_SILENCE_S)
            minutes = int(lag // 60)
            self._say(f"checkpoints are NOT being kept for {minutes} min: {done.trouble}")
