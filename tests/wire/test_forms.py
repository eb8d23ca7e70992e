"""Forms and policies, below the HTTP server: cut anywhere, malformed, larger than allowed."""

import base64
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.domain.errors import RequestRejected
from trainshed.wire import forms, policy
from trainshed.wire.canonical import signing_key
from trainshed.wire.keys import AccessKey
from trainshed.wire.policy import Allowed

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TYPE = "multipart/form-data; boundary=xyz"


def field(name: str, value: str) -> str:
    return f'--xyz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'


def form(fields: dict[str, str], file: bytes = b"data", name: str = "a.bin") -> bytes:
    said = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: x/y'
    head = "".join(field(*pair) for pair in fields.items()) + f"--xyz\r\n{said}\r\n\r\n"
    return head.encode() + file + b"\r\n--xyz--\r\n"


async def pieces(data: bytes, size: int = 7) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def read(
    data: bytes, size: int = 7, allowed: Allowed | None = None
) -> tuple[dict[str, str], bytes]:
    found = await forms.read(pieces(data, size), TYPE)
    return found.fields, b"".join([piece async for piece in found.file(allowed or Allowed())])


@given(
    file=st.binary(max_size=200),
    size=st.integers(1, 300),
    extra=st.sampled_from([b"", b"\r\n--xy", b"\r\n--xyz"[:-1]]),
)
async def test_a_form_is_read_however_it_arrives(file: bytes, size: int, extra: bytes) -> None:
    data = form({"Key": "up/${filename}", "X-Amz-Meta-A": "ü"}, file + extra, "C:\\b\\ä.bin")
    fields, found = await read(data, size)
    assert fields == {"key": "up/ä.bin", "x-amz-meta-a": "ü"}
    assert found == file + extra


async def code(data: bytes, content_type: str = TYPE, allowed: Allowed | None = None) -> str:
    with pytest.raises(RequestRejected) as refused:
        found = await forms.read(pieces(data), content_type)
        async for _ in found.file(allowed or Allowed()):
            pass
    return refused.value.code


async def test_what_is_no_form_is_refused() -> None:
    whole = form({"key": "k"})
    assert await code(whole, "multipart/form-data") == "MalformedPOSTRequest"
    assert await code(b"hello") == "MalformedPOSTRequest"
    assert await code(whole[:-12]) == "MalformedPOSTRequest"
    assert await code(b"--xyz--\r\n") == "InvalidArgument"
    no_file = b'--xyz\r\nContent-Disposition: form-data; name="key"\r\n\r\nk\r\n--xyz--\r\n'
    assert await code(no_file) == "InvalidArgument"
    assert (
        await code(form({"key": "k", "x-ignore-a": "x" * 21_000})) == "MaxPostPreDataLengthExceeded"
    )


async def test_the_file_has_bounds() -> None:
    assert await code(form({"key": "k"}), allowed=Allowed(most=3)) == "EntityTooLarge"
    assert await code(form({"key": "k"}), allowed=Allowed(least=5)) == "EntityTooSmall"
    assert (await read(form({"key": "k"}), allowed=Allowed(least=4, most=4)))[1] == b"data"


async def test_what_comes_behind_the_file_is_dropped() -> None:
    late = b'\r\n--xyz\r\nContent-Disposition: form-data; name="key"\r\n\r\nother\r\n--xyz--\r\n'
    data = form({"key": "k"}).removesuffix(b"\r\n--xyz--\r\n") + late
    assert await read(data) == ({"key": "k"}, b"data")


def signed(
    conditions: Any, fields: dict[str, str], expiration: str = "2026-01-01T13:00:00Z"
) -> dict[str, str]:
    document = json.dumps({"expiration": expiration, "conditions": conditions})
    text = base64.b64encode(document.encode()).decode()
    key = signing_key("secret", "20260101", "x", "s3")

    return {
        **fields,
        "policy": text,
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": "AKIA/20260101/x/s3/aws4_request",
        "x-amz-date": "20260101T120000Z",
        "x-amz-signature": hmac.digest(key, text.encode(), "sha256").hex(),
    }


MADE = [["starts-with", f"$x-amz-{name}", ""] for name in ("algorithm", "credential", "date")]
DENIED = "AccessDenied: Invalid according to Policy: "
FAILED = f"{DENIED}Policy Condition failed: "
IMAGES = ["starts-with", "$Content-Type", "image/"]
K = {"key": "k"}


def verdict(conditions: list[Any], fields: dict[str, str], **changed: str) -> Allowed | str:
    given = {**signed([*MADE, *conditions], fields), **changed}
    try:
        return policy.allowed(given, "bkt", key=AccessKey("secret"), now=NOON)
    except RequestRejected as refusal:
        return f"{refusal.code}: {refusal.message}"


@pytest.mark.parametrize(
    ("conditions", "fields", "said"),
    [
        ([{"bucket": "bkt"}, K], K, Allowed()),
        ([["eq", "$Key", "k"]], K, Allowed()),
        ([["starts-with", "$key", "up/"]], {"key": "up/x"}, Allowed()),
        ([["starts-with", "$key", ""]], {"key": "any"}, Allowed()),
        ([K, ["content-length-range", 1, "9"]], K, Allowed(least=1, most=9)),
        ([K], {**K, "x-ignore-me": "1"}, Allowed()),
        ([K, IMAGES], {**K, "content-type": "image/a,image/b"}, Allowed()),
        ([K, IMAGES], {**K, "content-type": "image/a,text/b"}, FAILED),
        ([{"bucket": "other"}, K], K, FAILED),
        ([K], {"key": "other"}, FAILED),
        ([["starts-with", "$key", "up/"]], {"key": "down/x"}, FAILED),
        ([K, {"acl": "private"}], K, FAILED),
        ([K], {**K, "acl": "public"}, f"{DENIED}Extra input fields: acl"),
        ([["like", "$key", "k"]], K, "InvalidPolicyDocument"),
        ([["eq", "key", "k"]], K, "InvalidPolicyDocument"),
        (["nonsense"], K, "InvalidPolicyDocument"),
        ([["content-length-range", "a", 1]], K, "InvalidPolicyDocument"),
    ],
)
def test_a_policy_allows_what_it_says(
    conditions: list[Any], fields: dict[str, str], said: Allowed | str
) -> None:
    found = verdict(conditions, fields)
    if isinstance(said, Allowed):
        assert found == said
    else:
        assert str(found).startswith(said)


def test_a_policy_counts_only_as_it_was_signed_and_until_it_expires() -> None:
    fields = {"key": "k"}
    assert "SignatureDoesNotMatch" in str(
        verdict([{"key": "k"}], fields, **{"x-amz-signature": "0" * 64})
    )
    assert "SignatureDoesNotMatch" in str(verdict([{"key": "k"}], fields, policy="e30="))
    late = signed([*MADE, {"key": "k"}], fields, "2026-01-01T11:59:59Z")
    with pytest.raises(RequestRejected, match="Policy expired"):
        policy.allowed(late, "bkt", key=AccessKey("secret"), now=NOON)
    with pytest.raises(RequestRejected, match="does not exist in our records"):
        policy.allowed(signed([], fields), "bkt", key=None, now=NOON)
    with pytest.raises(RequestRejected, match="Access Denied"):
        policy.access_key({"key": "k"})
    assert policy.access_key(signed([], {})) == "AKIA"
