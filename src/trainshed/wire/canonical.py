"""The text that a signature signs: one request written in the one way both sides agree on.

S3 takes the path as it was sent. All other services resolve ``.`` and ``..``, drop empty segments,
and escape the escaped path once more.

Source: "Create a canonical request" (IAM User Guide).
"""

import hmac
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

ALGORITHM: Final = "AWS4-HMAC-SHA256"
UNSIGNED: Final = "UNSIGNED-PAYLOAD"

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]*")


@lru_cache(maxsize=1024)
def signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    """Return the key that signs one day's requests to a service of a region."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def canonical_request(
    method: str,
    path: str,
    query: str,
    headers: tuple[tuple[str, ...], Mapping[str, str]],
    *,
    payload_hash: str,
) -> str:
    """Return the canonical request.

    Args:
        method: in capitals.
        path: from ``canonical_paths``.
        query: from ``canonical_query``.
        headers: the signed names in order, and all values by lower-cased name.
        payload_hash: hex SHA-256, or the word that stands for it.
    """
    names, values = headers
    lines = "".join([f"{name}:{' '.join(values.get(name, '').split())}\n" for name in names])
    return f"{method}\n{path}\n{query}\n{lines}\n{';'.join(names)}\n{payload_hash}"


def signature(key: bytes, stamp: str, scope: str, canonical: str) -> str:
    """Return the hex signature of a canonical request."""
    digest = sha256(canonical.encode("latin-1")).hexdigest()
    text = f"{ALGORITHM}\n{stamp}\n{scope}\n{digest}"
    return hmac.digest(key, text.encode("latin-1"), "sha256").hex()


def canonical_paths(path: str, *, s3: bool) -> Iterator[str]:
    """Yield the canonical path as clients compute it, then as the specification does.

    The two differ where a client sends a character bare that the specification escapes, such as
    ``=``; most clients sign what they send. Both forms name the same resource.
    """
    if path in {"", "/"}:
        yield "/"
        return
    sent = path if s3 else _normalised(path)
    strict = quote(unquote_to_bytes(sent.encode("latin-1")), safe="/~")
    for form in dict.fromkeys((sent, strict)):
        yield form if s3 else quote(form.encode("latin-1"), safe="/~")


def _normalised(path: str) -> str:
    """Resolve ``.`` and ``..`` and drop empty segments, as every service but S3 does."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    return "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")


def canonical_query(query: str, *, without: str | None = None) -> str:
    """Return ``query`` escaped and sorted, leaving out the parameter ``without``."""
    if not query:
        return ""
    pairs = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if pair and name != without:
            pairs.append((_recoded(name), _recoded(value)))
    pairs.sort()
    return "&".join([f"{name}={value}" for name, value in pairs])


def _recoded(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return quote(unquote_to_bytes(text.replace("+", " ").encode("latin-1")), safe="-_.~")


def host_of(url: str) -> str:
    """Return the Host header that HTTP clients send for ``url``."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    default = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    return host.removesuffix(default) if default else host
