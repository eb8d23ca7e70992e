"""Reads what the API server tells of a container's output, and takes each byte once.

The server gives lines, each behind the moment at which the container's runtime took it, and can
begin at any second. A stream that broke off is asked for from the second of the last line on, and
what was taken of that second is passed over. From the container's start it can't be had for long:
the kubelet keeps the newest ten megabytes.

Runtimes cut long lines into pieces, and before Kubernetes 1.25 each piece had its moment before it,
in the middle of the line; those are taken out.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

_PIECE: Final = 16 * 1024
"""Bytes of a line that runtimes keep as one piece: Docker's, and containerd's default."""
_STAMP: Final = re.compile(
    rb"(?P<second>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(?P<rest>\d+))?(?P<zone>Z|[+-]\d\d:\d\d) "
)
"""RFC 3339, with the blank behind it."""
_LONGEST_STAMP: Final = 36
_STEP_S: Final = 5
"""A moment so long before another was taken by a clock that had been set back."""
_WORDS: Final = 1000

Moment = tuple[int, bytes]
"""Seconds since the epoch, and the digits behind them."""


class Heard(NamedTuple):
    """What of a bit of an answer is new."""

    text: bytes
    """What the container wrote."""
    kept: bytes
    """The same with the moments, as ``Position.replay`` reads it."""


class Position:
    """How far a container's output was taken; outlives the answers that it comes in."""

    def __init__(self) -> None:
        self.newest: Moment = (0, b"")
        """The latest moment of any line."""
        self.open: Moment | None = None
        """The moment of a line that has begun and not ended."""
        self.taken = 0
        """Bytes taken of that line."""
        self._lines = 0
        """Whole lines taken in all."""
        self._second, self._since_then = 0, 0
        """From which to ask, and how many whole lines were taken that are of then or later."""
        self._latest, self._since_latest = 0, 0
        """The same for the next second of which there are lines: those that two streams wrote at
        the turn of a second may come in any order."""
        self._long = False
        """Whether the last line was cut into pieces, which may be of several seconds."""
        self._stepped = False
        """Whether the clock was set back: then no second tells what comes after it."""

    @property
    def since(self) -> str:
        """The second to ask from, as the API takes it; "" for the start."""
        if not self._second or self._stepped:
            return ""
        return datetime.fromtimestamp(self._second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def known(self) -> int:
        """How many lines that were taken an answer from ``since`` on begins with."""
        return self._since_then if self.since else self._lines

    def begin(self, moment: Moment) -> None:
        """A line has begun."""
        self.open, self.taken = moment, 0
        second = moment[0]
        # Behind all of an earlier second: of this one, nothing was taken before.
        if second > self.newest[0] and not self._long:
            self._second, self._since_then = self._latest or second, self._since_latest
            self._latest, self._since_latest = second, 0
        elif second < self._second - _STEP_S:
            self._stepped = True
        self.newest = max(self.newest, moment)

    def end(self) -> None:
        """The line has ended."""
        if self.open is not None:
            self._since_then += self.open[0] >= self._second
            self._since_latest += self.open[0] >= self._latest
        self._lines += 1
        self._long = self.taken >= _PIECE
        self.open, self.taken = None, 0

    def replay(self, kept: bytes) -> bytes:
        """Take whole lines that were kept before; return what the container wrote."""
        found = []
        for line in kept.split(b"\n")[:-1]:
            stamp = _STAMP.match(line)
            if stamp is not None:
                self.begin(_moment(stamp))
                text = line[stamp.end() :] + b"\n"
                self.taken = len(text) - 1
                self.end()
                found.append(text)
        return b"".join(found)


class Reading:
    """One answer, from its beginning."""

    def __init__(self, position: Position) -> None:
        self.lost = False
        """Whether lines may be missing, because the kubelet has thrown them away meanwhile."""
        self.words = ""
        """What the kubelet itself said in between."""
        self._position = position
        self._behind = position.known
        """Whole lines still to pass over."""
        self._open = position.open
        """The line that was taken in part, until it is met again."""
        self._torn = bool(position.since)
        """Whether what comes first may be the rest of a line."""
        self._rest = b""
        """What can't be told yet."""
        self._inside = False
        """Whether the next byte is inside a line."""
        self._passing = False
        """Whether that line was taken before, or is none."""
        self._owed = 0
        """Bytes of that line still to pass over."""
        self._piece = 0
        """Bytes since the beginning of its piece."""

    def feed(self, data: bytes) -> Heard:
        """Return what is new in the next bit."""
        data = self._rest + data if self._rest else data
        self._rest = b""
        text: list[bytes] = []
        kept: list[bytes] = []
        at = 0
        while at < len(data):
            if self._inside:
                then = self._go_on(data, at, text, kept)
            else:
                then = self._start(data, at, text, kept)
            if then < 0:
                self._rest = data[at:]
                break
            at = then
        return Heard(b"".join(text), b"".join(kept))

    def _start(self, data: bytes, at: int, text: list[bytes], kept: list[bytes]) -> int:
        """Begin a line; return where to go on, -1 when too little is there to tell."""
        stamp = _STAMP.match(data, at)
        if stamp is None:
            end = data.find(b"\n", at)
            if end < 0 and len(data) - at < _LONGEST_STAMP:
                return -1
            self._enter(passing=True)
            if not self._torn and len(self.words) < _WORDS:
                said = data[at:end] if end >= 0 else data[at:]
                self.words += said.decode(errors="replace")[:_WORDS]
            self._torn = False
            return at
        self._torn = False
        moment = _moment(stamp)
        if self._behind and moment <= self._position.newest:
            self._behind -= 1
            self._enter(passing=True)
            return stamp.end()
        self.lost = self.lost or self._behind > 0
        self._behind = 0
        begun, self._open = self._open, None
        if begun == moment:
            self._enter(owed=self._position.taken)
            return stamp.end()
        if begun is not None:  # its rest is gone
            self.lost = True
            self._end(text, kept)
        self._position.begin(moment)
        kept.append(stamp[0])
        self._enter()
        end = data.find(b"\n", stamp.end(), stamp.end() + _PIECE)
        if end < 0:
            return stamp.end()
        self._take(data[stamp.end() : end], text, kept)
        self._end(text, kept)
        return end + 1

    def _enter(self, *, passing: bool = False, owed: int = 0) -> None:
        self._inside, self._passing, self._owed, self._piece = True, passing, owed, 0

    def _go_on(self, data: bytes, at: int, text: list[bytes], kept: list[bytes]) -> int:
        """Take the next bit of a line; return where to go on, -1 when too little is there."""
        if self._piece == _PIECE:
            stamp = _STAMP.match(data, at)
            if stamp is None and len(data) - at < _LONGEST_STAMP and b"\n" not in data[at:]:
                return -1
            self._piece = 0
            if stamp is not None:
                return stamp.end()
        limit = at + _PIECE - self._piece
        end = data.find(b"\n", at, limit)
        until = min(limit, len(data)) if end < 0 else end
        self._piece += until - at
        if not self._passing:
            self._take(data[at:until], text, kept)
        if end < 0:
            return until
        if self._passing:
            self._inside = False
        else:
            self._end(text, kept)
        return end + 1

    def _take(self, data: bytes, text: list[bytes], kept: list[bytes]) -> None:
        passed = min(self._owed, len(data))
        self._owed -= passed
        if new := data[passed:]:
            self._position.taken += len(new)
            text.append(new)
            kept.append(new)

    def _end(self, text: list[bytes], kept: list[bytes]) -> None:
        self._position.end()
        self._inside = False
        text.append(b"\n")
        kept.append(b"\n")


def _moment(stamp: re.Match[bytes]) -> Moment:
    return _second(stamp["second"], stamp["zone"]), stamp["rest"] or b""


@lru_cache(maxsize=1024)
def _second(text: bytes, zone: bytes) -> int:
    return int(datetime.fromisoformat(f"{text.decode()}{zone.decode()}").timestamp())
