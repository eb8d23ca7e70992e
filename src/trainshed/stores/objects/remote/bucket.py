"""One S3 bucket, asked by signed requests of our own: every key, every header, every checksum.

Source: Amazon S3 API reference.
"""

import contextlib
import email.utils
import importlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from typing import Final
from xml.sax.saxutils import escape

from trainshed.domain import digests
from trainshed.domain.errors import ObjectMissing, StoreError
from trainshed.stores.objects.addresses import Address
from trainshed.stores.objects.remote import checksums
from trainshed.stores.objects.remote.access import Access
from trainshed.stores.objects.remote.connections import Answer, Connections
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.listing import parsed
from trainshed.stores.objects.remote.places import Body, Found, Sending
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.troubles import (
    NotOffered,
    ObjectChanged,
    StoreAway,
    UploadLost,
    refusal,
)

_PAGE_ERRORS: Final = (ET.ParseError, KeyError, ValueError)
_RANGE: Final = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+)")
_ELSEWHERE: Final = frozenset({301, 307, 400})
"""Statuses of requests that were signed for, or sent to, another region than the bucket's."""
_SIGN: Final = "x-amz-request-id"
"""Stands in every answer of the server's own store."""
_ASKED: Final = {"x-amz-checksum-mode": "ENABLED"}


def connect(access: Access) -> Connections:
    """Return connections to a store, for its buckets to share."""
    return Connections(access)


