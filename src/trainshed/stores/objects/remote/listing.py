"""Reads S3's lists, so that every key arrives exactly as it is stored.

Source: Amazon S3 API reference, ListObjectsV2.
"""

import datetime
import xml.etree.ElementTree as ET
from urllib.parse import unquote_plus

from trainshed.stores.objects.remote.entries import Entry


def parsed(body: bytes) -> tuple[list[Entry], bool]:
    """Return the objects of a page, and whether more follow.

    The page was asked for with URL-encoded keys.

    Raises:
        ET.ParseError, KeyError, ValueError: it is no such page.
    """
    found: list[Entry] = []
    more = False
    for node in ET.fromstring(body):  # noqa: S314 - from the store that our credentials belong to
        tag = node.tag.rpartition("}")[2]
        if tag == "IsTruncated":
            more = node.text == "true"
        elif tag == "Contents":
            members = {child.tag.rpartition("}")[2]: child.text or "" for child in node}
            etag = members.get("ETag", "").strip('"')
            size = int(members.get("Size") or 0)
            modified = _seconds(members.get("LastModified", ""))
            key = unquote_plus(members["Key"], errors="surrogatepass")
            found.append(Entry(key, size, etag, modified))
    return found, more


def _seconds(moment: str) -> float:
    """Return an ISO 8601 moment in seconds since the epoch; 0 for what is none."""
    try:
        return datetime.datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return 0.0
