"""What may happen to an agent's report on its way to the server, and to the answer on its way back.

Points are ``reports.facts`` and ``reports.log``. A report that is delayed is overtaken by others;
one that is doubled comes again at once; one that fails never arrives; an answer may be lost.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trainshed.testing.faults.faults import Faults


class _Unheard(Exception):
    """The agent gets no answer that tells it anything."""


class FaultyReports:
    """The ASGI app that takes reports, with faults around it."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        """Have reports come to ``app``, if they come."""
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = await _whole(receive)
        name = f"reports.{scope['path'].rpartition('/')[2]}"

        async def answered() -> list[Message]:
            said: list[Message] = []

            async def keep(message: Message) -> None:
                said.append(message)

            await self._app(scope, _again(body), keep)
            return said

        try:
            said = await self._faults.around(name, answered, failed=_Unheard, lost=_Unheard)
        except _Unheard:
            said = [
                {"type": "http.response.start", "status": 502, "headers": []},
                {"type": "http.response.body", "body": b""},
            ]
        for message in said:
            await send(message)


async def _whole(receive: Receive) -> bytes:
    found = bytearray()
    while True:
        message = await receive()
        found += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(found)


def _again(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
