"""Reports facts and log lines to the server, until the server has taken everything.

The server's answer says how much it has; that is the truth, and sending goes on from there. So an
agent that starts over, a server that lost its last second, and an answer that got lost on the way
all end the same: each fact and each byte is taken once.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from trainshed.agent.journal import Journal
from trainshed.agent.log import OutputLog
from trainshed.domain.facts import Kind

_FACTS_AT_ONCE: Final = 500
_BYTES_AT_ONCE: Final = 2 * 1024 * 1024
_SHORTEST_PAUSE_S: Final = 0.005
_LONGEST_PAUSE_S: Final = 0.08
"""Pauses between two reports grow while there is more to say all the time."""
_FLOOD: Final = 64 * 1024
"""Bytes of lines in one report, more than anybody reads as they come: then pauses grow further."""
_FLOOD_PAUSE_S: Final = 0.5
_SEALED: Final = 128 * 1024
"""Bytes read and encrypted at once, where the server is reached by TLS."""
_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 5.0
_LOOK_S: Final = 5.0
"""How often to look whether the node's folder is still there while there is nothing to say."""
_TIMEOUT_S: Final = 30.0
_LAST_PATIENCE_S: Final = 300.0
"""How long an agent with nothing left to do waits for a server that takes nothing from it."""
_NO_SUCH_NODE: Final = "ResourceNotFound"
"""The code with which the server answers reports of a node it does not know."""


class NodePlanParts(Protocol):
    """What reporting needs of a plan."""

    @property
    def node_id(self) -> str:
        """The node's name on the server."""
        ...

    @property
    def server_url(self) -> str:
        """Where to report."""
        ...

    @property
    def token(self) -> str:
        """What to show there."""
        ...


class Forgotten(Exception):
    """The server does not know the node, or the node's folder is gone."""


class Reporter:
    """Sends what is new, in a thread of its own."""

    def __init__(
        self, plan: NodePlanParts, journal: Journal, log: OutputLog, forgotten: Callable[[], None]
    ) -> None:
        """``forgotten`` is called once if the server knows the node no more."""
        self._plan = plan
        self._journal = journal
        self._log = log
        self._forgotten = forgotten
        self._news = threading.Event()
        self._finished = threading.Event()
        self._leaving = threading.Event()
        self._hurry = threading.Event()
        """Set when a flood of lines is no reason to wait any more."""
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._facts_taken = 0
        self._bytes_taken = 0
        journal.on_append(self._hurry.set)
        journal.on_append(self._news.set)
        log.on_append(self._news.set)

    def start(self) -> None:
        """Begin to report; a second call changes nothing."""
        with self._starting:
            if self._thread is None:
                self._news.set()  # of what there was before
                self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
                self._thread.start()

    @property
    def up_to_date(self) -> bool:
        """Whether the server has taken all that there is to tell."""
        return self._all_taken()

    def finish(self, patience_s: float = _LAST_PATIENCE_S) -> bool:
        """Wait until the server has taken ``ended`` and every byte, or has forgotten the node.

        Returns:
            False when it has taken nothing more for so long. All is in the journal and the log: the
            next agent of this node will have a plan that says where, and as whom, to report.
        """
        self.start()
        self._news.set()
        before = (-1, -1)
        while not self._finished.wait(patience_s):
            now = (self._facts_taken, self._bytes_taken)
            if now == before:
                self._leaving.set()
                self._hurry.set()
                return False
            before = now
        return True

    def _run(self) -> None:
        line = _Line(self._plan)
        try:
            pause, last = _SHORTEST_PAUSE_S, time.monotonic()
            while not self._over():
                self._await_news()
                busy = time.monotonic() - last < _LONGEST_PAUSE_S
                before = self._bytes_taken
                self._hurry.clear()  # whatever hurries from here on is not sent by this
                self._send_all(line)
                flood = self._bytes_taken - before >= _FLOOD
                longest = _FLOOD_PAUSE_S if flood else _LONGEST_PAUSE_S
                pause = min(pause * 2, longest) if busy else _SHORTEST_PAUSE_S
                self._rest(pause)
                last = time.monotonic()
        except Forgotten:
            self._forgotten()
        finally:
            line.close()
            self._finished.set()

    def _await_news(self) -> None:
        while not self._news.wait(_LOOK_S):
            if not self._journal.exists():
                raise Forgotten
        self._news.clear()

    def _rest(self, pause: float) -> None:
        """Let more come together; no fact waits for more lines than it ever did."""
        if self._over():
            return
        if not self._leaving.wait(min(pause, _LONGEST_PAUSE_S)) and pause > _LONGEST_PAUSE_S:
            self._hurry.wait(pause - _LONGEST_PAUSE_S)

    def _over(self) -> bool:
        if self._leaving.is_set():
            return True
        ended = self._journal.last(Kind.ENDED)
        return ended is not None and self._all_taken()

    def _all_taken(self) -> bool:
        return self._has_taken(self._journal.length, self._log.size)

    def _has_taken(self, facts: int, size: int) -> bool:
        return self._facts_taken >= facts and self._bytes_taken >= size

    def _send_all(self, line: "_Line") -> None:
        """Send all that there is now; what comes meanwhile is news, and comes together."""
        wait = _FIRST_WAIT_S
        facts, size = self._journal.length, self._log.size
        while not self._has_taken(facts, size) and not self._leaving.is_set():
            before = (self._facts_taken, self._bytes_taken)
            try:
                self._send_some(line)
                moved = (self._facts_taken, self._bytes_taken) != before
            except (OSError, ValueError, line.broken) as error:
                line.close()
                moved = False
                if not self._journal.exists():
                    raise Forgotten from error
                print(f"cannot report: {error!r}", file=sys.stderr, flush=True)  # noqa: T201
            if moved:
                wait = _FIRST_WAIT_S
            else:
                self._leaving.wait(wait)
                wait = min(wait * 2, _LONGEST_WAIT_S)

    def _send_some(self, line: "_Line") -> None:
        """Send the next facts and the next lines."""
        facts = self._journal.after(self._facts_taken, _FACTS_AT_ONCE)
        if self._bytes_taken < self._log.size:
            # Whoever follows the log stops at the end of the job: the last line comes first.
            facts = [fact for fact in facts if fact.kind is not Kind.ENDED]
        if facts:
            self._journal.settle()
            body = json.dumps({"facts": [fact.line() for fact in facts]}).encode()
            self._facts_taken = line.send("POST", "facts", body)
        if (left := self._log.size - self._bytes_taken) > 0:
            length = min(left, _BYTES_AT_ONCE)
            self._bytes_taken = line.send_log(self._log, self._bytes_taken, length)


