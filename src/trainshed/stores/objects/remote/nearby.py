"""Objects of the server's own store, read from its files: no HTTP for bytes on the same machine.

The server tells which file holds an object; the file never changes, and lingers for a while after
the object was replaced. Whatever does not work out (another machine, another user, a file that is
gone) is no error: the object is then read as any other.
"""

import contextlib
import errno
import fcntl
import importlib
import json
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from trainshed.domain.errors import ObjectMissing, StoreError
from trainshed.domain.plan import NodePlan
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.partial import partial
from trainshed.stores.objects.remote.troubles import StoreAway

_TIMEOUT_S: Final = 60.0
_OK: Final = 200
_FILE: Final = re.compile(r"[0-9a-f]{32}")
_REMEMBERED: Final = 20_000
"""Files of listed objects that are kept in mind until they are read."""
_COPY: Final = 64 << 20
"""Bytes of one kernel copy, so that a copy can be cancelled."""
_CLONE: Final = 0x40049409
"""FICLONE, linux/fs.h."""
_NO_KERNEL_COPY: Final = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}


class NotNearby(StoreError):
    """The server does not tell, or not this node: ask it as any S3 store."""


class Nearby:
    """The files of the server's own store. Safe to share between threads."""

    def __init__(self, plan: NodePlan) -> None:
        """Ask as the node of ``plan``, whose ``objects`` has a ``folder``."""
        url = urlsplit(plan.server_url)
        self._host = url.netloc
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
        return cls(plan) if folder and own and Path(folder).is_dir() else None

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


class Copier:
    """Copies files inside the kernel, sharing their blocks where the file system can."""

    def __init__(self) -> None:
        self._clones = True

    def copy(self, source: int, target: Path, check: Callable[[], None]) -> None:
        """Copy an open file to ``target``, which appears whole.

        ``check`` is called in between, and ends the copy by raising.

        Raises:
            OSError: ``target`` could not be written.
        """
        path = partial(target)
        try:
            with path.open("wb", buffering=0) as sink:
                if not self._cloned(source, sink.fileno()):
                    while _copied_some(source, sink.fileno()):
                        check()
            path.replace(target)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _cloned(self, source: int, sink: int) -> bool:
        if not self._clones:
            return False
        try:
            fcntl.ioctl(sink, _CLONE, source)
        except OSError:
            self._clones = False
            return False
        return True


def _copied_some(source: int, sink: int) -> int:
    try:
        return os.copy_file_range(source, sink, _COPY)
    except OSError as error:
        if error.errno not in _NO_KERNEL_COPY:
            raise
    return os.sendfile(sink, source, None, _COPY)
