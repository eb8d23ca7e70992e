"""Operations of multipart uploads."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from trainshed.api.s3 import attributes as kept
from trainshed.api.s3 import checksums
from trainshed.api.s3.conditions import bare_etag, write_condition
from trainshed.api.s3.objects import announced_length, payload
from trainshed.api.s3.refusals import (
    invalid_argument,
    invalid_part,
    invalid_request,
    malformed_xml,
)
from trainshed.domain.errors import ObjectMissing, RequestRejected
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.info import ObjectInfo, Part, Staged, Upload, UploadMissing
from trainshed.wire.message import Body, Call

_LEAST_PART: Final = 5 * 1024 * 1024
"""Bytes of every part but the last."""
_MOST_PARTS: Final = 10_000


class MultipartOperations:
    """From CreateMultipartUpload to CompleteMultipartUpload or AbortMultipartUpload."""

    def __init__(self, store: EmbeddedObjects) -> None:
        self._store = store
        self._uploads = store.uploads

    async def create_multipart_upload(self, call: Call) -> dict[str, Any]:
        """Begin an upload."""
        asked = call.params
        kept.check_request(asked)
        algorithm: str = asked.get("ChecksumAlgorithm") or ""
        kind = checksums.type_for(algorithm, asked.get("ChecksumType"))
        if not algorithm:
            kind = checksums.FULL_OBJECT
        upload = await self._uploads.create(
            asked["Bucket"],
            asked["Key"],
            attributes=replace(kept.attributes_of(asked), checksum_type=kind),
            checksum=algorithm or checksums.DEFAULT,
            invocation=call.invocation,
        )
        told = {"ChecksumAlgorithm": algorithm, "ChecksumType": kind} if algorithm else {}
        return {
            "Bucket": upload.bucket,
            "Key": upload.key,
            "UploadId": upload.id,
            **told,
            **kept.encryption(upload.attributes),
        }

    async def upload_part(self, call: Call) -> dict[str, Any]:
        """Write one part; it is on disk when this is answered."""
        asked = call.params
        kept.check_request(asked)
        number = part_number(asked)
        upload = await self._find(asked)
        body: Body | bytes | None = asked.get("Body")
        algorithm = upload.checksum or checksums.DEFAULT
        given: dict[str, str] = {}

        def found(staged: Staged) -> dict[str, str]:
            given.update(checksums.verified(staged, asked, body))
            return {**checksums.computed(staged, algorithm), **given}

        part = await self._uploads.put_part(
            upload,
            number,
            payload(body),
            checksums=found,
            algorithms=checksums.wanted(body, algorithm),
            length=announced_length(body),
        )
        return {
            "ETag": kept.quoted(part.etag),
            **checksums.members_of(given or part.checksums),
            **kept.encryption(upload.attributes),
        }

    async def complete_multipart_upload(self, call: Call) -> dict[str, Any]:
        """Make one object of the parts.

        Asked again after it was done, it answers the same: the first answer may have been lost.
        """
        asked = call.params
        named: list[dict[str, Any]] = (asked.get("MultipartUpload") or {}).get("Parts") or []
        if not named:
            raise malformed_xml()
        try:
            upload = await self._find(asked)
        except UploadMissing:
            return _completed(call, await self._made_before(asked))
        parts = _chosen(named, await self._uploads.parts(upload))
        kind = upload.attributes.checksum_type
        if asked.get("ChecksumType") not in (None, "", kind):
            raise invalid_request(
                f"The upload was created using the {kind or 'no'} checksum mode. The complete "
                "request must use the same checksum mode."
            )
        found = checksums.joined(upload.checksum, kind, parts)
        _check_size(asked, parts)
        checksums.agree(asked, found)
        attributes = replace(
            upload.attributes,
            checksums=found,
            checksum_type=kind if found else "",
            part_checksums=tuple(part.checksums[upload.checksum] for part in parts)
            if found and kind == checksums.COMPOSITE
            else (),
        )
        try:
            info = await self._uploads.complete(
                upload, parts, attributes=attributes, condition=write_condition(asked)
            )
        except UploadMissing:  # the same client was quicker: it had asked before
            info = await self._made_before(asked)
        return _completed(call, info)

    async def abort_multipart_upload(self, call: Call) -> dict[str, Any]:
        """Drop an upload."""
        await self._uploads.abort(await self._find(call.params))
        return {}

    async def list_parts(self, call: Call) -> dict[str, Any]:
        """List an upload's parts by number, page by page."""
        asked = call.params
        upload = await self._find(asked)
        marker: int = asked.get("PartNumberMarker") or 0
        limit = kept.page_size(asked.get("MaxParts"), "max-parts")
        rest = [part for part in await self._uploads.parts(upload) if part.number > marker]
        shown = rest[:limit]
        truncated = len(rest) > limit > 0
        result: dict[str, Any] = {
            "Bucket": upload.bucket,
            "Key": upload.key,
            "UploadId": upload.id,
            "PartNumberMarker": marker,
            "MaxParts": limit,
            "IsTruncated": truncated,
            "Parts": [_listed(part) for part in shown],
            "StorageClass": upload.attributes.storage_class,
        }
        if shown:
            result["NextPartNumberMarker"] = shown[-1].number
        if upload.checksum:
            result["ChecksumAlgorithm"] = upload.checksum
            result["ChecksumType"] = upload.attributes.checksum_type
        return result

    async def _find(self, asked: Mapping[str, Any]) -> Upload:
        return await self._uploads.find(asked["Bucket"], asked["Key"], asked["UploadId"])

    async def _made_before(self, asked: Mapping[str, Any]) -> ObjectInfo:
        """Return the object that an upload of that id has become.

        Raises:
            UploadMissing: none.
        """
        missing = UploadMissing(f"no upload {asked['UploadId']!r}")
        try:
            info = await self._store.info(asked["Bucket"], asked["Key"])
        except ObjectMissing:
            raise missing from None
        if info.attributes.upload_id != asked["UploadId"]:
            raise missing
        return info