class Bucket:
    """See ``InParts``."""

    def __init__(self, connections: Connections, name: str) -> None:
        """Ask for the bucket ``name`` over ``connections``."""
        self._connections = connections
        self._name = name
        self._knows_crc32 = True
        """Until the store has shown that it does not."""

    def page(self, prefix: str, after: str) -> tuple[list[Entry], bool]:
        """Return a page of objects behind the key ``after``, and whether more follow."""
        query = {"encoding-type": "url", "list-type": "2", "prefix": prefix}
        if after:
            query["start-after"] = after
        body = self._asked("GET", "", query=query)[1]
        try:
            return parsed(body)
        except _PAGE_ERRORS as error:
            raise StoreError(
                f"s3://{self._name}/{prefix}: the store did not answer as S3 does: {error}"
            ) from error

    def head(self, key: str) -> Found:
        """Return what the store tells of an object."""
        headers, _ = self._asked("HEAD", key, headers=_ASKED)
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            raise self._unsaid(key)
        return found(headers, int(length))

    def open(self, key: str, offset: int, end: int | None, etag: str) -> "BucketReading":
        """Begin to read an object; see ``Place``."""
        whole = offset == 0 and end is None
        headers = dict(_ASKED) if whole else {"range": _range(offset, end)}
        if etag:
            headers["if-match"] = f'"{etag}"'
        answer = self._connections.ask("GET", (self._name, key), headers=headers)
        with contextlib.ExitStack() as undo:
            undo.callback(answer.close)
            begun = self._begun(key, answer, offset, etag)
            undo.pop_all()
        return begun

    def delete(self, key: str) -> None:
        """Delete an object; one that is gone is no error."""
        try:
            self._asked("DELETE", key)
        except ObjectMissing:
            return

    def put(self, key: str, body: bytes | bytearray, headers: Mapping[str, str]) -> None:
        """Store a small object in one request; what arrived is what was sent."""
        if self._knows_crc32:
            value = digests.encoded(digests.digest("CRC32", body))
            checked = {**headers, "x-amz-checksum-crc32": value}
            with contextlib.suppress(NotOffered):
                said, _ = self._asked("PUT", key, headers=checked, body=body)
                if "x-amz-checksum-crc32" in said:
                    return
            self._knows_crc32 = False
        # What every store knows checks the bytes.
        checked = {**headers, "content-md5": checksums.content_md5([memoryview(body)])}
        self._asked("PUT", key, headers=checked, body=body)

    def upload(
        self,
        key: str,
        write: Callable[[Sink], None],
        headers: Mapping[str, str],
        sending: Sending,
    ) -> None:
        """Store what ``write`` writes; see ``Place``."""
        # Lists and downloads need none of it.
        uploads = importlib.import_module("trainshed.stores.objects.remote.uploads")
        uploads.upload(self, Address("s3", self._name, key), write, headers, sending)

    def begin(self, key: str, headers: Mapping[str, str]) -> tuple[str, bool]:
        """Begin a multipart upload; return its id, and whether parts are checked by CRC64NVME."""
        wanted = {
            "x-amz-checksum-algorithm": "CRC64NVME",
            "x-amz-checksum-type": "FULL_OBJECT",
        }
        try:
            said, body = self._asked(
                "POST", key, query={"uploads": ""}, headers={**headers, **wanted}
            )
        except NotOffered:
            said, body = self._asked("POST", key, query={"uploads": ""}, headers=headers)
        kept = said.get("x-amz-checksum-algorithm", "").upper() == "CRC64NVME"
        return _member(body, "UploadId", f"s3://{self._name}/{key}"), kept

    def part(
        self, key: str, upload: str, number: int, body: Body, headers: Mapping[str, str]
    ) -> str:
        """Store one part; return its ETag."""
        query = {"partNumber": str(number), "uploadId": upload}
        try:
            said, _ = self._asked("PUT", key, query=query, headers=headers, body=body)
        except ObjectMissing as missing:
            raise UploadLost(str(missing)) from missing
        return said.get("etag", "")

    def complete(
        self, key: str, upload: str, parts: list[tuple[str, str]], headers: Mapping[str, str]
    ) -> None:
        """Make an object of its parts: (ETag, CRC64NVME or "") in order."""
        lines = []
        for number, (etag, crc) in enumerate(parts, 1):
            checksum = f"<ChecksumCRC64NVME>{crc}</ChecksumCRC64NVME>" if crc else ""
            lines.append(
                f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag>{checksum}</Part>"
            )
        xmlns = "http://s3.amazonaws.com/doc/2006-03-01/"
        text = (
            f'<CompleteMultipartUpload xmlns="{xmlns}">{"".join(lines)}</CompleteMultipartUpload>'
        )
        try:
            _, body = self._asked(
                "POST", key, query={"uploadId": upload}, headers=headers, body=text.encode()
            )
        except ObjectMissing as missing:
            raise UploadLost(str(missing)) from missing
        # A store that began to answer before it was done tells the error in the body.
        if body.strip() and _root(body) == "Error":
            code, words = _error(500, body)
            raise refusal(f"s3://{self._name}/{key}", 500, words, code)

    def abort(self, key: str, upload: str) -> None:
        """Give an upload up; one that is gone is no error."""
        try:
            self._asked("DELETE", key, query={"uploadId": upload})
        except ObjectMissing:
            return

    def _asked(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = b"",
    ) -> tuple[dict[str, str], bytes]:
        """Return the headers and the body of an answer that is a success."""
        with self._connections.ask(method, (self._name, key), query, headers, body) as answer:
            text = answer.read()
            if not 200 <= answer.status < 300:
                raise self._refused(key, answer, text)
            return answer.headers, text

    def _begun(self, key: str, answer: Answer, offset: int, etag: str) -> "BucketReading":
        headers = answer.headers
        part = _RANGE.fullmatch(headers.get("content-range", ""))
        if answer.status == 416:
            answer.read()
            return BucketReading(answer, found(headers, int(part[2]) if part else 0), 0)
        if answer.status not in {200, 206}:
            raise self._refused(key, answer, answer.read())
        # Some stores send a part as 200; what tells it is where in the whole it lies.
        partial = answer.status == 206 or part is not None
        if partial and (part is None or int(part[1] or -1) != offset):
            raise StoreError(f"s3://{self._name}/{key}: the store sent another range than asked")
        if offset and not partial:
            raise StoreError(f"s3://{self._name}/{key}: the store does not send parts of objects")
        if answer.length is None:
            raise self._unsaid(key)
        # Stores that echo the whole object's checksum on a range are why those are not looked at.
        size = int(part[2]) if part else answer.length
        told = found(headers if part is None else {**headers, **_NO_CHECKSUMS}, size)
        if etag and told.etag and told.etag != etag:
            raise ObjectChanged(f"s3://{self._name}/{key} was replaced meanwhile")
        return BucketReading(answer, told, answer.length)

    def _unsaid(self, key: str) -> StoreError:
        """Return what to say of an answer whose end nobody could tell from a break."""
        return StoreError(
            f"s3://{self._name}/{key}: the store does not say how many bytes the object has "
            "(no Content-Length); is a proxy between that compresses answers, or cuts them up?"
        )

    def _refused(self, key: str, answer: Answer, body: bytes) -> StoreError:
        code, words = _error(answer.status, body)
        if self._connections.own and not code and not answer.header(_SIGN):
            # While our server is away somebody else may have its port, or a proxy may answer in its
            # place: their 404 would be taken for a missing bucket.
            return StoreAway(
                f"s3://{self._name}/{key}: it is not the server that answers, but a proxy on the "
                f"way, or another program on its port: {words}"
            )
        region = answer.header("x-amz-bucket-region")
        if region and answer.status in _ELSEWHERE:
            words += f" (the bucket is in {region}: say so by `region` in [[stores]])"
        return refusal(f"s3://{self._name}/{key}", answer.status, words, code)


