"""Asks object stores beside the server's own, without waiting long for any."""

import asyncio
import contextlib
import threading
from typing import Final

from trainshed.domain.errors import StoreError
from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import StoreAway

_PATIENCE_S: Final = 4.0
_AT_ONCE: Final = 32
"""Questions under way; a store that never answers must not use up the server's threads."""


class Elsewhere:
    """The stores that the settings name."""

    def __init__(self, objects: RemoteObjects, *, patience_s: float = _PATIENCE_S) -> None:
        """Ask by ``objects``, for ``patience_s`` seconds at most."""
        self._objects = objects
        self._patience_s = patience_s
        self._room = threading.BoundedSemaphore(_AT_ONCE)

    def has(self, address: Address) -> bool:
        """Tell whether an address lies in one of them."""
        return self._objects.is_elsewhere(address)

    async def holds(self, address: Address) -> bool | None:
        """Tell whether any key begins so; None when the store can't be asked now.

        Raises:
            ObjectMissing: no such bucket.
            StoreError: it refuses to tell.
        """
        if not self._room.acquire(blocking=False):
            return None
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[bool | None] = loop.create_future()

        def tell(found: bool | None, error: StoreError | None) -> None:
            if answered.done():
                return
            if error is None:
                answered.set_result(found)
            else:
                answered.set_exception(error)

        def ask() -> None:
            found, error = self._look(address)
            self._room.release()
            with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
                loop.call_soon_threadsafe(tell, found, error)

        # A thread that nobody waits for when the server ends.
        threading.Thread(target=ask, daemon=True).start()
        try:
            return await asyncio.wait_for(answered, self._patience_s)
        except TimeoutError:
            return None

    def _look(self, address: Address) -> tuple[bool | None, StoreError | None]:
        try:
            return next(self._objects.list(address), None) is not None, None
        except StoreAway:
            return None, None
        except StoreError as error:
            return None, error