class _Line:
    """One connection to the server, opened again whenever it broke."""

    def __init__(self, plan: NodePlanParts) -> None:
        # 20 ms of imports, paid after the container has started.
        import http.client  # noqa: PLC0415

        url = urlsplit(plan.server_url)
        self._secure = url.scheme == "https"
        maker = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        self.broken: type[Exception] = http.client.HTTPException
        self._connection: Any = maker(url.netloc, timeout=_TIMEOUT_S)
        self._path = f"{url.path.rstrip('/')}/agent/v1/nodes/{plan.node_id}"
        self._token = plan.token

    def send(self, method: str, what: str, body: bytes) -> int:
        """Send JSON; return ``taken`` of the server's answer.

        Raises:
            Forgotten: the server itself says that it knows no such node.
            ValueError: any other answer that is no success, or has no ``taken``.
            OSError, http.client.HTTPException: no answer.
        """
        self._begin(method, what, len(body), "application/json")
        self._connection.send(body)
        return self._taken(f"{method} {what}")

    def send_log(self, log: OutputLog, offset: int, length: int) -> int:
        """Send a stretch of the log, from file to socket; return and raise as ``send`` does."""
        what = f"log?offset={offset}"
        self._begin("PUT", what, length, "application/octet-stream")
        sent = self._send_file(log.fileno(), offset, length)
        if sent != length:  # the server would wait for the rest
            raise OSError(f"the log has but {sent} of {length} bytes behind {offset}")
        return self._taken(f"PUT {what}")

    def _send_file(self, fd: int, offset: int, length: int) -> int:
        """Return how many bytes there were to send."""
        if not self._secure:
            with open(fd, "rb", buffering=0, closefd=False) as file:
                sent: int = self._connection.sock.sendfile(file, offset, length)
            return sent
        end = offset + length
        while offset < end and (data := os.pread(fd, min(_SEALED, end - offset), offset)):
            self._connection.send(data)
            offset += len(data)
        return length - (end - offset)

    def _begin(self, method: str, what: str, length: int, content_type: str) -> None:
        self._connection.putrequest(method, f"{self._path}/{what}", skip_accept_encoding=True)
        self._connection.putheader("Authorization", f"Bearer {self._token}")
        self._connection.putheader("Content-Type", content_type)
        self._connection.putheader("Content-Length", str(length))
        self._connection.endheaders()

    def _taken(self, asked: str) -> int:
        answer = self._connection.getresponse()
        text = answer.read()
        said = json.loads(text) if text.startswith(b"{") else {}
        # Whoever else got the port while the server is away may well say 404: it knows no node.
        if answer.status == 404 and said.get("code") == _NO_SUCH_NODE:
            raise Forgotten
        taken = said.get("taken")
        if answer.status != 200 or not isinstance(taken, int) or taken < 0:
            raise ValueError(f"{asked}: HTTP {answer.status} {text[:200]!r}")
        return taken

    def close(self) -> None:
        """Drop the connection; the next report opens another."""
        self._connection.close()
