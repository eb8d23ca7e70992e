"""Uploads from browsers: a form whose last field is the file, turned into the request it means.

A form says in fields what a PUT says in headers, and a policy stands for the signature. The file is
read as it arrives; only the fields before it are kept.

Source: "Browser-based uploads using POST" and "POST Object" (Amazon S3 API Reference).
"""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from trainshed.domain.errors import RequestRejected
from trainshed.wire.errors import invalid_argument, malformed_xml
from trainshed.wire.policy import Allowed
from trainshed.wire.protocols import HttpResponse
from trainshed.wire.protocols.xml_read import Node, NotReadable, read_document
from trainshed.wire.protocols.xml_write import DECLARATION, element

_MOST_FIELDS: Final = 20 * 1024
"""Bytes of all fields before the file; S3's own limit."""
_HEADERS: Final = re.compile(
    r"cache-control|content-(type|disposition|encoding|language|md5)|expires|x-amz-meta-.+"
    r"|x-amz-checksum-.+|x-amz-storage-class|x-amz-server-side-encryption.*"
    r"|x-amz-website-redirect-location|x-amz-sdk-checksum-algorithm"
)
"""Fields that stand for a header of the same name."""
_BUCKET: Final = re.compile(r"/([^/]+)/?")


def is_form(method: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a request is a browser's form with a file."""
    return method == "POST" and headers.get("content-type", "").startswith("multipart/form-data")


def bucket_of(path: str) -> str:
    """Return the bucket that a form is sent to.

    Raises:
        RequestRejected: the path names none, or an object.
    """
    found = _BUCKET.fullmatch(path)
    if found is None:
        raise RequestRejected(
            "MethodNotAllowed", "The specified method is not allowed against this resource.", 405
        )
    return found[1]


@dataclass(slots=True, kw_only=True)
class Form:
    """The fields of a form, and its file, still to be read."""

    fields: dict[str, str]
    """By lower-cased name; ``${filename}`` is replaced."""
    pieces: AsyncIterator[bytes]

    @property
    def key(self) -> str:
        """The object's key.

        Raises:
            RequestRejected: the form has none.
        """
        if not self.fields.get("key"):
            raise invalid_argument(
                "Bucket POST must contain a field named 'key'.  If it is specified, please check "
                "the order of the fields."
            )
        return self.fields["key"]

    def path(self, bucket: str) -> str:
        """Return the path of the request that the form means."""
        return f"/{bucket}/{quote(self.key)}"

    def headers(self) -> dict[str, str]:
        """Return the headers of the request that the form means, as the wire carries them.

        Raises:
            RequestRejected: the tags cannot be read.
        """
        found = {name: value for name, value in self.fields.items() if _HEADERS.fullmatch(name)}
        if "tagging" in self.fields:
            found["x-amz-tagging"] = _tags(self.fields["tagging"])
        return {name: value.encode().decode("latin-1") for name, value in found.items()}

    async def file(self, allowed: Allowed) -> AsyncIterator[bytes]:
        """Yield the file.

        Raises:
            RequestRejected: it has more or less bytes than the policy allows.
        """
        size = 0
        async for piece in self.pieces:
            size += len(piece)
            if allowed.most is not None and size > allowed.most:
                raise RequestRejected(
                    "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"
                )
            yield piece
        if size < allowed.least:
            raise RequestRejected(
                "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size"
            )

    def answer(self, put: HttpResponse, bucket: str, host: str) -> HttpResponse:
        """Return the answer to the form, made of the answer to the request that it means."""
        location = f"http://{host}{self.path(bucket)}"
        etag = dict(put.headers).get("ETag", "")
        target = self.fields.get("success_action_redirect") or self.fields.get("redirect", "")
        if target.startswith(("http://", "https://")):
            parts = urlsplit(target)
            told = [*parse_qsl(parts.query, keep_blank_values=True)]
            told += [("bucket", bucket), ("key", self.key), ("etag", etag)]
            redirect = urlunsplit(parts._replace(query=urlencode(told)))
            return HttpResponse(
                status=303, headers=[*put.headers, ("Location", redirect)], body=b""
            )
        found = [*put.headers, ("Location", location)]
        status = self.fields.get("success_action_status", "")
        if status != "201":
            return HttpResponse(status=200 if status == "200" else 204, headers=found, body=b"")
        text = (
            f"{DECLARATION}<PostResponse>"
            + element("Location", location)
            + element("Bucket", bucket)
            + element("Key", self.key)
            + element("ETag", etag)
            + "</PostResponse>"
        )
        found.append(("Content-Type", "application/xml"))
        return HttpResponse(status=201, headers=found, body=text.encode())


async def read(pieces: AsyncIterator[bytes], content_type: str) -> Form:
    """Read a form up to its file.

    Raises:
        RequestRejected: it is no form, has no file, or too much before it.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise _malformed("it has no boundary")
    reading = _Reading(boundary)
    source = aiter(pieces)
    while not reading.in_file:
        piece = await anext(source, None)
        if piece is None:
            raise invalid_argument("POST requires exactly one file upload per request.")
        reading.take(piece)
        if reading.size > _MOST_FIELDS:
            raise RequestRejected(
                "MaxPostPreDataLengthExceeded",
                "Your POST request fields preceding the upload file were too large.",
            )
    fields = {
        name: value.replace("${filename}", reading.filename)
        if name not in {"policy", "x-amz-signature", "signature"}
        else value
        for name, value in reading.fields.items()
    }
    return Form(fields=fields, pieces=_rest(reading, source))


async def _rest(reading: "_Reading", source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the file; what comes behind it is read and dropped, as S3 does."""
    while True:
        for piece in reading.taken():
            yield piece
        if reading.over:
            break
        following = await anext(source, None)
        if following is None:
            raise _malformed("it breaks off")
        reading.take(following)
    async for _ in source:
        pass


class _Reading:
    """A form on its way through the parser."""

    def __init__(self, boundary: bytes) -> None:
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_part_begin": self._on_part_begin,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise _malformed(str(error)) from error
        self.fields: dict[str, str] = {}
        self.filename = ""
        self.in_file = False
        self.over = False
        """Whether the file has ended."""
        self.size = 0
        """Bytes of fields."""
        self._name = ""
        self._headers: dict[bytes, bytes] = {}
        self._header = (b"", b"")
        self._value = b""
        self._pieces: list[bytes] = []

    def take(self, piece: bytes) -> None:
        """Parse what has come."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise _malformed(str(error)) from error

    def taken(self) -> list[bytes]:
        """Return the pieces of the file that have been parsed since the last time."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def _on_part_begin(self) -> None:
        self._headers, self._header, self._value = {}, (b"", b""), b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0] + data[start:end], self._header[1])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0], self._header[1] + data[start:end])

    def _on_header_end(self) -> None:
        self._headers[self._header[0].lower()] = self._header[1]
        self.size += len(self._header[1])
        self._header = (b"", b"")

    def _on_headers_finished(self) -> None:
        options = parse_options_header(self._headers.get(b"content-disposition", b""))[1]
        self._name = options.get(b"name", b"").decode("utf-8", "replace").lower()
        if self._name == "file" and not self.over:
            self.in_file = True
            whole = options.get(b"filename", b"").decode("utf-8", "replace")
            self.filename = re.split(r"[/\\]", whole)[-1]

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self.over:
            return
        if self.in_file:
            self._pieces.append(data[start:end])
            return
        self.size += end - start
        if self.size <= _MOST_FIELDS:
            self._value += data[start:end]

    def _on_part_end(self) -> None:
        if self.in_file:
            self.over = True
        else:
            self.fields[self._name] = self._value.decode("utf-8", "replace")

    def _on_end(self) -> None:
        self.over = True
        if not self.in_file:
            raise invalid_argument("POST requires exactly one file upload per request.")


def _tags(text: str) -> str:
    """Return a form's tags, an XML document, as the header has them."""
    try:
        tag_set = read_document(text.encode()).first("TagSet")
    except NotReadable as error:
        raise malformed_xml(str(error)) from error
    tags = tag_set.all("Tag") if tag_set else []
    return urlencode([(_text(tag, "Key"), _text(tag, "Value")) for tag in tags])


def _text(node: Node, name: str) -> str:
    found = node.first(name)
    return found.text if found else ""


def _malformed(why: str) -> RequestRejected:
    return RequestRejected(
        "MalformedPOSTRequest",
        f"The body of your POST request is not well-formed multipart/form-data ({why}).",
    )
