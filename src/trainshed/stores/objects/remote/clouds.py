"""Buckets of Google, containers of Azure, and S3 as whom the machine is: through obstore.

The only module that loads obstore, so that jobs which need none of these never pay for it. It finds
a machine's own credentials (environment, instance role, workload identity), and reads keys as
paths: keys with ``.`` or ``..`` segments or empty ones are refused.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final, cast

import obstore
from obstore.exceptions import BaseError, PreconditionError
from obstore.store import AzureStore, GCSStore, S3Store

from trainshed.domain.errors import ObjectMissing, StoreError
from trainshed.stores.objects.remote.access import Access
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.places import Found, Sending
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.troubles import ObjectChanged, StoreAway, refusal

_READ_CHUNK: Final = 1 << 20
_PAGE: Final = 1000
_PART: Final = 16 << 20
"""Upload parts; 10,000 of them hold 160 GB."""
_PARTS_AT_ONCE: Final = 2
_SILENCE: Final = timedelta(minutes=1)
"""How long a store may say nothing in the middle of an answer."""
_WHOLE: Final = timedelta(days=7)
"""How long one answer may take in all: what a terabyte takes on a slow line."""
_STATUS = re.compile(r"status code: (\d{3})|status: (\d{3})|returned (\d{3})")
_REPORT = re.compile(r"\n\s*\n?Debug source:.*", re.DOTALL)
_FAULTS: Final = (BaseError, OSError, ValueError)
_ENCRYPTION: Final = {
    "x-amz-server-side-encryption": "server_side_encryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "sse_kms_key_id",
}
_ATTRIBUTES: Final = {
    "content-type": "Content-Type",
    "content-encoding": "Content-Encoding",
    "content-disposition": "Content-Disposition",
    "content-language": "Content-Language",
    "cache-control": "Cache-Control",
}


class Cloud:
    """See ``Place``."""

    def __init__(self, access: Access, scheme: str, name: str) -> None:
        """Reach the bucket or container ``name``."""
        self._access = access
        self._scheme = scheme
        self._name = name
        try:
            self._store = _store(access, scheme, name)
        except _FAULTS as error:
            raise StoreError(f"{scheme}://{name}/: {_words(error)}") from error

    def page(self, prefix: str, after: str) -> tuple[list[Entry], bool]:
        """Return a page of objects behind the key ``after``, and whether more follow."""
        folder = prefix[: prefix.rfind("/") + 1]
        found: list[Entry] = []
        try:
            pages = obstore.list(
                self._store, folder or None, offset=after or None, chunk_size=_PAGE
            )
            for page in pages:
                # It takes a prefix for a folder; here it is plain text, as S3 has it.
                for meta in page:
                    if meta["path"].startswith(prefix) and meta["path"] > after:
                        found.append(_entry(meta))
                if len(found) >= _PAGE:
                    return sorted(found), True
        except _FAULTS as error:
            raise self._sorted_out(prefix, error) from error
        return sorted(found), False

    def head(self, key: str) -> Found:
        """Return what the store tells of an object."""
        try:
            return _found(obstore.head(self._store, key))
        except _FAULTS as error:
            raise self._sorted_out(key, error) from error

    def open(self, key: str, offset: int, end: int | None, etag: str) -> "CloudReading":
        """Begin to read an object; see ``Place``."""
        options: dict[str, Any] = {"if_match": f'"{etag}"'} if etag else {}
        if end is not None:
            options["range"] = (offset, end)
        elif offset:
            options["range"] = {"offset": offset}
        try:
            got = obstore.get(self._store, key, options=cast("obstore.GetOptions", options))
            told = _found(got.meta)
            chunks = iter(got.stream(_READ_CHUNK)) if offset < told.size else iter(())
        except PreconditionError as error:
            raise ObjectChanged(f"{self._address(key)} was replaced meanwhile") from error
        except _FAULTS as error:
            raise self._sorted_out(key, error) from error
        return CloudReading(told, chunks, lambda error: self._sorted_out(key, error))

    def delete(self, key: str) -> None:
        """Delete an object; one that is gone is no error."""
        try:
            obstore.delete(self._store, key)
        except FileNotFoundError:
            return
        except _FAULTS as error:
            raise self._sorted_out(key, error) from error

    def upload(
        self,
        key: str,
        write: Callable[[Sink], None],
        headers: Mapping[str, str],
        sending: Sending,
    ) -> None:
        """Store what ``write`` writes; see ``Place``. What breaks is sent again from its start."""
        sending.patience.ask(self._address(key), lambda: self._upload(key, write, headers))

    def abort(self, key: str, upload: str) -> None:
        """Do nothing: obstore tells nobody the ids of its uploads, so none was noted."""

    def _upload(self, key: str, write: Callable[[Sink], None], headers: Mapping[str, str]) -> None:
        attributes = {_ATTRIBUTES[n]: value for n, value in headers.items() if n in _ATTRIBUTES}
        encryption: dict[str, Any] = {
            _ENCRYPTION[n]: value for n, value in headers.items() if n in _ENCRYPTION
        }
        try:
            store = self._store
            if self._scheme == "s3" and encryption:
                store = _store(self._access, self._scheme, self._name, encryption)
            sink = obstore.open_writer(
                store,
                key,
                attributes=attributes,
                buffer_size=_PART,
                max_concurrency=_PARTS_AT_ONCE,
            )
        except _FAULTS as error:
            raise self._sorted_out(key, error) from error
        write(cast("Sink", _Guarded(sink, lambda error: self._sorted_out(key, error))))
        try:
            sink.close()
        except _FAULTS as error:
            raise self._sorted_out(key, error) from error

    def _address(self, key: str) -> str:
        return f"{self._scheme}://{self._name}/{key}"

    def _sorted_out(self, key: str, error: Exception) -> StoreError:
        address, text = self._address(key), _words(error)
        if isinstance(error, FileNotFoundError):
            return ObjectMissing(f"{address} does not exist")
        if isinstance(error, ValueError):
            return StoreError(f"{address} is a key that cannot be moved: {text}")
        if (found := _STATUS.search(text)) is not None:
            return refusal(address, int(found[1] or found[2] or found[3]), text)
        return StoreAway(f"{address}: {text}")


class CloudReading:
    """See ``Reading``."""

    def __init__(
        self,
        told: Found,
        chunks: Iterator[Any],
        sorted_out: Callable[[Exception], StoreError],
    ) -> None:
        """Read what ``chunks`` yield."""
        self.found = told
        self._chunks = chunks
        self._sorted_out = sorted_out
        self._rest = memoryview(b"")

    def into(self, buffer: memoryview, /) -> int:
        """Read the next bytes; 0 at the end."""
        try:
            while buffer and not self._rest:
                self._rest = memoryview(next(self._chunks)).cast("B")
        except StopIteration:
            return 0
        except _FAULTS as error:
            raise self._sorted_out(error) from error
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        """Let go of the connection."""
        self._chunks = iter(())


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


def _store(
    access: Access, scheme: str, name: str, more: dict[str, Any] | None = None
) -> S3Store | GCSStore | AzureStore:
    """Return obstore's store; what the access does not say, obstore finds on the machine."""
    shared: dict[str, Any] = {
        "client_options": {"allow_http": True, "timeout": _WHOLE, "read_timeout": _SILENCE},
        # Patience is the caller's: it can be cancelled there.
        "retry_config": {"max_retries": 1, "retry_timeout": timedelta(seconds=10)},
    }
    endpoint: dict[str, Any] = {"endpoint": access.endpoint} if access.endpoint else {}
    if scheme == "gs":
        account: dict[str, Any] = (
            {"service_account": access.secret_key} if access.secret_key else {}
        )
        base: dict[str, Any] = {"base_url": access.endpoint} if access.endpoint else {}
        return GCSStore(name, **shared, **account, **base)
    if scheme == "az":
        options: dict[str, Any] = {"account_name": access.access_key} if access.access_key else {}
        options |= {"account_key": access.secret_key} if access.secret_key else {}
        return AzureStore(name, **shared, **options, **endpoint)
    return S3Store(
        name,
        region=access.region,
        virtual_hosted_style_request=False,
        **shared,
        **endpoint,
        **(more or {}),
    )


def _found(meta: Any) -> Found:  # noqa: ANN401 - a dict that obstore types as many
    etag = (meta["e_tag"] or "").strip('"')
    return Found(size=meta["size"], etag=etag, modified=meta["last_modified"].timestamp())


def _entry(meta: Any) -> Entry:  # noqa: ANN401
    return _found(meta).entry(meta["path"])


def _words(error: Exception) -> str:
    return _REPORT.sub("", str(error))
