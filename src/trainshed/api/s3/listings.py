"""Operations that list keys.

A page's continuation is the last name on it, in base64 so that nobody takes it for a key. With
``encoding-type=url`` names are percent-encoded, because XML cannot carry every key.
"""

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from trainshed.api.s3.attributes import page_size, quoted
from trainshed.api.s3.buckets import OWNER
from trainshed.api.s3.refusals import invalid_argument
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.info import Page
from trainshed.wire.message import Call


class ListingOperations:
    """ListObjectsV2 and ListObjects."""

    def __init__(self, store: EmbeddedObjects) -> None:
        self._store = store

    async def list_objects_v2(self, call: Call) -> dict[str, Any]:
        """List keys, page by page, in the order of their bytes."""
        asked = call.params
        token: str | None = asked.get("ContinuationToken")
        after = asked.get("StartAfter") or ""
        result, page = await self._page(call, after if token is None else _name(token))
        spelled = spelling(asked.get("EncodingType"))
        if token is not None:
            result["ContinuationToken"] = token
        if asked.get("StartAfter"):
            result["StartAfter"] = spelled(after)
        if page.next is not None:
            result["NextContinuationToken"] = _token(page.next)
        if asked.get("FetchOwner"):
            for listed in result["Contents"]:
                listed["Owner"] = OWNER
        return {**result, "KeyCount": len(page.objects) + len(page.prefixes)}

    async def list_objects(self, call: Call) -> dict[str, Any]:
        """List keys as clients of 2006 expect it.

        ``NextMarker`` comes always when there is more, not only with a delimiter: some clients
        wait for it, and none is hurt by it.
        """
        marker = call.params.get("Marker") or ""
        result, page = await self._page(call, marker)
        spelled = spelling(call.params.get("EncodingType"))
        result["Marker"] = spelled(marker)
        if page.next is not None:
            result["NextMarker"] = spelled(page.next)
        for listed in result["Contents"]:
            listed["Owner"] = OWNER
        return result

    async def _page(self, call: Call, after: str) -> tuple[dict[str, Any], Page]:
        """Return what both listings answer alike, and the page."""
        asked = call.params
        spelled = spelling(asked.get("EncodingType"))
        prefix, delimiter = asked.get("Prefix") or "", asked.get("Delimiter") or ""
        limit = page_size(asked.get("MaxKeys"), "max-keys")
        page = await self._store.list(
            asked["Bucket"], prefix, delimiter=delimiter, after=after, limit=limit
        )
        result: dict[str, Any] = {
            "Name": asked["Bucket"],
            "Prefix": spelled(prefix),
            "MaxKeys": limit,
            "IsTruncated": page.next is not None,
            "Contents": [
                {
                    "Key": spelled(listed.key),
                    "LastModified": listed.modified,
                    "ETag": quoted(listed.etag),
                    "Size": listed.size,
                    "StorageClass": listed.storage_class,
                }
                for listed in page.objects
            ],
            "CommonPrefixes": [{"Prefix": spelled(name)} for name in page.prefixes],
        }
        if delimiter:
            result["Delimiter"] = spelled(delimiter)
        if asked.get("EncodingType"):
            result["EncodingType"] = asked["EncodingType"]
        return result, page


def spelling(encoding: str | None) -> Callable[[str], str]:
    """Return how names are written in an answer.

    Raises:
        RequestRejected: no such encoding.
    """
    if encoding is None or encoding == "":
        return str
    if encoding != "url":
        raise invalid_argument("Invalid Encoding Method specified in Request")
    return lambda name: quote(name, safe="/-_.~*", errors="surrogatepass")


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode("utf-8", "surrogatepass")).decode()


def _name(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:  # no base64, no ASCII even, or no UTF-8 within
        raise invalid_argument("The continuation token provided is incorrect") from None
