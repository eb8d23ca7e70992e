"""Payloads: what was announced and signed comes through, whatever else is refused."""

import base64
import hashlib
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.domain.digests import digests
from trainshed.domain.errors import RequestRejected
from trainshed.wire.canonical import signing_key
from trainshed.wire.payload import Incoming, Payload, gathered, inflated
from trainshed.wire.sigv4 import Signed

PLAIN = "UNSIGNED-PAYLOAD"
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def signed(payload_hash: str) -> Signed:
    """The request of the worked examples in the S3 reference."""
    return Signed(
        access_key="AKIAIOSFODNN7EXAMPLE",
        service="s3",
        region="us-east-1",
        payload_hash=payload_hash,
        seed="4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        stamp="20130524T000000Z",
        scope="20130524/us-east-1/s3/aws4_request",
        key=signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3"),
    )


async def pieces(parts: Sequence[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def through(
    parts: Sequence[bytes], headers: Mapping[str, str], proof: Signed
) -> tuple[bytes, Mapping[str, str]]:
    payload = Payload(pieces(parts), headers, proof)
    whole = b"".join([piece async for piece in payload])
    payload.check(digests(payload.digests, whole))
    return whole, payload.trailers


async def refused(parts: Sequence[bytes], headers: Mapping[str, str], proof: Signed) -> str:
    with pytest.raises(RequestRejected) as caught:
        await through(parts, headers, proof)
    assert 400 <= caught.value.status < 500
    return caught.value.code


def framed(
    chunks: Sequence[bytes], proof: Signed, trailers: Mapping[str, str] | None = None
) -> bytes:
    """Frame as clients do."""
    signs = proof.payload_hash != TRAILER
    previous = proof.seed
    out = b""
    for chunk in [*chunks, b""]:
        out += b"%x" % len(chunk)
        if signs:
            previous = proof.chunk_signature(previous, hashlib.sha256(chunk).hexdigest())
            out += b";chunk-signature=" + previous.encode()
        out += b"\r\n" + chunk + (b"\r\n" if chunk else b"")
    if trailers:
        lines = [f"{name}:{value}" for name, value in trailers.items()]
        out += "".join(line + "\r\n" for line in lines).encode()
        if signs:
            text = "".join(line + "\n" for line in lines).encode()
            found = proof.trailer_signature(previous, text)
            out += b"x-amz-trailer-signature:" + found.encode() + b"\r\n"
    return out + b"\r\n"


def cut(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    parts = []
    for size in sizes:
        parts.append(data[:size])
        data = data[size:]
    return [*parts, data]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def crc32(data: bytes) -> str:
    return b64(zlib.crc32(data).to_bytes(4, "big"))


CHUNKS = st.lists(st.binary(min_size=1, max_size=40), max_size=5)
CUTS = st.lists(st.integers(0, 30), max_size=8)
FRAMINGS = st.sampled_from([SIGNED, SIGNED_TRAILER, TRAILER])


def headers_for(framing: str, whole: bytes) -> dict[str, str]:
    trailing = {} if framing == SIGNED else {"x-amz-trailer": "x-amz-checksum-crc32"}
    return {"x-amz-decoded-content-length": str(len(whole))} | trailing


@given(chunks=CHUNKS, cuts=CUTS, framing=FRAMINGS)
async def test_framing_is_taken_off_however_the_bytes_arrive(
    chunks: list[bytes], cuts: list[int], framing: str
) -> None:
    whole = b"".join(chunks)
    trailers = {} if framing == SIGNED else {"x-amz-checksum-crc32": crc32(whole)}
    body = framed(chunks, signed(framing), trailers)
    assert await through(cut(body, cuts), headers_for(framing, whole), signed(framing)) == (
        whole,
        trailers,
    )


@given(
    chunks=CHUNKS,
    framing=FRAMINGS,
    where=st.integers(0, 10_000),
    how=st.sampled_from(["flip", "drop", "end", "add"]),
)
async def test_no_change_to_a_framed_body_goes_unnoticed(
    chunks: list[bytes], framing: str, where: int, how: str
) -> None:
    whole = b"".join(chunks)
    trailers = {} if framing == SIGNED else {"x-amz-checksum-crc32": crc32(whole)}
    body = bytearray(framed(chunks, signed(framing), trailers))
    where %= len(body) - 2  # the very last line end may be missing
    if how == "flip":
        body[where] ^= 1
    elif how == "drop":
        del body[where]
    elif how == "add":
        body.insert(where, 0x7A)
    else:
        del body[where:]
    try:
        found, kept = await through([bytes(body)], headers_for(framing, whole), signed(framing))
    except RequestRejected as refusal:
        assert refusal.status < 500
    else:
        # What is left is a change of spelling only: the case of hex or of a trailer's name.
        assert (found, kept) == (whole, trailers)


async def test_the_worked_example_of_the_s3_reference_is_read() -> None:
    body = (
        b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n"
        + b"a" * 65536
        + b"\r\n400;chunk-signature="
        b"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n"
        + b"a"
        * 1024
        + b"\r\n0;chunk-signature="
        b"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
    )
    headers = {"x-amz-decoded-content-length": "66560", "content-length": "66824"}
    assert len(body) == 66824
    whole, _ = await through([body], headers, signed(SIGNED))
    assert whole == b"a" * 66560


async def test_the_worked_example_with_a_signed_trailer_is_read() -> None:
    proof = replace(
        signed(SIGNED_TRAILER),
        seed="106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    )
    body = (
        b"10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n"
        + b"a" * 65536
        + b"\r\n400;chunk-signature="
        b"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n"
        + b"a"
        * 1024
        + b"\r\n0;chunk-signature="
        b"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
        b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
        b"x-amz-trailer-signature:"
        b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
    )
    headers = {"x-amz-decoded-content-length": "66560", "x-amz-trailer": "x-amz-checksum-crc32c"}
    _, trailers = await through([body], headers, proof)
    assert trailers == {"x-amz-checksum-crc32c": "sOO8/Q=="}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"zz\r\n\r\n",
        b"-1\r\n\r\n",
        b"fffffffffffffffff\r\n",
        b"5\r\nabc\r\n0\r\n\r\n",
        b"2\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc0\r\n\r\n",
        b"3\r\nabc\r\n",
        b"3\r\nabc\r\n0\r\nnonsense\r\n\r\n",
        b"3\r\nabc\r\n0\r\n\r\nmore",
        b"3\r\nabc\r\n0\r\nx-other:1\r\n\r\n",
        b"3\r\nabc\r\n0\r\n" + b"".join(b"x-%d:1\r\n" % n for n in range(99)) + b"\r\n",
        b"0" * 20_000,
    ],
)
async def test_broken_framing_is_refused_in_words(body: bytes) -> None:
    code = await refused([body], {}, signed(TRAILER))
    assert code in {"InvalidRequest", "IncompleteBody", "MalformedTrailerError"}


@pytest.mark.parametrize("framing", [SIGNED, SIGNED_TRAILER])
async def test_chunks_that_must_be_signed_may_not_come_unsigned(framing: str) -> None:
    body = framed([b"abc"], signed(TRAILER))
    assert await refused([body], {}, signed(framing)) == "InvalidRequest"


async def test_chunks_may_not_change_places() -> None:
    proof = signed(SIGNED)
    body = framed([b"a" * 9, b"b" * 9], proof)
    swapped = (
        body.replace(b"a" * 9, b"c" * 9).replace(b"b" * 9, b"a" * 9).replace(b"c" * 9, b"b" * 9)
    )
    assert await refused([swapped], {}, proof) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("announced", ["2", "4"])
@pytest.mark.parametrize("framing", [SIGNED, TRAILER])
async def test_the_announced_length_is_held(framing: str, announced: str) -> None:
    body = framed([b"abc"], signed(framing))
    headers = {"x-amz-decoded-content-length": announced}
    assert await refused([body], headers, signed(framing)) == "IncompleteBody"
    assert await refused([b"abc"], {"content-length": announced}, signed(PLAIN)) == "IncompleteBody"


DIGESTS: dict[str, Callable[[bytes], str]] = {
    "content-md5": lambda data: b64(hashlib.md5(data).digest()),
    "x-amz-checksum-crc32": crc32,
    "x-amz-checksum-sha1": lambda data: b64(hashlib.sha1(data).digest()),
    "x-amz-checksum-sha256": lambda data: b64(hashlib.sha256(data).digest()),
}


@pytest.mark.parametrize("name", DIGESTS)
async def test_a_checksum_header_must_fit_the_payload(name: str) -> None:
    good = {name: DIGESTS[name](b"abc")}
    proof = signed(PLAIN)
    assert await through([b"a", b"bc"], good, proof) == (b"abc", {})
    assert await refused([b"abd"], good, proof) == "BadDigest"
    assert await refused([b"abc"], {name: "?"}, proof) in {"InvalidDigest", "InvalidRequest"}
    assert await refused([b"abc"], {name: b64(b"12")}, proof) in {"InvalidDigest", "InvalidRequest"}


@pytest.mark.parametrize("name", [name for name in DIGESTS if name != "content-md5"])
async def test_a_checksum_trailer_must_fit_the_payload(name: str) -> None:
    headers = {"x-amz-trailer": name}
    good = framed([b"abc"], signed(TRAILER), {name: DIGESTS[name](b"abc")})
    bad = framed([b"abc"], signed(TRAILER), {name: DIGESTS[name](b"abd")})
    assert (await through([good], headers, signed(TRAILER)))[0] == b"abc"
    assert await refused([bad], headers, signed(TRAILER)) == "BadDigest"


async def test_a_promised_trailer_that_does_not_come_is_noticed() -> None:
    body = framed([b"abc"], signed(TRAILER))
    headers = {"x-amz-trailer": "x-amz-checksum-crc32"}
    assert await refused([body], headers, signed(TRAILER)) == "MalformedTrailerError"


async def test_the_signed_hash_must_fit_the_payload() -> None:
    proof = signed(hashlib.sha256(b"abc").hexdigest())
    assert await through([b"abc"], {}, proof) == (b"abc", {})
    assert await refused([b"abd"], {}, proof) == "XAmzContentSHA256Mismatch"


async def test_a_payload_is_read_once() -> None:
    payload = Payload(pieces([b"abc"]), {}, signed(PLAIN))
    assert [piece async for piece in payload] == [b"abc"]
    with pytest.raises(RuntimeError):
        assert [piece async for piece in payload]


@pytest.mark.parametrize("value", ["x", "-1", "1e3", "²", "9" * 30])
def test_a_length_must_be_a_number(value: str) -> None:
    with pytest.raises(RequestRejected, match="InvalidArgument"):
        Payload(pieces([]), {"content-length": value}, signed(PLAIN))


async def test_a_client_that_goes_away_leaves_an_incomplete_body() -> None:
    messages = iter(
        [{"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> Mapping[str, object]:
        return next(messages)

    with pytest.raises(RequestRejected, match="IncompleteBody"):
        assert [piece async for piece in Incoming(receive, empty=False)]


TOO_LARGE = RequestRejected("TooLarge", "", 413)


async def test_a_small_body_is_gathered_and_a_large_one_is_not() -> None:
    assert await gathered(pieces([b"ab", b"c"]), limit=3, refusal=TOO_LARGE) == b"abc"
    with pytest.raises(RequestRejected, match="TooLarge"):
        await gathered(pieces([b"ab", b"cd"]), limit=3, refusal=TOO_LARGE)


def test_a_compressed_body_is_opened_up_to_the_limit() -> None:
    packed = zlib.compress(b"a" * 1000, wbits=31)
    assert inflated(packed, limit=1000, refusal=TOO_LARGE) == b"a" * 1000
    for body, limit in ((packed, 999), (packed[:-9], 1000), (b"nonsense", 1000)):
        with pytest.raises(RequestRejected):
            inflated(body, limit=limit, refusal=TOO_LARGE)
