"""The operation that tells what is known about an object, without its bytes or its metadata."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from trainshed.api.s3 import attributes as kept
from trainshed.api.s3 import checksums
from trainshed.api.s3.refusals import invalid_argument
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.info import Attributes
from trainshed.wire.message import Call

_KNOWN = {"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"}


class ObjectAttributesOperation:
    """GetObjectAttributes."""

    def __init__(self, store: EmbeddedObjects) -> None:
        self._store = store

    async def get_object_attributes(self, call: Call) -> dict[str, Any]:
        """Tell what is asked for; what the object does not have is left out."""
        asked = call.params
        kept.check_request(asked)
        names = {name.strip() for text in asked["ObjectAttributes"] for name in text.split(",")}
        if not names or names - _KNOWN:
            raise invalid_argument("Invalid attribute name specified.")
        info = await self._store.info(asked["Bucket"], asked["Key"])
        carried = info.attributes
        sums = checksums.members_of(carried.checksums, carried.checksum_type)
        every: dict[str, Any] = {
            "ETag": info.etag,
            "Checksum": {name: value.partition("-")[0] for name, value in sums.items()} or None,
            "ObjectParts": _parts(carried, asked) if carried.part_sizes else None,
            "StorageClass": carried.storage_class,
            "ObjectSize": info.size,
        }
        found = {name: every[name] for name in names if every[name] is not None}
        return {"LastModified": info.modified, **found}


def _parts(carried: Attributes, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the number of parts; and themselves where each has a checksum, page by page."""
    count = len(carried.part_sizes)
    if not carried.part_checksums:
        return {"TotalPartsCount": count}
    after: int = asked.get("PartNumberMarker") or 0
    limit = kept.page_size(asked.get("MaxParts"), "max-parts")
    algorithm = next(iter(carried.checksums))
    rows = zip(carried.part_sizes, carried.part_checksums, strict=True)
    shown = [
        {"PartNumber": number, "Size": size, f"Checksum{algorithm}": value}
        for number, (size, value) in islice(enumerate(rows, 1), after, after + limit)
    ]
    return {
        "TotalPartsCount": count,
        "PartNumberMarker": after,
        "NextPartNumberMarker": min(after + limit, count),
        "MaxParts": limit,
        "IsTruncated": after + limit < count,
        "Parts": shown,
    }