class BucketReading:
    """See ``Reading``."""

    def __init__(self, answer: Answer, told: Found, length: int) -> None:
        """Read the ``length`` bytes of an answer's body."""
        self.found = told
        self._answer = answer
        self._left = length

    def into(self, buffer: memoryview, /) -> int:
        """Read the next bytes; 0 at the end."""
        if not self._left or not buffer:
            return 0
        count = self._answer.into(buffer[: self._left])
        if not count:
            raise StoreAway(f"the connection broke {self._left} bytes before the end")
        self._left -= count
        return count

    def close(self) -> None:
        """Give the connection back, or close it."""
        self._answer.close()


_NO_CHECKSUMS: Final = {f"x-amz-checksum-{name.lower()}": "" for name in digests.SIZES}


def found(headers: Mapping[str, str], size: int) -> Found:
    """Return what an answer's headers tell of an object."""
    told = headers.get("etag", "")
    # A weak one does not say that the bytes are the same.
    etag = "" if told.startswith("W/") else told.strip('"')
    algorithm, digest = checksums.told(headers, etag)
    modified = _seconds(headers.get("last-modified", ""))
    return Found(size=size, etag=etag, modified=modified, algorithm=algorithm, digest=digest)


def _seconds(moment: str) -> float:
    try:
        return email.utils.parsedate_to_datetime(moment).timestamp()
    except ValueError:
        return 0.0


def _range(offset: int, end: int | None) -> str:
    return f"bytes={offset}-" if end is None else f"bytes={offset}-{end - 1}"


def _root(body: bytes) -> str:
    try:
        return ET.fromstring(body).tag.rpartition("}")[2]  # noqa: S314 - from the store we trust
    except ET.ParseError:
        return ""


def _member(body: bytes, name: str, address: str) -> str:
    try:
        nodes = list(ET.fromstring(body))  # noqa: S314 - from the store that our keys belong to
    except ET.ParseError as error:
        raise StoreError(f"{address}: the store did not answer as S3 does: {error}") from error
    for node in nodes:
        if node.tag.rpartition("}")[2] == name and node.text:
            return node.text
    raise StoreError(f"{address}: the store's answer names no {name}")


def _error(status: int, body: bytes) -> tuple[str, str]:
    """Return the code of an error, and the store's words."""
    try:
        members = {n.tag.rpartition("}")[2]: n.text or "" for n in ET.fromstring(body)}  # noqa: S314
    except ET.ParseError:
        members = {}
    code, message = members.get("Code", ""), members.get("Message", "")
    return code, ": ".join(filter(None, (code or f"HTTP {status}", message)))
