"""Gives up uploads in parts that nobody goes on with: their parts take room and are no object.

Amazon S3 offers it as a lifecycle rule, AbortIncompleteMultipartUpload. Here it is one setting for
all buckets, counted as there: from the moment when the upload was begun.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from trainshed.domain.errors import StoreError
from trainshed.stores.objects.info import Upload

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 3600.0
"""How often to look; a day more or less matters to nobody."""
_LEAD_SECONDS: Final = 1.0
"""How often to look whether this server is to do it by now."""


class Unfinished(Protocol):
    """The slice of ``Uploads`` that is looked at."""

    async def abort_begun_before(self, moment: datetime) -> Sequence[Upload]:
        """Drop the uploads that began before then; return those that were dropped."""
        ...


class Expiry:
    """Looks now and then."""

    def __init__(
        self,
        uploads: Unfinished,
        clock: Callable[[], datetime],
        after: timedelta,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """Give up what was begun ``after`` ago; zero gives nothing up.

        ``leads`` tells whether this server is the one that does it.
        """
        self._uploads = uploads
        self._clock = clock
        self._after = after
        self._leads = leads

    async def run(self) -> None:
        """Work until cancelled."""
        while self._after:
            led = self._leads()
            try:
                if led:
                    await self.look()
            except StoreError:  # a full disk, mostly
                log.exception("uploads that nobody finished could not be given up this time")
            await asyncio.sleep(_LOOK_SECONDS if led else _LEAD_SECONDS)

    async def look(self) -> None:
        """Give up, once, what is due.

        Raises:
            StoreError: it can't be.
        """
        for upload in await self._uploads.abort_begun_before(self._clock() - self._after):
            log.warning(
                "the upload of s3://%s/%s that was begun at %s, and not finished, is given up "
                "(objects.abort_incomplete_uploads_after)",
                upload.bucket,
                upload.key,
                upload.started.isoformat(timespec="seconds"),
            )
