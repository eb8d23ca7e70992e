"""Objects of the server's own store, read from its files: no HTTP for bytes on the same machine.

The server tells which file holds an object; the file never changes, and lingers for a while after
the object was replaced. Whatever does not work out (another machine, another user, a file that is
gone) is no error: the object is then read as any other.
"""

import contextlib
import importlib
import json
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from trainshed.domain.errors import ObjectMissing, StoreError
from trainshed.domain.plan import NodePlan
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.troubles import StoreAway

_TIMEOUT_S: Final = 60.0
_OK: Final = 200
_FILE: Final = re.compile(r"[0-9a-f]{32}")
_REMEMBERED: Final = 20_000
"""Files of listed objects that are kept in mind until they are read."""


class NotNearby(StoreError):
    """The server does not tell, or not this node: ask it as any S3 store."""


class Nearby:
    """The files of the server's own store. Safe to share between threads."""

    def __init__(self, plan: NodePlan) -> None:
        """Ask as the node of ``plan``, whose ``objects`` has a ``folder``."""
        self._host = urlsplit(plan.server_url).netloc
        self._path = f"/agent/v1/nodes/{plan.node_id}/objects"
        self._headers = {
            "authorization": f"Bearer {plan.token}",
            "content-type": "application/json",
        }
        self._folder = Path(plan.objects["folder"])
        self._files: OrderedDict[tuple[str, str], tuple[Entry, str]] = OrderedDict()
        self._lock = threading.Lock()
        self._off = False

    @classmethod
    def of(cls, plan: NodePlan) -> "Nearby | None":
        """Return the files that a node may read; None when its store is elsewhere."""
        folder = plan.objects.get("folder", "")
        own = plan.objects.get("endpoint", "").rstrip("/") == plan.server_url.rstrip("/")
        plain = urlsplit(plan.server_url).scheme == "http"  # as servers of this machine are asked
        return cls(plan) if folder and own and plain and Path(folder).is_dir() else None

    def page(self, bucket: str, prefix: str, after: str) -> tuple[list[Entry], bool]:
        """Return a page of objects behind the key ``after``, and whether more follow.

        Raises:
            NotNearby: the server does not tell.
            ObjectMissing: no such bucket.
            StoreAway: it does not answer.
        """
        asked = {"bucket": bucket, "prefix": prefix, "after": after}
        found, more = self._ask(asked)
        return found, more

    def find(self, bucket: str, key: str) -> Entry:
        """Return what a list would tell of one object; raise as ``page`` does."""
        found, _ = self._ask({"bucket": bucket, "keys": [key]})
        if not found:
            raise ObjectMissing(f"s3://{bucket}/{key} does not exist")
        return found[0]

    def opened(self, bucket: str, key: str, etag: str) -> int | None:
        """Return a read-only descriptor of an object's bytes; the caller closes it.

        None when they cannot be had so. An ``etag`` of "" takes the object that is there now.

        Raises:
            ObjectMissing: no such object.
            StoreAway: the server does not answer.
        """
        with self._lock:
            known = self._files.pop((bucket, key), None) if etag else None
        try:
            if known is None or known[0].etag != etag:
                self.find(bucket, key)
                with self._lock:
                    known = self._files.pop((bucket, key), None)
        except NotNearby:
            return None
        if known is None or (etag and known[0].etag != etag):
            return None
        entry, file = known
        with contextlib.suppress(OSError):
            fd = os.open(self._folder / file[:2] / file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            if os.fstat(fd).st_size == entry.size:
                return fd
            os.close(fd)
        return None

    def _ask(self, asked: Mapping[str, Any]) -> tuple[list[Entry], bool]:
        if self._off:
            raise NotNearby(f"{self._host} does not tell this node")
        # 20 ms, which a job without s3:// never pays.
        http = importlib.import_module("http.client")
        connection = http.HTTPConnection(self._host, timeout=_TIMEOUT_S)
        try:
            connection.request("POST", self._path, json.dumps(asked), self._headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.HTTPException) as error:
            raise StoreAway(f"{self._host} does not answer: {error}") from error
        finally:
            connection.close()
        if answer.status >= 500:
            raise StoreAway(f"{self._host}: HTTP {answer.status}: {text.decode(errors='replace')}")
        if answer.status != _OK:
            self._off = True
            raise NotNearby(f"{self._host} does not tell this node")
        told = json.loads(text)
        if told.get("missing"):
            raise ObjectMissing(f"s3://{asked['bucket']}/ does not exist: NoSuchBucket")
        return self._kept(asked["bucket"], told["objects"]), bool(told["more"])

    def _kept(self, bucket: str, objects: Sequence[Sequence[Any]]) -> list[Entry]:
        """Return a page's entries, and remember their files."""
        entries = []
        with self._lock:
            for key, size, etag, modified, file in objects:
                entries.append(Entry(key, size, etag, modified))
                if _FILE.fullmatch(file):
                    self._files[bucket, key] = entries[-1], file
            while len(self._files) > _REMEMBERED:
                self._files.popitem(last=False)
        return entries
