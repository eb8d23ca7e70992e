"""Objects to be read, wherever a server's settings say they lie: asked for as nodes ask for them.

What goes wrong is said in a client's words.
"""

import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from trainshed.client import objects
from trainshed.client.api import Api, Credentials, keys_of
from trainshed.client.errors import ApiError, ClientError, ServerUnreachable
from trainshed.client.objects import Progress
from trainshed.domain.errors import ObjectMissing, StoreError
from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.patience import Patience
from trainshed.stores.objects.remote.places import Found
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import Damaged, ObjectChanged, StoreAway


class Stores:
    """The stores that a server's client reaches. May be used from several threads at once.

    Every method raises:
        ApiError: 404 when there is no such object, or bucket.
        ServerUnreachable: the store is away, or too busy, for longer than it is waited for.
        ClientError: the store refuses, or cannot be reached from here; what came is damaged.
    """

    def __init__(self, api: Api, *, patience_s: float = 6.0) -> None:
        """Reach what ``api`` reaches; wait so many seconds for a store that is away."""
        self._api = api
        self._cut = threading.Event()
        self._objects = RemoteObjects(
            _access(api.endpoint("s3"), api.credentials),
            stores=[
                {"prefix": store.prefix, **_access(store.url, store.credentials)}
                for store in api.stores
            ],
            patience=Patience(cancelled=self._cut.is_set, seconds=patience_s),
        )

    def entries(self, uri: str) -> Iterator[Entry]:
        """Yield every object whose address begins with ``uri``; a page of them is held."""
        with self._in_words(uri):
            yield from self._objects.list(self._address(uri))

    def told(self, uri: str) -> Found:
        """Return what the store tells of an object."""
        with self._in_words(uri):
            return self._objects.told(self._address(uri))

    def size(self, uri: str) -> int:
        """Return the bytes of an object, or of all below a prefix, which ends with ``/``."""
        if not uri.endswith("/"):
            return self.told(uri).size
        total = count = 0
        for entry in self.entries(uri):
            total, count = total + entry.size, count + 1
        if not count:
            raise objects.missing(uri)
        return total

    def stream(self, uri: str) -> Generator[memoryview, None, None]:
        """Yield an object's bytes, about a mebibyte at a time."""
        with self._in_words(uri):
            yield from self._objects.stream(self._address(uri))

    def bring(self, uri: str, target: Path, size: int, progress: Progress) -> Found:
        """Bring an object into a file, which it takes the place of when it is whole.

        What comes stays beside the file, for the next time. ``size`` is about what it has. Raises
        also ``OSError``: ``target`` could not be written.
        """
        with self._in_words(uri):
            address = self._address(uri)
            some = Entry(address.key, size, "")
            return self._objects.download(address, target, some, arrived=progress)

    def cut(self) -> None:
        """Break off what is under way in other threads, for good."""
        self._cut.set()
        self._objects.cut()

    def _address(self, uri: str) -> Address:
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        store = self._api.store_of(f"{scheme}://{bucket}/{key}")
        if store is None or scheme == "s3":
            bucket, key = objects.split_uri(uri)
        if store is not None and scheme == "s3":
            keys_of(store)
        return Address(scheme, bucket, key)

    @contextmanager
    def _in_words(self, uri: str) -> Iterator[None]:
        try:
            yield
        except ObjectMissing as error:
            raise self._missing(uri) from error
        except Damaged as error:
            raise ClientError(
                f"{uri} arrived damaged: its checksum does not hold; nothing of it was kept",
                "run it again; if that does not help, the store's copy is broken",
            ) from error
        except ObjectChanged as error:
            raise ClientError(f"{uri} changed while it was read", "run it again") from error
        except StoreAway as error:
            raise ServerUnreachable(str(error)) from error
        except StoreError as error:
            raise ClientError(str(error)) from error

    def _missing(self, uri: str) -> ApiError:
        # No answer to a HEAD tells which of the two is not there.
        if self._api.store_of(uri) is None:
            bucket, _ = objects.split_uri(uri)
            if not objects.has_bucket(self._api, bucket):
                return objects.no_bucket(bucket)
        return objects.missing(uri)


def _access(url: str, keys: Credentials | None) -> Mapping[str, str]:
    if keys is None:
        return {"endpoint": url}
    return {
        "endpoint": url,
        "access_key": keys.access_key,
        "secret_key": keys.secret_key,
        "region": keys.region,
        "token": keys.token,
    }
