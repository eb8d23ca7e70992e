"""The operation that lists unfinished multipart uploads."""

from typing import Any

from trainshed.api.s3.attributes import page_size
from trainshed.api.s3.buckets import OWNER
from trainshed.api.s3.listings import spelling
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.index import stored
from trainshed.stores.objects.info import Upload
from trainshed.wire.message import Call

_Name = tuple[str, str]
"""A key and an upload's id, or a common prefix and nothing."""


class UploadListingOperations:
    """ListMultipartUploads."""

    def __init__(self, store: EmbeddedObjects) -> None:
        self._store = store

    async def list_multipart_uploads(self, call: Call) -> dict[str, Any]:
        """List unfinished uploads by key, then by id, page by page."""
        asked = call.params
        spelled = spelling(asked.get("EncodingType"))
        prefix, delimiter = asked.get("Prefix") or "", asked.get("Delimiter") or ""
        limit = page_size(asked.get("MaxUploads"), "max-uploads")
        marker = (asked.get("KeyMarker") or "", asked.get("UploadIdMarker") or "")
        names = _names(await self._store.uploads.list(asked["Bucket"]), prefix, delimiter)
        rest = [name for name in names if _is_after(name, marker)]
        shown = rest[:limit]
        truncated = len(rest) > limit > 0
        result: dict[str, Any] = {
            "Bucket": asked["Bucket"],
            "KeyMarker": spelled(marker[0]),
            "UploadIdMarker": marker[1],
            "Prefix": spelled(prefix),
            "MaxUploads": limit,
            "IsTruncated": truncated,
            "Uploads": [_listed(names[name], spelled(name[0])) for name in shown if name[1]],
            "CommonPrefixes": [{"Prefix": spelled(key)} for key, upload in shown if not upload],
        }
        if delimiter:
            result["Delimiter"] = spelled(delimiter)
        if asked.get("EncodingType"):
            result["EncodingType"] = asked["EncodingType"]
        if truncated:
            result["NextKeyMarker"] = spelled(shown[-1][0])
            result["NextUploadIdMarker"] = shown[-1][1]
        return result


def _names(uploads: list[Upload], prefix: str, delimiter: str) -> dict[_Name, Upload]:
    """Return uploads by name, in order; a common prefix stands for the first of its uploads."""
    names: dict[_Name, Upload] = {}
    for upload in uploads:
        if not upload.key.startswith(prefix):
            continue
        at = upload.key.find(delimiter, len(prefix)) if delimiter else -1
        common = upload.key[: at + len(delimiter)] if at >= 0 else None
        names.setdefault((upload.key, upload.id) if common is None else (common, ""), upload)
    return names


def _is_after(name: _Name, marker: _Name) -> bool:
    """Tell whether a name comes after a marker; without an id the marker covers its whole key."""
    key, marked = stored(name[0]), stored(marker[0])
    if key == marked and marker[1]:
        return name[1] > marker[1]
    return key > marked


def _listed(upload: Upload, key: str) -> dict[str, Any]:
    listed: dict[str, Any] = {
        "UploadId": upload.id,
        "Key": key,
        "Initiated": upload.started,
        "StorageClass": upload.attributes.storage_class,
        "Owner": OWNER,
        "Initiator": OWNER,
    }
    if upload.checksum:
        listed["ChecksumAlgorithm"] = upload.checksum
        listed["ChecksumType"] = upload.attributes.checksum_type
    return listed
