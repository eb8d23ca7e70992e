"""What agents report: numbered facts and log lines, each node with a token of its own.

``Intake`` knows what a report means and nothing of HTTP; ``Reports`` is the ASGI app around it::

    POST /agent/v1/nodes/{node_id}/facts          {"facts": [...]}  -> {"taken": last number}
    PUT  /agent/v1/nodes/{node_id}/log?offset=N   raw bytes         -> {"taken": log size}

Both may be repeated after any break: what is already there is passed over.
"""

import asyncio
import contextlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from trainshed.domain import names
from trainshed.domain.errors import RequestRejected, StoreError
from trainshed.domain.facts import Fact, Kind, Outcome
from trainshed.domain.training import TrainingJob
from trainshed.wire.payload import gathered

MAX_FACTS_BYTES: Final = 4 * 1024 * 1024
MAX_LOG_BYTES: Final = 8 * 1024 * 1024
"""Of one request; agents send what is left with the next."""
_AT_ONCE: Final = 4
"""Large pieces of logs that come in at a time."""
_SMALL: Final = 64 * 1024
"""Bytes of those that need not wait for their turn."""
_TURN_S: Final = 0.25
_END_OF_TIME: Final = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


class ReportedJobs(Protocol):
    """The slice of ``TrainingRecords`` that takes reports."""

    async def by_id(self, job_id: str) -> TrainingJob | None:
        """Return the job whose ``id`` that is, or None."""
        ...

    async def take(self, job_id: str, attempt: int, host: str, facts: Sequence[Fact]) -> int | None:
        """Take the facts whose turn it is; return the last one taken, None without such a job."""
        ...


class LogBytes(Protocol):
    """The slice of the log store that takes reports."""

    async def append(self, group: str, stream: str, offset: int, data: bytes) -> int:
        """Keep what is new of ``data``, which begins at ``offset``; return the stream's size."""
        ...


@dataclass(frozen=True, slots=True)
class Node:
    """Who reports."""

    job_id: str
    attempt: int
    host: str


Heard = Callable[[float], None]
"""Is told when what was just taken had been seen, in seconds since the epoch."""


def _nothing(_: float) -> None:
    """Heed nothing."""


class Intake:
    """Takes reports into the stores."""

    def __init__(
        self, *, records: ReportedJobs, logs: LogBytes, secret: str, heard: Heard = _nothing
    ) -> None:
        """Keep facts in ``records`` and lines in ``logs``; tokens derive from ``secret``."""
        self._records = records
        self._logs = logs
        self._secret = secret
        self._heard = heard

    def admit(self, node_id: str, authorization: str) -> Node:
        """Return who reports.

        Raises:
            RequestRejected: the Authorization header does not hold this node's token (401), or
                the id names no node (404).
        """
        expected = f"Bearer {names.report_token(self._secret, node_id)}"
        if not hmac.compare_digest(authorization.encode(), expected.encode()):
            raise RequestRejected(
                "AccessDeniedException",
                f"node {node_id} needs its own token: Authorization: Bearer <token>",
                401,
            )
        job_id, _, rest = node_id.partition(".")
        attempt, _, host = rest.partition(".")
        if not (job_id and host and attempt.isascii() and attempt.isdigit()):
            raise _no_such_node(f"{node_id} is no <job id>.<attempt>.<host>")
        return Node(job_id, int(attempt), host)

    async def take_facts(self, node: Node, body: bytes) -> int:
        """Keep the facts of a report; return the last number taken of this node's journal.

        Raises:
            RequestRejected: a fact is malformed (400), or the job is gone (404).
        """
        facts = parse_facts(body)
        taken = await self._records.take(node.job_id, node.attempt, node.host, facts)
        if taken is None:
            raise _no_such_node(f"no job has the id {node.job_id}")
        if facts and facts[-1].n == taken:
            self._heard(facts[-1].at)
        return taken

    async def take_log(self, node: Node, offset: int, data: bytes) -> int:
        """Keep a piece of a node's log; return how many bytes of the log are kept.

        Each attempt has streams of its own, so what a former one still has to say finds its place.

        Raises:
            RequestRejected: the job is gone, or never had this attempt (404).
        """
        job = await self._records.by_id(node.job_id)
        if job is None:
            raise _no_such_node(f"no job has the id {node.job_id}")
        began = {one.number: one.started for one in job.past}
        if job.attempt is not None:
            began[job.attempt.number] = job.attempt.started
        started = began.get(node.attempt)
        if started is None:
            raise _no_such_node(f"{job.name} has no attempt {node.attempt}")
        stream = names.log_stream(job.name, node.host, started)
        return await self._logs.append(names.TRAINING_LOG_GROUP, stream, offset, data)


def parse_facts(body: bytes) -> list[Fact]:
    """Return the facts of a report's body.

    Raises:
        RequestRejected: it is no JSON object with well-formed facts (400); the message says why.
    """
    try:
        report = json.loads(_without_surrogates(body))
        lines = report["facts"] if isinstance(report, dict) and "facts" in report else None
        if not isinstance(lines, list):
            raise _malformed('a report is {"facts": [...]}')
        return [_fact(line) for line in lines]
    except (ValueError, OverflowError, RecursionError) as error:
        raise _malformed(str(error)) from error


