"""The bytes of one S3 bucket, through obstore: streamed, in parallel, small in memory.

The only module of the agent that loads obstore, so that jobs without ``s3://`` never pay for it.
Keys that obstore cannot name (a ``.`` or ``..`` segment, control characters) are refused.
"""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final, cast

import obstore
from obstore.exceptions import BaseError, PreconditionError
from obstore.store import S3Store

from trainshed.domain.errors import ObjectMissing, StoreError
from trainshed.stores.objects.remote.access import Access
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.troubles import ObjectChanged, StoreAway, refusal

_READ_CHUNK: Final = 1 << 20
_PART: Final = 8 << 20
"""Upload parts; S3 allows 10,000, so the largest object is 80 GB."""
_PARTS_AT_ONCE: Final = 2
_SILENCE: Final = timedelta(minutes=10)
"""How long a store may say nothing in the middle of an answer."""
_WHOLE: Final = timedelta(days=7)
"""How long one answer may take in all: what a terabyte takes on a slow line."""
_STATUS = re.compile(r"status code: (\d{3})")
_REPORT = re.compile(r"\n\s*\n?Debug source:.*", re.DOTALL)


class Bucket:
    """Reads and writes objects of one bucket. Safe to share between threads.

    Every method raises ``ObjectMissing``, ``StoreAway`` (worth asking again) or ``StoreError``.
    """

    def __init__(self, access: Access, name: str) -> None:
        options: dict[str, Any] = {"endpoint": access.endpoint} if access.endpoint else {}
        self._name = name
        self._store = S3Store(
            name,
            access_key_id=access.access_key,
            secret_access_key=access.secret_key,
            region=access.region,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True, "timeout": _WHOLE, "read_timeout": _SILENCE},
            # Patience is the caller's: it can be cancelled there.
            retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=10)},
            **options,
        )

    def chunks(self, key: str) -> Iterator[memoryview]:
        """Yield an object's bytes, about a mebibyte at a time."""
        try:
            for chunk in obstore.get(self._store, key).stream(_READ_CHUNK):
                yield memoryview(chunk)
        except (BaseError, OSError, ValueError) as error:
            raise self._sorted_out(key, error) from error

    def stretch(self, key: str, offset: int, end: int | None, etag: str) -> Iterator[memoryview]:
        """Yield the bytes from ``offset`` to ``end`` (None: to the last) of the object ``etag``.

        Raises:
            ObjectChanged: the object is another.
        """
        options: dict[str, Any] = {"if_match": f'"{etag}"'} if etag else {}
        if end is not None:
            options["range"] = (offset, end)
        elif offset:
            options["range"] = {"offset": offset}
        try:
            found = obstore.get(self._store, key, options=cast("obstore.GetOptions", options))
            if offset >= found.meta["size"]:
                return
            for chunk in found.stream(_READ_CHUNK):
                yield memoryview(chunk)
        except PreconditionError as error:
            raise ObjectChanged(f"s3://{self._name}/{key} was replaced meanwhile") from error
        except (BaseError, OSError, ValueError) as error:
            raise self._sorted_out(key, error) from error

    def upload(self, key: str, write: Callable[[Sink], None]) -> None:
        """Store what ``write`` writes; the object appears whole or not at all."""
        try:
            sink = obstore.open_writer(
                self._store, key, buffer_size=_PART, max_concurrency=_PARTS_AT_ONCE
            )
        except (BaseError, OSError, ValueError) as error:
            raise self._sorted_out(key, error) from error
        write(cast("Sink", _Guarded(sink, lambda error: self._sorted_out(key, error))))
        try:
            sink.close()
        except (BaseError, OSError, ValueError) as error:
            raise self._sorted_out(key, error) from error

    def delete(self, key: str) -> None:
        """Delete an object; one that is gone is no error."""
        try:
            obstore.delete(self._store, key)
        except FileNotFoundError:
            return
        except (BaseError, OSError, ValueError) as error:
            raise self._sorted_out(key, error) from error

    def _sorted_out(self, key: str, error: Exception) -> StoreError:
        address, text = f"s3://{self._name}/{key}", _REPORT.sub("", str(error))
        if isinstance(error, FileNotFoundError):
            return ObjectMissing(f"{address} does not exist")
        if isinstance(error, ValueError):
            return StoreError(f"{address} is a key that cannot be moved: {text}")
        if (found := _STATUS.search(text)) is not None:
            return refusal(address, int(found[1]), text)
        return StoreAway(f"{address}: {text}")


class _Guarded:
    """A writer whose errors are ours, so that a failing read elsewhere is not taken for one."""

    def __init__(self, sink: Any, sorted_out: Callable[[Exception], StoreError]) -> None:  # noqa: ANN401
        self._sink = sink
        self._sorted_out = sorted_out

    def write(self, data: bytes) -> int:
        try:
            return cast("int", self._sink.write(data))
        except (BaseError, OSError) as error:
            raise self._sorted_out(error) from error