def part_number(asked: Mapping[str, Any]) -> int:
    """Return the number of the part that is written.

    Raises:
        RequestRejected: no part can have it.
    """
    number: int = asked["PartNumber"]
    if not 1 <= number <= _MOST_PARTS:
        raise invalid_argument("Part number must be an integer between 1 and 10000, inclusive")
    return number


def _chosen(named: list[dict[str, Any]], held: list[Part]) -> list[Part]:
    """Return the parts that a request names.

    Raises:
        RequestRejected: out of order, not there, not the same, or too small.
    """
    numbers = [one.get("PartNumber") or 0 for one in named]
    if any(number >= following for number, following in itertools.pairwise(numbers)):
        raise RequestRejected(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
        )
    by_number = {part.number: part for part in held}
    chosen = []
    for one, number in zip(named, numbers, strict=True):
        part = by_number.get(number)
        if part is None or bare_etag(one.get("ETag") or "") != part.etag:
            raise invalid_part()
        told = checksums.given(one)
        if any(part.checksums.get(name) != value for name, value in told.items()):
            raise invalid_part()
        chosen.append(part)
    if any(part.size < _LEAST_PART for part in chosen[:-1]):
        raise RequestRejected(
            "EntityTooSmall",
            "Your proposed upload is smaller than the minimum allowed size",
        )
    return chosen


def _check_size(asked: Mapping[str, Any], parts: list[Part]) -> None:
    """Compare the object that parts make with the size that a request says it has.

    Raises:
        RequestRejected: it has another.
    """
    size: int | None = asked.get("MpuObjectSize")
    if size is not None and size != sum(part.size for part in parts):
        raise invalid_request(
            f"The provided 'x-amz-mp-object-size' header value {size} does not match what was "
            f"computed: {sum(part.size for part in parts)}"
        )


def _completed(call: Call, info: ObjectInfo) -> dict[str, Any]:
    return {
        "Location": f"http://{call.host}/{info.bucket}/{quote(info.key)}",
        "Bucket": info.bucket,
        "Key": info.key,
        "ETag": kept.quoted(info.etag),
        **kept.encryption(info.attributes),
        **checksums.members_of(info.attributes.checksums, info.attributes.checksum_type),
    }


def _listed(part: Part) -> dict[str, Any]:
    return {
        "PartNumber": part.number,
        "LastModified": part.modified,
        "ETag": kept.quoted(part.etag),
        "Size": part.size,
        **checksums.members_of(part.checksums),
    }
