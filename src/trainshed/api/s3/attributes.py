"""Between a request's members and what is kept with an object.

Encryption and storage class are accepted and given back, because clients insist on seeing what they
asked for; the bytes lie on this machine's disk as they came. Encryption with a key that the client
brings is refused: it promises that nobody reads without the key.
"""

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from trainshed.api.s3.checksums import members_of
from trainshed.api.s3.refusals import invalid_argument, not_implemented
from trainshed.domain.errors import RequestRejected
from trainshed.stores.objects.info import Attributes, ObjectInfo

_TEXTS: Final = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Expires",
    "WebsiteRedirectLocation",
)
ENCRYPTION: Final = ("ServerSideEncryption", "SSEKMSKeyId")
_OVERRIDES: Final = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Expires",
)
_NOT_KEPT: Final = (
    "SSECustomerAlgorithm",
    "SSECustomerKey",
    "CopySourceSSECustomerAlgorithm",
    "WriteOffsetBytes",
    "ObjectLockMode",
    "ObjectLockLegalHoldStatus",
    "ObjectLockRetainUntilDate",
)
_MOST_KEY_BYTES: Final = 1024
_MOST_METADATA_BYTES: Final = 2048
_MOST_TAGS: Final = 10
_MOST_TAG_KEY: Final = 128
_MOST_TAG_VALUE: Final = 256


def check_request(members: Mapping[str, Any]) -> None:
    """Refuse what no object can be, or what could not be kept as promised.

    Raises:
        RequestRejected: with S3's words.
    """
    for name in _NOT_KEPT:
        if members.get(name) is not None:
            raise not_implemented(name)
    if members.get("VersionId") not in (None, "", "null"):
        raise RequestRejected("NoSuchVersion", "The specified version does not exist.", 404)
    key: str = members.get("Key", "")
    if len(key.encode("utf-8", "surrogatepass")) > _MOST_KEY_BYTES:
        raise RequestRejected("KeyTooLongError", "Your key is too long")
    metadata: Mapping[str, str] = members.get("Metadata") or {}
    if sum(len(n) + len(v.encode()) for n, v in metadata.items()) > _MOST_METADATA_BYTES:
        raise RequestRejected(
            "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size"
        )


def attributes_of(members: Mapping[str, Any]) -> Attributes:
    """Return what a writer's request says about the object, without checksums.

    Raises:
        RequestRejected: the tags cannot be.
    """
    headers = {name: members[name] for name in (*_TEXTS, *ENCRYPTION) if members.get(name)}
    headers.setdefault("ContentType", "binary/octet-stream")
    if "ContentEncoding" in headers:
        headers["ContentEncoding"] = _without_framing(headers["ContentEncoding"])
    if members.get("BucketKeyEnabled"):
        headers["BucketKeyEnabled"] = "true"
    return Attributes(
        headers={name: value for name, value in headers.items() if value},
        metadata={name.lower(): value for name, value in (members.get("Metadata") or {}).items()},
        storage_class=members.get("StorageClass") or "STANDARD",
        tags=tags_of(parse_qsl(members.get("Tagging") or "", keep_blank_values=True)),
    )


def tags_of(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return tags by key.

    Raises:
        RequestRejected: a key comes twice, one is too long, or there are too many.
    """
    tags = dict(pairs)
    if len(tags) != len(pairs):
        raise RequestRejected("InvalidTag", "Cannot provide multiple Tags with the same key")
    if len(tags) > _MOST_TAGS:
        raise RequestRejected("BadRequest", "Object tags cannot be greater than 10")
    for key, value in pairs:
        if not 1 <= len(key) <= _MOST_TAG_KEY:
            raise RequestRejected("InvalidTag", "The TagKey you have provided is invalid")
        if len(value) > _MOST_TAG_VALUE:
            raise RequestRejected("InvalidTag", "The TagValue you have provided is invalid")
    return tags


def encryption(attributes: Attributes) -> dict[str, Any]:
    """Return the members that every answer about an encrypted object carries."""
    kept: dict[str, Any] = {
        name: attributes.headers[name] for name in ENCRYPTION if name in attributes.headers
    }
    if "BucketKeyEnabled" in attributes.headers:
        kept["BucketKeyEnabled"] = True
    return kept


def members(info: ObjectInfo, asked: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """Return an object as GetObject and HeadObject describe it, without its length.

    Checksums are told only with the bytes that they are of, all of the object's or all of a part's:
    clients compare them with what they receive.
    """
    kept = info.attributes
    found: dict[str, Any] = {
        **{name: kept.headers[name] for name in _TEXTS if name in kept.headers},
        **encryption(kept),
        "AcceptRanges": "bytes",
        "LastModified": info.modified,
        "ETag": quoted(info.etag),
        "Metadata": dict(kept.metadata),
    }
    if kept.storage_class != "STANDARD":
        found["StorageClass"] = kept.storage_class
    if kept.tags:
        found["TagCount"] = len(kept.tags)
    if asked.get("PartNumber") is not None and kept.part_sizes:
        found["PartsCount"] = len(kept.part_sizes)
    if asked.get("ChecksumMode") == "ENABLED":
        found.update(_told_checksums(kept, asked.get("PartNumber"), whole=whole))
    for name in _OVERRIDES:
        if (value := asked.get(f"Response{name}")) is not None:
            found[name] = (
                format_datetime(value, usegmt=True) if isinstance(value, datetime) else value
            )
    return found


def _told_checksums(kept: Attributes, part: int | None, *, whole: bool) -> dict[str, str]:
    if whole or (part is not None and len(kept.part_sizes) <= 1 and not kept.part_checksums):
        return members_of(kept.checksums, kept.checksum_type)
    if part is None or not kept.part_checksums:
        return {}
    algorithm = next(iter(kept.checksums))
    return members_of({algorithm: kept.part_checksums[part - 1]}, kept.checksum_type)


def quoted(etag: str) -> str:
    """Return an ETag as it stands in a header."""
    return f'"{etag}"'


def page_size(asked: int | None, name: str) -> int:
    """Return how many entries a page may have: what was asked, at most 1,000.

    Raises:
        RequestRejected: less than none was asked.
    """
    if asked is None:
        return 1000
    if asked < 0:
        raise invalid_argument(f"Argument {name} must be an integer between 0 and 2147483647")
    return min(asked, 1000)


def _without_framing(encoding: str) -> str:
    """Return a content encoding without ``aws-chunked``, which is how the payload travelled."""
    steps = [step.strip() for step in encoding.split(",")]
    return ",".join(step for step in steps if step and step != "aws-chunked")
