"""Which part of an object a reader asked for, and whether to answer at all.

Source: RFC 9110, sections 13 and 14; Amazon S3 API Reference, GetObject ("If both …").
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any

from trainshed.api.s3.refusals import invalid_request
from trainshed.domain.errors import RequestRejected
from trainshed.stores.objects.info import ALWAYS, Condition, ObjectInfo

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


class Verdict(Enum):
    """What a reader's conditions come to."""

    PROCEED = auto()
    FAILED = auto()
    """412."""
    NOT_MODIFIED = auto()
    """304 for a reader, 412 for a copy."""


def judge(info: ObjectInfo, asked: Mapping[str, Any], prefix: str = "") -> Verdict:
    """Return what ``If…`` (or ``CopySourceIf…``) members of a request come to."""
    modified = info.modified.replace(microsecond=0)  # headers carry whole seconds
    match = asked.get(f"{prefix}IfMatch")
    unmodified: datetime | None = asked.get(f"{prefix}IfUnmodifiedSince")
    if match is not None:
        if not has_etag(info, match):
            return Verdict.FAILED
    elif unmodified is not None and modified > unmodified:
        return Verdict.FAILED
    none_match = asked.get(f"{prefix}IfNoneMatch")
    since: datetime | None = asked.get(f"{prefix}IfModifiedSince")
    if none_match is not None:
        if has_etag(info, none_match):
            return Verdict.NOT_MODIFIED
    elif since is not None and modified <= since:
        return Verdict.NOT_MODIFIED
    return Verdict.PROCEED


def has_etag(info: ObjectInfo, header: str) -> bool:
    """Tell whether a list of ETags, or ``*``, names the object."""
    tags = {bare_etag(tag) for tag in header.split(",")}
    return "*" in tags or info.etag in tags


def bare_etag(tag: str) -> str:
    """Return an ETag without what surrounds it in a header."""
    return tag.strip().removeprefix("W/").strip('"')


def write_condition(asked: Mapping[str, Any]) -> Condition:
    """Return what a writer's ``IfMatch`` and ``IfNoneMatch`` demand.

    Raises:
        RequestRejected: ``IfNoneMatch`` is not ``*``, the only value S3 knows for writers.
    """
    match, none_match = asked.get("IfMatch"), asked.get("IfNoneMatch")
    if none_match is not None and bare_etag(none_match) != "*":
        raise RequestRejected(
            "NotImplemented",
            "A header you provided implies functionality that is not implemented",
            501,
        )
    if match is None and none_match is None:
        return ALWAYS
    return Condition(
        etag=None if match is None else bare_etag(match), absent=none_match is not None
    )


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of an object's bytes."""

    offset: int
    length: int
    size: int
    """The whole object's."""

    @property
    def content_range(self) -> str:
        """Return what the header says."""
        return f"bytes {self.offset}-{self.offset + self.length - 1}/{self.size}"


def span(info: ObjectInfo, text: str | None, part: int | None) -> Span | None:
    """Return the stretch that a ``Range`` or a part number asks for; None for all of the object.

    A range that is no range, or several, counts as none; the end is clipped.

    Raises:
        RequestRejected: nothing of the object lies in it.
    """
    if part is not None:
        if text is not None:
            raise invalid_request("Cannot specify both Range header and partNumber query parameter")
        return _part_span(info, part)
    found = _RANGE.fullmatch(text.strip()) if text is not None else None
    if found is None or found.group() == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        offset, end = max(0, info.size - int(last)), info.size
    else:
        offset = int(first)
        end = min(int(last) + 1, info.size) if last else info.size
        if last and int(last) < offset:
            return None
    if offset >= info.size:
        raise RequestRejected("InvalidRange", "The requested range is not satisfiable", 416)
    return Span(offset, end - offset, info.size)


def _part_span(info: ObjectInfo, part: int) -> Span | None:
    sizes = info.attributes.part_sizes or (info.size,)
    if not 1 <= part <= len(sizes):
        raise RequestRejected(
            "InvalidPartNumber", "The requested partnumber is not satisfiable", 416
        )
    if not sizes[part - 1]:
        return None
    return Span(sum(sizes[: part - 1]), sizes[part - 1], info.size)
