"""Operations that copy objects, and parts of objects, inside the store."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_plus

from trainshed.api.s3 import attributes as kept
from trainshed.api.s3 import checksums
from trainshed.api.s3.conditions import Verdict, judge, span, write_condition
from trainshed.api.s3.multipart import part_number
from trainshed.api.s3.refusals import invalid_argument, invalid_request, precondition_failed
from trainshed.domain import digests
from trainshed.domain.errors import RequestRejected
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.info import Attributes, ObjectInfo
from trainshed.wire.message import Call


class CopyOperations:
    """CopyObject and UploadPartCopy."""

    def __init__(self, store: EmbeddedObjects) -> None:
        self._store = store

    async def copy_object(self, call: Call) -> dict[str, Any]:
        """Write an object with another's bytes; its ETag stays what it was.

        So does its checksum, unless another algorithm is asked for.
        """
        asked = call.params
        kept.check_request(asked)
        source = await self._source(asked)
        target = (asked["Bucket"], asked["Key"])
        if (source.bucket, source.key) == target and not _changes_something(asked):
            raise invalid_request(
                "This copy request is illegal because it is trying to copy an object to itself "
                "without changing the object's metadata, storage class, website redirect location "
                "or encryption attributes."
            )
        new = kept.attributes_of(asked)
        sums = await self._checksums(source, asked.get("ChecksumAlgorithm"))
        info = await self._store.copy(
            (source.bucket, source.key),
            target,
            attributes=lambda found: _with(
                _permitted(found, asked), source, sums, _copied(found.attributes, new, asked)
            ),
            condition=write_condition(asked),
        )
        found = checksums.members_of(info.attributes.checksums, info.attributes.checksum_type)
        outcome = {"ETag": kept.quoted(info.etag), "LastModified": info.modified, **found}
        return {"CopyObjectResult": outcome, **kept.encryption(info.attributes)}

    async def upload_part_copy(self, call: Call) -> dict[str, Any]:
        """Write a part of an upload with bytes of an object."""
        asked = call.params
        kept.check_request(asked)
        number = part_number(asked)
        uploads = self._store.uploads
        upload = await uploads.find(asked["Bucket"], asked["Key"], asked["UploadId"])
        source = await self._source(asked)
        offset, length = _stretch(source, asked.get("CopySourceRange"))
        algorithm = upload.checksum or checksums.DEFAULT
        part = await uploads.copy_part(
            upload,
            number,
            source,
            (offset, length),
            checksums=lambda staged: checksums.computed(staged, algorithm),
            algorithms=(algorithm,),
        )
        outcome = {
            "ETag": kept.quoted(part.etag),
            "LastModified": part.modified,
            **checksums.members_of(part.checksums),
        }
        return {"CopyPartResult": outcome, **kept.encryption(upload.attributes)}

    async def _source(self, asked: Mapping[str, Any]) -> ObjectInfo:
        bucket, key = copy_source(asked["CopySource"])
        return _permitted(await self._store.info(bucket, key), asked)

    async def _checksums(self, source: ObjectInfo, asked: str | None) -> dict[str, str]:
        """Return the checksum that a copy must have anew; {} when the source's will do."""
        found = source.attributes
        if found.checksums and (
            asked is None
            or (asked in found.checksums and found.checksum_type == checksums.FULL_OBJECT)
        ):
            return {}
        algorithm = asked or checksums.DEFAULT
        return {algorithm: digests.encoded(await self._store.digest(source, algorithm))}


def _permitted(source: ObjectInfo, asked: Mapping[str, Any]) -> ObjectInfo:
    """Return the source of a copy, if it is as the request demands.

    Raises:
        RequestRejected: it is not.
    """
    if judge(source, asked, "CopySource") is not Verdict.PROCEED:
        raise precondition_failed()
    return source


def _with(
    found: ObjectInfo, source: ObjectInfo, sums: dict[str, str], copied: Attributes
) -> Attributes:
    """Return a copy's attributes with its new checksum, should there be one of these bytes."""
    if not sums or found.file != source.file:
        return copied
    return replace(copied, checksums=sums, checksum_type=checksums.FULL_OBJECT, part_checksums=())


def copy_source(text: str) -> tuple[str, str]:
    """Return the bucket and the key that a copy's header names, percent-encoded.

    A plus is a space here, as for S3; s5cmd relies on it, and all others escape it.

    Raises:
        RequestRejected: it names none, or a version.
    """
    path, _, version = text.partition("?versionId=")
    if version not in ("", "null"):
        raise RequestRejected("NoSuchVersion", "The specified version does not exist.", 404)
    bucket, _, key = unquote_plus(path).removeprefix("/").partition("/")
    if not bucket or not key:
        raise invalid_argument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
        )
    return bucket, key


def _changes_something(asked: Mapping[str, Any]) -> bool:
    names = ("StorageClass", "WebsiteRedirectLocation", *kept.ENCRYPTION)
    return asked.get("MetadataDirective") == "REPLACE" or any(asked.get(name) for name in names)


def _copied(source: Attributes, new: Attributes, asked: Mapping[str, Any]) -> Attributes:
    """Return what the copy carries: the source's or the request's, by directive.

    Encryption and storage class are always the request's.
    """
    asked_encryption = {
        name: value
        for name, value in new.headers.items()
        if name in (*kept.ENCRYPTION, "BucketKeyEnabled")
    }
    replaces = asked.get("MetadataDirective") == "REPLACE"
    source_headers = {
        name: value
        for name, value in source.headers.items()
        if name not in (*kept.ENCRYPTION, "BucketKeyEnabled", "WebsiteRedirectLocation")
    }
    return replace(
        source,
        headers=new.headers if replaces else {**source_headers, **asked_encryption},
        metadata=new.metadata if replaces else source.metadata,
        tags=new.tags if asked.get("TaggingDirective") == "REPLACE" else source.tags,
        storage_class=new.storage_class,
        upload_id="",
    )


def _stretch(source: ObjectInfo, text: str | None) -> tuple[int, int]:
    """Return the offset and the length that a copied part takes from its source.

    Raises:
        RequestRejected: the range is not of the form ``bytes=first-last``, or not in the object.
    """
    if text is None:
        return 0, source.size
    found = span(source, text, None)
    first, _, last = text.removeprefix("bytes=").partition("-")
    if found is None or not first or not last:
        raise invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first "
            "and last are the zero-based offsets of the first and last bytes to copy"
        )
    if int(last) >= source.size:
        raise invalid_argument(
            f"Range specified is not valid for source object of size: {source.size}"
        )
    return found.offset, found.length
