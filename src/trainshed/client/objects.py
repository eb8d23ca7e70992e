"""Objects in the server's buckets: the few S3 calls that uploads and downloads need."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlencode
from xml.etree import ElementTree

from trainshed.client.api import Api
from trainshed.client.errors import ApiError, ClientError, ServerUnreachable

PART: Final = 16 * 1024 * 1024
"""Bytes of a part: above it a file goes up in parts. S3 takes 5 MiB to 5 GiB."""
MAX_PARTS: Final = 10_000
"""S3's limit."""
_CHUNK: Final = 1024 * 1024

Progress = Callable[[int], None]
"""Told how many bytes more have been moved; called from any thread."""


def split_uri(uri: str) -> tuple[str, str]:
    """Return (bucket, key) of ``s3://bucket/key``.

    Raises:
        ClientError: it is no such address.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise ClientError(f"{uri!r} is not an address like s3://bucket/key")
    return bucket, key


def ensure_bucket(api: Api, bucket: str) -> None:
    """Create the bucket when it is not there."""
    try:
        api.request("HEAD", f"/{bucket}", service="s3")
    except ApiError as error:
        if error.status != 404:
            raise
        api.request("PUT", f"/{bucket}", service="s3")


def put(api: Api, bucket: str, key: str, body: bytes) -> None:
    """Write one small object."""
    api.request("PUT", f"/{bucket}/{key}", service="s3", body=body)


def clear(api: Api, bucket: str, prefix: str) -> None:
    """Delete every object below a prefix."""
    for key, _ in list(listing(api, bucket, prefix)):
        api.request("DELETE", f"/{bucket}/{key}", service="s3")


def begin_parts(api: Api, bucket: str, key: str) -> str:
    """Begin an upload in parts and return its id.

    Raises:
        ClientError: the server's answer names none.
    """
    answer = api.request("POST", f"/{bucket}/{key}?uploads=", service="s3")
    for element in ElementTree.fromstring(answer.body).iter():  # noqa: S314 - our own server
        if element.tag.rpartition("}")[2] == "UploadId" and element.text:
            return element.text
    raise ClientError(f"s3://{bucket}/{key}: the server named no upload")


def put_part(api: Api, bucket: str, key: str, upload: str, number: int, body: bytes) -> str:
    """Write part ``number`` (from 1) and return its ETag."""
    query = urlencode({"partNumber": number, "uploadId": upload})
    answer = api.request("PUT", f"/{bucket}/{key}?{query}", service="s3", body=body)
    return answer.headers.get("etag", "")


def finish_parts(api: Api, bucket: str, key: str, upload: str, etags: list[str]) -> None:
    """Join the parts, given in order, into the object."""
    root = ElementTree.Element("CompleteMultipartUpload")
    for number, etag in enumerate(etags, 1):
        part = ElementTree.SubElement(root, "Part")
        ElementTree.SubElement(part, "PartNumber").text = str(number)
        ElementTree.SubElement(part, "ETag").text = etag
    path = f"/{bucket}/{key}?{urlencode({'uploadId': upload})}"
    api.request("POST", path, service="s3", body=ElementTree.tostring(root))


def abort_parts(api: Api, bucket: str, key: str, upload: str) -> None:
    """Give up an upload; what was sent is deleted."""
    query = urlencode({"uploadId": upload})
    api.request("DELETE", f"/{bucket}/{key}?{query}", service="s3")


def size_of(api: Api, uri: str) -> int:
    """Return the bytes of an object, or of everything below a prefix (which ends with ``/``).

    Raises:
        ApiError: 404 when nothing is there.
    """
    bucket, key = split_uri(uri)
    if uri.endswith("/"):
        sizes = [size for _, size in listing(api, bucket, key)]
        if not sizes:
            raise ApiError("NoSuchKey", f"nothing is below {uri}", 404)
        return sum(sizes)
    answer = api.request("HEAD", f"/{bucket}/{key}", service="s3")
    return int(answer.headers.get("content-length", 0))


def download(api: Api, uri: str, target: Path, progress: Progress) -> int:
    """Write an object to a file, whole or not at all, and return its size.

    Raises:
        ApiError: 404 when there is no such object.
        ServerUnreachable: the connection broke before all bytes came.
    """
    bucket, key = split_uri(uri)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    size = 0
    try:
        with (
            api.streamed("GET", f"/{bucket}/{key}", service="s3") as response,
            partial.open("wb") as file,
        ):
            expected = response.length
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                size += len(chunk)
                progress(len(chunk))
        if expected is not None and size != expected:
            raise ServerUnreachable(f"{uri} broke off after {size} of {expected} bytes")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return size


def listing(api: Api, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Yield (key, size) of every object below a prefix, in the server's order."""
    token = ""
    while True:
        query = {"list-type": "2", "prefix": prefix}
        if token:
            query["continuation-token"] = token
        # S3 signs a space as %20, which urlencode's default "+" is not.
        text = urlencode(query, safe="-_.~").replace("+", "%20")
        answer = api.request("GET", f"/{bucket}?{text}", service="s3")
        token = ""
        for element in ElementTree.fromstring(answer.body):  # noqa: S314 - our own server
            name = element.tag.rpartition("}")[2]
            if name == "Contents":
                leaves = {leaf.tag.rpartition("}")[2]: leaf.text or "" for leaf in element}
                yield leaves["Key"], int(leaves["Size"])
            elif name == "NextContinuationToken":
                token = element.text or ""
        if not token:
            return
