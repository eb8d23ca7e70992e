"""Objects in the server's buckets: the few S3 calls that uploads and lists need."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote_plus, urlencode
from xml.etree import ElementTree

from trainshed.client.api import Answer, Api
from trainshed.client.checksums import Piece, Sums
from trainshed.client.errors import ApiError, ClientError
from trainshed.domain import digests

Progress = Callable[[int], None]
"""Told how many bytes more have been moved; called from any thread."""
_WHOLE: Final = {"x-amz-checksum-mode": "ENABLED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An object, as a list shows it."""

    key: str
    size: int
    """Bytes."""
    etag: str = ""
    """Without quotes; "" when it was not told."""
    modified: str = ""
    """ISO 8601 in UTC; "" when it was not told."""


@dataclass(frozen=True, slots=True)
class Folder:
    """All keys that begin so, up to a slash."""

    prefix: str


def split_uri(uri: str) -> tuple[str, str]:
    """Return (bucket, key) of ``s3://bucket/key``.

    Raises:
        ClientError: it is no such address.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if uri.startswith("file://"):
        raise ClientError(f"{uri} is a file of the machine where the job ran", "copy it there")
    if uri.startswith(("gs://", "az://")):
        raise ClientError(f"{uri} is in no S3 store", "use the tools of that cloud")
    if not uri.startswith("s3://") or not bucket:
        raise ClientError(
            f"{uri!r} is not an address like s3://bucket/key",
            "name a bucket of those that are there: trainshed data ls",
        )
    return bucket, key


def ensure_bucket(api: Api, bucket: str) -> bool:
    """Create the bucket when it is not there, and tell whether it was created."""
    if has_bucket(api, bucket):
        return False
    try:
        api.request("PUT", f"/{quote(bucket)}", service="s3")
    except ApiError as error:
        if error.code != "InvalidBucketName":  # S3's own words name neither the name nor the rule
            raise
        raise ClientError(
            f"{bucket!r} cannot be the name of a bucket",
            "use 3 to 63 lower case letters, digits, hyphens and dots",
        ) from error
    return True


def has_bucket(api: Api, bucket: str) -> bool:
    """Tell whether the bucket is there."""
    try:
        api.request("HEAD", f"/{quote(bucket)}", service="s3")
    except ApiError as error:
        if error.status != 404:
            raise
        return False
    return True


def buckets(api: Api) -> list[tuple[str, str]]:
    """Return (name, when it was made) of every bucket."""
    answer = api.request("GET", "/", service="s3")
    found = []
    for element in _parsed(answer).iter():
        if _name(element) == "Bucket":
            leaves = _leaves(element)
            found.append((leaves["Name"], leaves.get("CreationDate", "")))
    return found


def put(api: Api, bucket: str, key: str, body: bytes) -> None:
    """Write one small object."""
    api.request("PUT", _path(bucket, key), service="s3", body=body)


def put_piece(api: Api, bucket: str, key: str, piece: Piece, sums: Sums) -> None:
    """Write a file as an object; what the server received is compared with these sums."""
    api.request("PUT", _path(bucket, key), service="s3", headers=_sent(piece, sums), body=piece)


def clear(api: Api, bucket: str, prefix: str) -> None:
    """Delete every object below a prefix."""
    for entry in entries(api, bucket, prefix):
        api.request("DELETE", _path(bucket, entry.key), service="s3")


def begin_parts(api: Api, bucket: str, key: str) -> str:
    """Begin an upload in parts and return its id.

    Raises:
        ClientError: the server's answer names none.
    """
    headers = {
        "x-amz-checksum-algorithm": "CRC64NVME",
        "x-amz-checksum-type": "FULL_OBJECT",
    }
    path = _path(bucket, key, {"uploads": ""})
    answer = api.request("POST", path, service="s3", headers=headers)
    for element in _parsed(answer).iter():
        if _name(element) == "UploadId" and element.text:
            return element.text
    raise ClientError(f"s3://{bucket}/{key}: the server named no upload")


def begun_parts(api: Api, bucket: str, key: str) -> str:
    """Return the id of the newest unfinished upload of a key that ``begin_parts`` began, or ""."""
    asked = f"/{quote(bucket)}?{_query(uploads='', prefix=key)}"
    try:
        answer = api.request("GET", asked, service="s3")
    except ApiError as error:
        if error.code != "NoSuchUpload":  # what rclone says where there are none
            raise
        return ""
    found = [_leaves(element) for element in _parsed(answer) if _name(element) == "Upload"]
    own = [
        upload
        for upload in found
        if upload.get("Key") == key and upload.get("ChecksumAlgorithm") == "CRC64NVME"
    ]
    return max(own, key=lambda upload: upload.get("Initiated", ""))["UploadId"] if own else ""


def parts(api: Api, bucket: str, key: str, upload: str) -> Iterator[tuple[int, int, str]]:
    """Yield (number, bytes, ETag without quotes) of the parts that an upload has."""
    marker = ""
    while True:
        query = {"uploadId": upload} | ({"part-number-marker": marker} if marker else {})
        page = _parsed(api.request("GET", _path(bucket, key, query), service="s3"))
        for element in page:
            if _name(element) == "Part":
                part = _leaves(element)
                yield int(part["PartNumber"]), int(part["Size"]), part["ETag"].strip('"')
        leaves = _leaves(page)
        if leaves.get("IsTruncated") != "true":
            return
        marker = leaves["NextPartNumberMarker"]


def put_part(
    api: Api, place: tuple[str, str], upload: str, number: int, piece: Piece, sums: Sums
) -> str:
    """Write part ``number`` (from 1) and return its ETag."""
    path = _path(*place, {"partNumber": str(number), "uploadId": upload})
    answer = api.request("PUT", path, service="s3", headers=_sent(piece, sums), body=piece)
    return answer.headers.get("etag", "").strip('"')


def finish_parts(
    api: Api, place: tuple[str, str], upload: str, etags: Iterable[str], crc64nvme: bytes
) -> None:
    """Join the parts, given in order, into the object; its checksum must come out as given.

    Raises:
        ApiError: the server could not; of AWS that may come late, in an answer that began well.
    """
    root = ElementTree.Element("CompleteMultipartUpload")
    for number, etag in enumerate(etags, 1):
        part = ElementTree.SubElement(root, "Part")
        ElementTree.SubElement(part, "PartNumber").text = str(number)
        ElementTree.SubElement(part, "ETag").text = f'"{etag}"'
    headers = {
        "x-amz-checksum-crc64nvme": digests.encoded(crc64nvme),
        "x-amz-checksum-type": "FULL_OBJECT",
    }
    answer = api.request(
        "POST",
        _path(*place, {"uploadId": upload}),
        service="s3",
        headers=headers,
        body=ElementTree.tostring(root),
    )
    result = _parsed(answer)
    if _name(result) == "Error":
        said = _leaves(result)
        raise ApiError(said.get("Code", "InternalError"), said.get("Message", ""), 500)


def abort_parts(api: Api, bucket: str, key: str, upload: str) -> None:
    """Give up an upload; what was sent is deleted."""
    api.request("DELETE", _path(bucket, key, {"uploadId": upload}), service="s3")


def head(api: Api, bucket: str, key: str) -> Mapping[str, str]:
    """Return the headers that tell an object's checksums.

    Raises:
        ApiError: 404 when there is no such object.
    """
    return api.request("HEAD", _path(bucket, key), service="s3", headers=_WHOLE).headers


def missing(uri: str) -> ApiError:
    """Return what to say where nothing is at an address of ``s3://``, ``gs://`` or ``az://``."""
    above = uri.rstrip("/").rpartition("/")[0] + "/"
    look = f"trainshed data ls {above}" if above != "s3://" else "trainshed data ls"
    look = look if uri.startswith("s3://") else ""
    return ApiError("NoSuchKey", f"nothing is at {uri}", 404, look)


