"""Addresses of objects: ``s3://bucket/key``, ``gs://…``, ``az://container/key``, ``file:///path``.

A key is exact text: nothing in it is decoded, normalised or stripped, because two keys that
differ in a slash are two objects. Amazon's own web addresses of buckets, which SageMaker takes as
well and older programs send, mean the same as ``s3://``.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

SCHEMES: Final = ("s3", "gs", "az", "file")

_AMAZON: Final = re.compile(
    r"https://(?:(?P<bucket>[a-z0-9][a-z0-9.-]+)\.)?s3(?:[.-][a-z0-9.-]+)?\.amazonaws\.com(?:\.cn)?/"
)
"""``https://s3.<region>.amazonaws.com/`` with the bucket behind it, or before it in the host."""


@dataclass(frozen=True, slots=True)
class Address:
    """One object, or the prefix that several share."""

    scheme: str
    """``s3``, ``gs``, ``az`` or ``file``."""
    bucket: str
    """The bucket, or Azure's container; empty for ``file``."""
    key: str
    """What follows the bucket's slash. ``file``: the absolute path, ``/`` first."""

    def __str__(self) -> str:
        """Return the address as it is written in requests."""
        if self.scheme == "file":
            return f"file://{self.key}"
        return f"{self.scheme}://{self.bucket}/{self.key}"

    def joined(self, *names: str) -> "Address":
        """Return the address of a thing below this one; one slash between each two parts."""
        head = self.key.rstrip("/")
        if self.scheme == "file":
            return replace(self, key="/".join([head, *names]))
        return replace(self, key="/".join([head, *names] if head else names))

    def at(self, key: str) -> "Address":
        """Return the address of another key in the same bucket."""
        return replace(self, key=key)


def parse(text: str) -> Address:
    """Return the address that ``text`` writes.

    Raises:
        ValueError: it has none of the schemes; the message quotes the text.
    """
    if (web := _AMAZON.match(text)) is not None:
        rest = text[web.end() :]
        text = f"s3://{web['bucket']}/{rest}" if web["bucket"] else f"s3://{rest}"
    scheme, colon, rest = text.partition("://")
    if not colon or scheme not in SCHEMES:
        raise ValueError(f"{text!r} is not an address: use s3://bucket/key or file:///path")
    if scheme == "file":
        if not rest.startswith("/"):
            raise ValueError(
                f"{text!r} is not an address: file:// needs an absolute path, file:///…"
            )
        return Address("file", "", rest)
    bucket, _, key = rest.partition("/")
    if not bucket:
        raise ValueError(f"{text!r} is not an address: it names no bucket")
    return Address(scheme, bucket, key)
