"""Lists a bucket by ListObjectsV2, so that every key arrives exactly as it is stored.

``obstore`` reads keys as paths: its listing drops the slash of a folder marker, fails for the
whole bucket on one key with ``//`` or ``..``, and takes a prefix for a folder. A channel needs the
keys as they are, and S3's prefix is plain text; so this one request is signed here.

Source: Amazon S3 API reference, ListObjectsV2; AWS general reference, Signature Version 4.
"""

import datetime
import hashlib
import hmac
import http.client
import xml.etree.ElementTree as ET
from urllib.parse import quote, unquote_plus, urlsplit

from trainshed.domain.errors import StoreError
from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote.access import Access
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.troubles import StoreAway, refusal

_EMPTY = hashlib.sha256(b"").hexdigest()
_TIMEOUT_S = 60.0


def page(
    access: Access, prefix: Address, after: str, now: datetime.datetime
) -> tuple[list[Entry], bool]:
    """Return a page of objects behind the key ``after``, in key order, and whether more follow.

    Raises:
        ObjectMissing: no such bucket.
        StoreAway: no answer, or the server failed inside.
        StoreError: the server refused.
    """
    url = urlsplit(access.endpoint or f"https://s3.{access.region}.amazonaws.com")
    query = {"encoding-type": "url", "list-type": "2", "prefix": prefix.key}
    if after:
        query["start-after"] = after
    text = "&".join(f"{name}={quote(query[name], safe='-_.~')}" for name in sorted(query))
    path = f"{url.path}/{prefix.bucket}"
    headers = _signed(access, url.netloc, (path, text), now)
    maker = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = maker(url.netloc, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", f"{path}?{text}", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise StoreAway(f"{prefix}: {url.netloc} does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise refusal(str(prefix), answer.status, _error_text(answer.status, body))
    try:
        return _parsed(body)
    except (ET.ParseError, KeyError) as error:
        raise StoreError(f"{prefix}: {url.netloc} did not answer as S3 does: {error}") from error


def _signed(
    access: Access, host: str, asked: tuple[str, str], now: datetime.datetime
) -> dict[str, str]:
    path, query = asked
    moment = now.astimezone(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{access.region}/s3/aws4_request"
    headers = {"host": host, "x-amz-content-sha256": _EMPTY, "x-amz-date": moment}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"GET\n{quote(path)}\n{query}\n{lines}\n{names}\n{_EMPTY}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{access.secret_key}".encode()
    for part in (moment[:8], access.region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"Credential={access.access_key}/{scope}"
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
    )
    return headers


def _parsed(body: bytes) -> tuple[list[Entry], bool]:
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
            found.append(Entry(unquote_plus(members["Key"]), size, etag, modified))
    return found, more


def _seconds(moment: str) -> float:
    """Return an ISO 8601 moment in seconds since the epoch; 0 for what is none."""
    try:
        return datetime.datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return 0.0


def _error_text(status: int, body: bytes) -> str:
    try:
        members = {n.tag.rpartition("}")[2]: n.text or "" for n in ET.fromstring(body)}  # noqa: S314
    except ET.ParseError:
        members = {}
    code, message = members.get("Code", f"HTTP {status}"), members.get("Message", "")
    return f"{code}: {message}" if message else code