def no_bucket(bucket: str) -> ApiError:
    """Return what to say where a bucket is not there."""
    return ApiError("NoSuchBucket", f"there is no bucket {bucket!r}", 404, "trainshed data ls")


def entries(api: Api, bucket: str, prefix: str) -> Iterator[Entry]:
    """Yield every object whose key begins with ``prefix``, in the order of keys' bytes.

    A page of 1,000 is held at a time.
    """
    for item in _listed(api, bucket, prefix, ""):
        if isinstance(item, Entry):
            yield item


def folder(api: Api, bucket: str, prefix: str) -> Iterator[Entry | Folder]:
    """Yield what lies directly below ``prefix``: objects, and folders that stand for what is in."""
    return _listed(api, bucket, prefix, "/")


def _listed(api: Api, bucket: str, prefix: str, delimiter: str) -> Iterator[Entry | Folder]:
    query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
    if delimiter:
        query["delimiter"] = delimiter
    while True:
        try:
            answer = api.request("GET", f"/{quote(bucket)}?{_query(**query)}", service="s3")
        except ApiError as error:
            raise (no_bucket(bucket) if error.code == "NoSuchBucket" else error) from error
        page = _parsed(answer)
        leaves = _leaves(page)
        plain = unquote_plus if leaves.get("EncodingType") == "url" else str
        found = [item for element in page if (item := _item(element, plain)) is not None]
        yield from sorted(found, key=lambda item: _key(item).encode())
        if not leaves.get("NextContinuationToken"):
            return
        query["continuation-token"] = leaves["NextContinuationToken"]


def _item(element: ElementTree.Element, plain: Callable[[str], str]) -> Entry | Folder | None:
    match _name(element):
        case "Contents":
            leaves = _leaves(element)
            return Entry(
                key=plain(leaves["Key"]),
                size=int(leaves["Size"]),
                etag=leaves.get("ETag", "").strip('"'),
                modified=leaves.get("LastModified", ""),
            )
        case "CommonPrefixes":
            return Folder(plain(_leaves(element)["Prefix"]))
        case _:
            return None


def _key(item: Entry | Folder) -> str:
    return item.key if isinstance(item, Entry) else item.prefix


def _path(bucket: str, key: str, query: Mapping[str, str] | None = None) -> str:
    path = f"/{quote(bucket)}/{quote(key, safe='/-_.~')}"
    return f"{path}?{_query(**query)}" if query else path


def _query(**fields: str) -> str:
    # S3 signs a space as %20, which urlencode's default "+" is not.
    return urlencode(fields, safe="-_.~", quote_via=quote)


def _sent(piece: Piece, sums: Sums) -> dict[str, str]:
    return {
        "content-length": str(piece.length),
        "x-amz-content-sha256": sums.sha256,
        "x-amz-checksum-crc64nvme": digests.encoded(sums.crc64nvme),
    }


def _parsed(answer: Answer) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(answer.body)  # noqa: S314 - the server is ours, or AWS
    except ElementTree.ParseError as error:
        raise ClientError(
            f"the store did not answer as S3 does: {error}", "check the address it is asked at"
        ) from error


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _leaves(element: ElementTree.Element) -> dict[str, str]:
    return {_name(leaf): leaf.text or "" for leaf in element if not len(leaf)}
