"""Signatures: what real clients sign is believed, and nothing else is."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from trainshed.domain.errors import RequestRejected
from trainshed.wire.keys import AccessKey
from trainshed.wire.signer import Signer
from trainshed.wire.sigv4 import Claim, Sent, Signed, read, verify

KEYS = {"AKIDEXAMPLE": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "other": "secret"}
KNOWN = {access_key: AccessKey(secret) for access_key, secret in KEYS.items()}
SIGNERS = {"s3": S3SigV4Auth, "sagemaker": SigV4Auth}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def by_botocore(
    service: str,
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    presign: int | None = None,
    token: str | None = None,
) -> Sent:
    key, secret = next(iter(KEYS.items()))
    credentials = Credentials(key, secret, token)
    request = AWSRequest(method=method, url=url, headers=dict(headers or {}), data=body)
    if presign is None:
        SIGNERS[service](credentials, service, "eu-west-1").add_auth(request)
    else:
        presigner = S3SigV4QueryAuth if service == "s3" else SigV4QueryAuth
        presigner(credentials, service, "eu-west-1", expires=presign).add_auth(request)
    return as_sent(method, request.url, dict(request.headers.items()))


def as_sent(method: str, url: str, headers: Mapping[str, str]) -> Sent:
    parts = urlsplit(url)
    lowered = {name.lower(): str(value) for name, value in headers.items()}
    return Sent(
        method=method,
        path=parts.path,
        query=parts.query,
        headers={"host": parts.netloc} | lowered,
    )


def checked(
    sent: Sent,
    body: bytes = b"",
    *,
    keys: Mapping[str, AccessKey] = KNOWN,
    late: timedelta = timedelta(0),
) -> Signed:
    claim = read(sent)
    assert claim is not None
    key = keys.get(claim.access_key)
    return verify(claim, sent, sha256(body).hexdigest(), key=key, now=claim.signed_at + late)


def refusal(sent: Sent, body: bytes = b"", **how: timedelta) -> RequestRejected:
    with pytest.raises(RequestRejected) as caught:
        checked(sent, body, **how)
    return caught.value


PATHS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6), max_size=4
).map(lambda parts: "/" + "/".join(quote(part, safe="~") for part in parts))
QUERIES = st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=4).map(
    lambda pairs: "&".join(
        f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in pairs if k
    )
)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=9)


@pytest.mark.parametrize("service", ["s3", "sagemaker"])
@given(
    path=PATHS,
    query=QUERIES,
    value=VALUES,
    body=st.binary(max_size=20),
    presign=st.none() | st.just(60),
)
def test_what_botocore_signs_is_believed(
    service: str, path: str, query: str, value: str, body: bytes, presign: int | None
) -> None:
    url = f"http://127.0.0.1:9999{path}" + (f"?{query}" if query and not presign else "")
    if presign:
        body = b""
    sent = by_botocore(
        service,
        url,
        method="PUT",
        headers={"x-amz-meta-a": f"{value}  {value}"},
        body=body,
        presign=presign,
        token="session",
    )
    signed = checked(sent, body)
    assert (signed.access_key, signed.service, signed.region) == (
        "AKIDEXAMPLE",
        service,
        "eu-west-1",
    )


@pytest.mark.parametrize("service", ["s3", "sagemaker"])
@given(path=PATHS, query=QUERIES, value=VALUES, body=st.binary(max_size=20))
def test_our_own_signer_signs_as_botocore_does(
    service: str, path: str, query: str, value: str, body: bytes
) -> None:
    url = f"http://h.example:80{path}" + (f"?{query}" if query else "")
    headers = {"x-amz-meta-a": value, "Content-Type": "a/b"}
    theirs = by_botocore(service, url, method="PUT", headers=headers, body=body)
    claim = read(theirs)
    assert claim is not None
    key, secret = next(iter(KEYS.items()))
    signer = Signer(access_key=key, secret=secret, region="eu-west-1", service=service)
    ours = signer.sign("PUT", url, headers, body, claim.signed_at)
    assert ours["authorization"] == theirs.headers["authorization"]


@given(path=PATHS, query=QUERIES)
def test_our_own_presigned_addresses_are_believed_and_end(path: str, query: str) -> None:
    signer = Signer(access_key="other", secret="secret", region="x", service="s3")
    url = signer.presign(
        "GET",
        f"http://h:81{path}" + (f"?{query}" if query else ""),
        NOON,
        expires=timedelta(minutes=5),
    )
    sent = as_sent("GET", url, {})
    assert checked(sent, late=timedelta(minutes=5)).payload_hash == "UNSIGNED-PAYLOAD"
    assert refusal(sent, late=timedelta(minutes=5, seconds=1)).message == "Request has expired"


def test_the_worked_example_of_the_s3_reference_has_the_published_signature() -> None:
    signer = Signer(
        access_key="AKIAIOSFODNN7EXAMPLE",
        secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region="us-east-1",
        service="s3",
    )
    url = signer.presign(
        "GET",
        "https://examplebucket.s3.amazonaws.com/test.txt",
        datetime(2013, 5, 24, tzinfo=UTC),
        expires=timedelta(days=1),
    )
    assert url.endswith("aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


def s3_request() -> Sent:
    return by_botocore("s3", "http://h/b/k?a=1", headers={"x-amz-meta-a": "1"})


def changed(**parts: object) -> Sent:
    return replace(s3_request(), **parts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "tampered",
    [
        changed(method="PUT"),
        changed(path="/b/other"),
        changed(query="a=2"),
        changed(headers={**s3_request().headers, "x-amz-meta-a": "2"}),
        changed(headers={**s3_request().headers, "host": "elsewhere"}),
        changed(headers={**s3_request().headers, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}),
    ],
)
def test_any_change_on_the_way_is_noticed(tampered: Sent) -> None:
    assert refusal(tampered).code == "SignatureDoesNotMatch"


def test_a_changed_body_of_a_json_service_is_noticed() -> None:
    sent = by_botocore("sagemaker", "http://h/", method="POST", body=b"{}")
    assert checked(sent, b"{}").payload_hash == sha256(b"{}").hexdigest()
    assert refusal(sent, b"{ }").code == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("service", "unknown", "wrong"),
    [
        ("s3", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
        ("sagemaker", "UnrecognizedClientException", "InvalidSignatureException"),
        ("sts", "InvalidClientTokenId", "SignatureDoesNotMatch"),
    ],
)
def test_each_service_has_its_own_words_for_bad_keys(
    service: str, unknown: str, wrong: str
) -> None:
    url = "http://h/"
    for access_key, code in (("nobody", unknown), ("other", wrong)):
        signer = Signer(access_key=access_key, secret="guess", region="x", service=service)
        sent = as_sent("GET", url, signer.sign("GET", url, {}, b"", NOON))
        assert refusal(sent).code == code


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_more_than_a_quarter_of_an_hour_off_is_told_so(minutes: int) -> None:
    late = timedelta(minutes=minutes)
    assert refusal(s3_request(), late=late).code == "RequestTimeTooSkewed"
    json = refusal(by_botocore("sagemaker", "http://h/"), late=late)
    assert json.code == "InvalidSignatureException"
    assert "Signature expired: 2" in json.message or "not yet current: 2" in json.message
    assert checked(s3_request(), late=timedelta(minutes=14 if minutes > 0 else -14))


def test_a_presigned_address_may_not_come_from_the_future() -> None:
    sent = by_botocore("s3", "http://h/b/k", presign=60)
    assert refusal(sent, late=timedelta(minutes=-16)).code == "RequestTimeTooSkewed"


@pytest.mark.parametrize("expires", ["604801", "0", "-1", "1e3", "", "99999999999999999999"])
def test_a_presigned_address_lives_a_week_at_most(expires: str) -> None:
    sent = by_botocore("s3", "http://h/b/k", presign=60)
    query = sent.query.replace("X-Amz-Expires=60", f"X-Amz-Expires={expires}")
    with pytest.raises(RequestRejected, match="AuthorizationQueryParametersError"):
        read(replace(sent, query=query))


def test_headers_that_matter_must_be_signed() -> None:
    sent = s3_request()
    added = replace(sent, headers={**sent.headers, "x-amz-copy-source": "/b/k2"})
    found = refusal(added)
    assert found.code == "AccessDenied"
    assert "x-amz-copy-source" in found.message


def test_s3_needs_to_know_how_the_payload_is_vouched_for() -> None:
    sent = s3_request()
    headers = {k: v for k, v in sent.headers.items() if k != "x-amz-content-sha256"}
    assert refusal(replace(sent, headers=headers)).code == "InvalidRequest"
    assert (
        refusal(replace(sent, headers={**headers, "x-amz-content-sha256": "abc"})).code
        == "InvalidArgument"
    )


@pytest.mark.parametrize("path", ["/b/a=1,b", "/b/%c3%a9", "/b/a+b", "/b/(x)!*'"])
def test_a_path_sent_less_escaped_than_it_was_signed_is_the_same_path(path: str) -> None:
    strict = quote(path.replace("%c3%a9", "é"), safe="/~")
    signer = Signer(access_key="other", secret="secret", region="x", service="s3")
    url = f"http://h{strict}"
    sent = as_sent("GET", url, signer.sign("GET", url, {}, b"", NOON))
    assert checked(replace(sent, path=path))


def test_a_request_without_signature_claims_nothing() -> None:
    assert read(Sent(method="GET", path="/", query="a=1", headers={"host": "h"})) is None


def test_the_date_header_will_do_where_there_is_no_other() -> None:
    sent = Sent(
        method="GET",
        path="/",
        query="",
        headers={
            "date": "Thu, 01 Jan 2026 12:00:00 GMT",
            "authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/r/sagemaker/aws4_request,"
            "SignedHeaders=date;host,Signature=0",
        },
    )
    claim = read(sent)
    assert isinstance(claim, Claim)
    assert claim.signed_at == NOON
    assert claim.signed_headers == ("date", "host")


GOOD = (
    "AWS4-HMAC-SHA256 Credential=a/20260101/r/s3/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=00"
)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "AWS key:signature",
        "Bearer x",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a/20260101/r/s3/aws4_request",
        GOOD.replace("aws4_request", "aws5_request"),
        GOOD.replace("a/2026", "/2026"),
        GOOD.replace("20260101", "20260102"),
        GOOD.replace("Credential=a/20260101/r/s3/aws4_request", "Credential=a"),
        GOOD.replace("Signature=00", "Signature="),
    ],
)
def test_a_broken_authorization_header_is_refused_in_words(authorization: str) -> None:
    headers = {"host": "h", "x-amz-date": "20260101T120000Z", "authorization": authorization}
    with pytest.raises(RequestRejected) as caught:
        read(Sent(method="GET", path="/", query="", headers=headers))
    assert 400 <= caught.value.status < 500


@pytest.mark.parametrize(
    "date", ["", "now", "20261301T000000Z", "20260101", "2026-01-01T12:00:00Z"]
)
def test_a_time_that_is_none_is_refused_in_words(date: str) -> None:
    headers = {"host": "h", "x-amz-date": date, "authorization": GOOD}
    with pytest.raises(RequestRejected):
        read(Sent(method="GET", path="/", query="", headers=headers))
    without = {"host": "h", "date": date, "authorization": GOOD}
    with pytest.raises(RequestRejected):
        read(Sent(method="GET", path="/", query="", headers=without))


LATIN = st.text(st.characters(max_codepoint=255), max_size=60)


@given(authorization=LATIN, query=LATIN, date=LATIN, start=st.sampled_from(["", GOOD[:-2], GOOD]))
def test_no_authorization_text_breaks_the_reader(
    authorization: str, query: str, date: str, start: str
) -> None:
    for headers in (
        {"host": "h", "x-amz-date": "20260101T120000Z", "authorization": start + authorization},
        {"host": "h", "x-amz-date": date, "authorization": GOOD},
        {"host": "h"},
    ):
        sent = Sent(method="GET", path="/x", query=f"X-Amz-Signature=1&{query}", headers=headers)
        with pytest.raises(RequestRejected):
            claim = read(sent)
            if claim is not None:
                verify(claim, sent, "0" * 64, key=AccessKey("s"), now=NOON)
