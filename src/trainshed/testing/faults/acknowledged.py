"""What a server said it had taken of an agent's report, kept outside of both.

``<node id>.facts`` has the facts, a line each, as they stood in the journal; ``<node id>.log`` the
bytes of the log. An agent that starts over hears it all again: a fact may be there several times.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from trainshed.domain.facts import Fact


class Acknowledged:
    """What was taken of one node."""

    def __init__(self, folder: Path, node_id: str) -> None:
        """Keep it in files of the node's name; the folder is made when missing."""
        folder.mkdir(mode=0o700, exist_ok=True)
        self._facts = folder / f"{node_id}.facts"
        self._log = folder / f"{node_id}.log"

    def note_facts(self, facts: Iterable[Fact]) -> None:
        """Keep facts that were taken."""
        text = "".join(json.dumps(fact.line()) + "\n" for fact in facts)
        if text:
            _write(self._facts, text.encode(), None)

    def note_bytes(self, offset: int, data: bytes) -> None:
        """Keep a piece of the log that was taken."""
        if data:
            _write(self._log, data, offset)


def facts(folder: Path) -> dict[str, dict[int, Fact]]:
    """Return what was taken, by node id and number."""
    found: dict[str, dict[int, Fact]] = {}
    for path in sorted(folder.glob("*.facts")):
        for line in path.read_text().splitlines():
            with suppress(ValueError):  # its writer was killed in the middle
                fact = Fact.parse(json.loads(line))
                found.setdefault(path.stem, {})[fact.n] = fact
    return found


def logs(folder: Path) -> dict[str, bytes]:
    """Return the bytes that were taken, by node id."""
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.log"))}


def _write(path: Path, data: bytes, offset: int | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(path, flags | (os.O_APPEND if offset is None else 0), 0o600)
    try:
        if offset is None:
            os.write(descriptor, data)
        else:
            os.pwrite(descriptor, data, offset)
    finally:
        os.close(descriptor)
