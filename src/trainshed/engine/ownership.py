"""Which jobs this server steps, and whether it is the one that lets jobs in.

Told by leases in the records: a server that beats keeps its jobs, the jobs of one that is silent go
to the living. A server that was paused for so long that others took its work over learns it at its
next beat, drops all, and comes back under another name.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from trainshed.domain.errors import StoreError
from trainshed.stores.records.base import SCHEDULER, SERVER_TTL, Leases, Server

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 1.0
_CLAIM_AT_ONCE: Final = 200
_MARGIN_SECONDS: Final = 1.0
"""How long before its lease ends a server stops acting on it."""


class Ownership:
    """One server's part of the work."""

    def __init__(
        self,
        leases: Leases,
        server: Server,
        *,
        alone: bool = False,
        beat_seconds: float = BEAT_SECONDS,
    ) -> None:
        """Own nothing yet.

        Args:
            leases: where the servers tell each other.
            server: this one; ``server.id`` names it as long as it is never silent.
            alone: whether there can be no other, so that nobody waits for its beats.
            beat_seconds: how often to beat.
        """
        self._leases = leases
        self._server = server
        self._alone = alone
        self._beat_seconds = beat_seconds
        self._sure_until = 0.0
        self._claimed: asyncio.Queue[str] = asyncio.Queue()
        self.mine: dict[str, None] = {}
        """ARNs of the jobs to step, in the order they came; those that are over are dropped by
        whoever finds that out."""
        self.leads = False
        """Whether this server lets jobs in."""
        self.on_lead: Callable[[bool], None] = lambda _: None
        """Told when ``leads`` changes."""

    @property
    def id(self) -> str:
        """What this server is called now."""
        return self._server.id

    @property
    def sure(self) -> bool:
        """Whether nobody else can have taken this server's work over yet."""
        return self._alone or asyncio.get_running_loop().time() < self._sure_until

    async def owns(self, arn: str) -> bool:
        """Tell whether a job is this server's; asks the records about those it has not met."""
        if arn in self.mine:
            return True
        if await self._leases.owner(arn) == self.id:
            self.mine[arn] = None
        elif self._alone:  # it is nobody's, and nobody else will claim it
            await self._claim()
        return arn in self.mine

    async def begin(self) -> None:
        """Register, and take what nobody living owns.

        Raises:
            StoreError: the records can't be used, or are of a newer program.
        """
        await self._register(self._server)
        await self._beat()

    async def run(self) -> None:
        """Beat until cancelled."""
        while not self._alone:
            await asyncio.sleep(self._beat_seconds)
            try:
                await self._beat()
            except StoreError:
                log.exception("the lease of this server could not be renewed this time")
            if not self.sure and self.leads:
                self._lead(False)

    async def next_claimed(self) -> list[str]:
        """Wait for jobs that were taken over, and return their ARNs."""
        found = [await self._claimed.get()]
        while not self._claimed.empty():
            found.append(self._claimed.get_nowait())
        return found

    async def end(self) -> None:
        """Hand everything to the others at once."""
        await self._leases.release(self.id)

    async def _register(self, server: Server) -> None:
        reached = await self._leases.register(server)
        self._server = server
        for name in sorted(set(server.reaches) - reached):
            log.warning(
                "the backend '%s' belongs to another machine of these records: its jobs are left "
                "to the servers there",
                name,
            )

    async def _beat(self) -> None:
        began = asyncio.get_running_loop().time()
        if not await self._leases.beat(self.id):
            log.error(
                "this server was silent for more than %g s and was declared dead: others have its "
                "jobs, and it begins anew",
                SERVER_TTL,
            )
            self.mine.clear()
            self._lead(False)
            await self._register(replace(self._server, id=new_id()))
            began = asyncio.get_running_loop().time()
        self._sure_until = began + SERVER_TTL - _MARGIN_SECONDS
        await self._claim()
        self._lead(await self._leases.hold(SCHEDULER, self.id))

    async def _claim(self) -> None:
        """Take what no living server owns; several survivors each take a part of it."""
        while claimed := await self._leases.claim(self.id, _CLAIM_AT_ONCE):
            self.mine |= dict.fromkeys(claimed)
            for arn in claimed:
                self._claimed.put_nowait(arn)
            if len(claimed) < _CLAIM_AT_ONCE:
                break

    def _lead(self, leads: bool) -> None:
        if leads != self.leads:
            self.leads = leads
            log.info("this server %s", "lets jobs in" if leads else "lets no jobs in any more")
            self.on_lead(leads)


def new_id() -> str:
    """Return a name that no server ever had."""
    return secrets.token_hex(8)
