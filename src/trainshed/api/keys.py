"""Which keys the server knows: its own, those that only read, and those of the jobs that run."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Protocol

from trainshed.domain import keys
from trainshed.domain.training import TrainingJob
from trainshed.wire.keys import AccessKey

_READS: Final = ("Await", "Describe", "Explain", "Filter", "Get", "List", "Search")
"""How the names of operations begin that change nothing."""


def reads(service: str, operation: str) -> bool:
    """Tell whether an operation only tells of jobs and their logs. Objects are not among that."""
    return service in {"sagemaker", "logs", "sts", "trainshed"} and operation.startswith(_READS)


class JobsById(Protocol):
    """The slice of ``TrainingRecords`` that tells whether a job still runs."""

    async def by_id(self, job_id: str) -> TrainingJob | None:
        """Return the job whose ``id`` that is, or None."""
        ...


class Keyring:
    """Finds what belongs to an access key. Nothing of it is stored but the server's own."""

    def __init__(
        self,
        *,
        own: Mapping[str, str],
        records: JobsById,
        secret: str,
        clock: Callable[[], datetime],
    ) -> None:
        """Know ``own``, secrets by access key, and keys of jobs, which derive from ``secret``.

        Each key in ``own`` has one beside it that only reads (``domain.keys.reader``).
        """
        self._own = {access_key: AccessKey(own[access_key]) for access_key in own}
        for pair in own.items():
            access_key, its_secret = keys.reader(*pair)
            self._own[access_key] = AccessKey(its_secret, allows=reads)
        self._records = records
        self._secret = secret
        self._clock = clock

    async def find(self, access_key: str) -> AccessKey | None:
        """Return what belongs to the key; None when it is unknown, or its job is over.

        Raises:
            StoreError: the records could not be read.
        """
        if (own := self._own.get(access_key)) is not None:
            return own
        key = keys.read(access_key)
        if key is None or not key.opens(await self._records.by_id(key.job_id)):
            return None
        return AccessKey(
            key.secret(self._secret),
            key.token(self._secret),
            expired=key.expired(self._clock()),
        )
