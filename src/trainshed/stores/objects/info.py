"""What the embedded store knows about a bucket, an object, an upload; and what can go wrong.

StoreError
  - ObjectMissing     no such object
      - BucketMissing
      - UploadMissing
  - BucketExists
  - BucketNotEmpty
  - ConditionFailed   the object is not as the caller demanded; nothing was changed
  - PartsChanged      a part was replaced or is not there; nothing was changed
  - NoSpace           there is no room for it; nothing was changed
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trainshed.domain.errors import ObjectMissing, StoreError


class BucketMissing(ObjectMissing):
    """No bucket of that name."""


class UploadMissing(ObjectMissing):
    """No unfinished upload of that id: never begun, finished, or aborted."""


class BucketExists(StoreError):
    """A bucket of that name is there already."""


class BucketNotEmpty(StoreError):
    """A bucket that holds objects cannot be removed."""


class ConditionFailed(StoreError):
    """The object is not as the caller demanded; nothing was changed."""


class PartsChanged(StoreError):
    """The upload's parts are not those that were named; nothing was changed."""


class NoSpace(StoreError):
    """No room: on the disk, or within what the store may hold. The message is for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket."""

    name: str
    region: str
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What a writer says about an object; kept and given back, never interpreted here."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """By the S3 model's member name: ``ContentType``, ``ServerSideEncryption``…"""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The user's own, lower-case names without ``x-amz-meta-``."""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """Base64 by algorithm: ``{"CRC32": "…"}``; with ``-N`` when ``COMPOSITE``."""
    checksum_type: str = ""
    """``FULL_OBJECT`` or ``COMPOSITE`` (made of the parts' checksums); "" without checksums."""
    storage_class: str = "STANDARD"
    tags: Mapping[str, str] = field(default_factory=dict)
    part_sizes: tuple[int, ...] = ()
    """Bytes of each part, in order; empty unless it came by a multipart upload."""
    part_checksums: tuple[str, ...] = ()
    """Base64 of each part's checksum, in order; empty unless the object's is ``COMPOSITE``."""
    upload_id: str = ""
    """The multipart upload that made it; "" when there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """An object without its bytes."""

    bucket: str
    key: str
    size: int
    """Bytes."""
    etag: str
    """Without quotes: the MD5 in hex, or ``<hex>-<number of parts>``."""
    modified: datetime
    attributes: Attributes
    file: str
    """Names the bytes; changes whenever they do."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One object in a listing."""

    key: str
    size: int
    etag: str
    modified: datetime
    storage_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of names: objects, and prefixes that stand for all keys below them."""

    objects: tuple[Listed, ...]
    prefixes: tuple[str, ...]
    next: str | None
    """The last name of this page, to ask for what comes after it; None on the last page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What must hold when an object is written or removed, checked with the change at once."""

    etag: str | None = None
    """The object must be there with this ETag (``*``: any)."""
    absent: bool = False
    """No object may be there."""


ALWAYS = Condition()


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """Bytes that are safely on disk, and belong to no object yet."""

    file: str
    size: int
    digests: Mapping[str, bytes]
    """By the names in ``domain.digests``; MD5, and those that were asked for."""

    @property
    def md5(self) -> str:
        """The MD5 in hex."""
        return self.digests["MD5"].hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An unfinished multipart upload."""

    id: str
    bucket: str
    key: str
    started: datetime
    checksum: str
    """The algorithm of the parts' checksums; "" when none was chosen."""
    attributes: Attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of an unfinished upload."""

    number: int
    size: int
    etag: str
    modified: datetime
    checksums: Mapping[str, str]
    file: str