def _without_surrogates(body: bytes) -> bytes:
    r"""Return JSON without half characters such as ``\udc80``, which no store can keep.

    A file's name that is no UTF-8 becomes such a text on its way through Python.
    """
    if b"\\ud" not in body.lower():
        return body
    return json.dumps(json.loads(body), ensure_ascii=False).encode("utf-8", "replace")


def _fact(line: object) -> Fact:
    if not isinstance(line, Mapping):
        raise ValueError(f"a fact is a JSON object; found {line!r}")
    fact = Fact.parse(line)
    if not 0 <= fact.at < _END_OF_TIME:
        raise ValueError(f"fact {fact.n} needs at, seconds since the epoch; found {fact.at}")
    match fact.kind:
        case Kind.METRICS:
            points = fact.detail.get("points")
            if not isinstance(points, list) or not all(map(_is_point, points)):
                raise ValueError(f"fact {fact.n} needs points, a list of [name, value, seconds]")
        case Kind.EXITED:
            code = fact.detail.get("exit_code")
            if not isinstance(code, int) or isinstance(code, bool):
                raise ValueError(f"fact {fact.n} needs exit_code, a whole number; found {code!r}")
        case Kind.ENDED:
            Outcome(fact.detail.get("outcome", ""))
        case _:
            pass  # nothing further is read from these
    return fact


def _is_point(point: object) -> bool:
    return (
        isinstance(point, list)
        and len(point) == 3
        and isinstance(point[0], str)
        and all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in point[1:])
    )


def _malformed(why: str) -> RequestRejected:
    return RequestRejected("ValidationException", why, 400)


def _no_such_node(why: str) -> RequestRejected:
    return RequestRejected("ResourceNotFound", why, 404)


class _Turns:
    """Has large bodies come in a few at a time: who asks something else is answered in between.

    All that arrives passes through one event loop, and a round of it that reads a megabyte from
    each of fifty agents keeps everybody waiting.
    """

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(_AT_ONCE)

    @contextlib.asynccontextmanager
    async def turn(self, length: str) -> AsyncIterator[None]:
        """Hold one of the turns; not for small bodies, and no longer than a quick agent needs."""
        if length.isascii() and length.isdigit() and int(length) <= _SMALL:
            yield
            return
        await self._free.acquire()
        held = [self._free]

        def release() -> None:
            while held:
                held.pop().release()

        # Whoever sends slowly is no burden, and must not keep the others from sending.
        ending = asyncio.get_running_loop().call_later(_TURN_S, release)
        try:
            yield
        finally:
            ending.cancel()
            release()


class Reports:
    """The ASGI app under ``/agent/v1``."""

    def __init__(
        self, *, records: ReportedJobs, logs: LogBytes, secret: str, heard: Heard = _nothing
    ) -> None:
        """Take reports in as ``Intake`` does."""
        self._intake = Intake(records=records, logs=logs, secret=secret, heard=heard)
        self._turns = _Turns()
        self._router = Router(
            [
                Route("/agent/v1/nodes/{node_id}/facts", self._facts, methods=["POST"]),
                Route("/agent/v1/nodes/{node_id}/log", self._log, methods=["PUT"]),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._router(scope, receive, send)

    async def _facts(self, request: Request) -> Response:
        async def take() -> int:
            body = await _body(request, MAX_FACTS_BYTES)
            return await self._intake.take_facts(self._node(request), body)

        return await _answer(take)

    async def _log(self, request: Request) -> Response:
        async def take() -> int:
            async with self._turns.turn(request.headers.get("content-length", "")):
                return await take_now()

        async def take_now() -> int:
            # All of it before any refusal: who still sends would see a broken pipe, and no reason.
            body = await _body(request, MAX_LOG_BYTES)
            node = self._node(request)
            offset = request.query_params.get("offset", "")
            if not (offset.isascii() and offset.isdigit() and len(offset) < 19):
                raise _malformed(f"a piece of log needs ?offset=, bytes from 0; found {offset!r}")
            return await self._intake.take_log(node, int(offset), body)

        return await _answer(take)

    def _node(self, request: Request) -> Node:
        return self._intake.admit(
            request.path_params["node_id"], request.headers.get("authorization", "")
        )


async def _body(request: Request, limit: int) -> bytes:
    """Return the request's body.

    Raises:
        RequestRejected: it is longer than ``limit`` bytes (413).
    """
    too_large = RequestRejected(
        "RequestTooLarge", f"a report holds at most {limit} bytes; send it in pieces", 413
    )
    return await gathered(request.stream(), limit=limit, refusal=too_large)


async def _answer(take: Callable[[], Awaitable[int]]) -> Response:
    """Return what was taken, or why nothing was."""
    try:
        return JSONResponse({"taken": await take()})
    except RequestRejected as error:
        return _refusal(error.code, error.message, error.status)
    except StoreError as error:
        # The agent keeps its journal, and reports again when the store is well.
        return _refusal("ServiceUnavailable", str(error), 503)


def _refusal(code: str, message: str, status: int) -> Response:
    return JSONResponse({"code": code, "message": message}, status_code=status)
