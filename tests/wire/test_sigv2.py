"""Presigned addresses of the older form, made by botocore and by boto3's defaults."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from trainshed.domain.errors import RequestRejected
from trainshed.wire import sigv2
from trainshed.wire.keys import AccessKey
from trainshed.wire.sigv4 import Sent

KEYS = {"AKEXAMPLE": AccessKey("a secret")}
BASE = "http://127.0.0.1:7070"


def presigned(path: str, *, method: str = "GET", secret: str = "a secret") -> tuple[Sent, datetime]:
    """Return a presigned request, and the time until which it is valid."""
    request = AWSRequest(method=method, url=BASE + path)
    HmacV1QueryAuth(Credentials("AKEXAMPLE", secret), expires=60).add_auth(request)
    where, _, query = request.url.removeprefix(BASE).partition("?")
    until = int(query.split("Expires=")[1].split("&")[0])
    sent = Sent(method=method, path=where, query=query, headers={"host": "127.0.0.1:7070"})
    return sent, datetime.fromtimestamp(until, UTC)


def code(sent: Sent, now: datetime) -> str:
    with pytest.raises(RequestRejected) as refused:
        sigv2.verify(sent, key=KEYS.get(sigv2.access_key(sent)), now=now)
    return refused.value.code


@given(
    st.text("abcxyz0189-_.~/% +", min_size=1, max_size=20),
    st.sampled_from(
        ["", "?uploadId=x&partNumber=2", "?response-content-type=text%2Fcsv", "?other=1"]
    ),
    st.sampled_from(["GET", "PUT", "DELETE"]),
)
def test_what_botocore_presigns_is_believed(key: str, query: str, method: str) -> None:
    path = "/bucket/" + key.replace("%", "%25").replace(" ", "%20").replace("+", "%2B")
    sent, until = presigned(path + query, method=method)
    signed = sigv2.verify(sent, key=KEYS.get(sigv2.access_key(sent)), now=until)
    assert signed.access_key == "AKEXAMPLE"


def test_an_address_is_for_one_method_path_and_time() -> None:
    sent, until = presigned("/bucket/key")
    put = Sent(method="PUT", path=sent.path, query=sent.query, headers=sent.headers)
    other = Sent(method="GET", path="/bucket/other", query=sent.query, headers=sent.headers)
    acl = Sent(method="GET", path=sent.path, query=sent.query + "&acl", headers=sent.headers)
    assert code(put, until) == "SignatureDoesNotMatch"
    assert code(other, until) == "SignatureDoesNotMatch"
    assert code(acl, until) == "SignatureDoesNotMatch"
    assert code(sent, until + timedelta(seconds=1)) == "AccessDenied"


def test_a_wrong_secret_or_an_unknown_key_is_refused() -> None:
    sent, until = presigned("/bucket/key", secret="another")
    assert code(sent, until) == "SignatureDoesNotMatch"
    unknown = Sent(
        method="GET",
        path=sent.path,
        query=sent.query.replace("AKEXAMPLE", "AKOTHER"),
        headers=sent.headers,
    )
    assert code(unknown, until) == "InvalidAccessKeyId"
    nameless = Sent(
        method="GET", path="/", query="xAWSAccessKeyId=1&xSignature=1", headers={"host": "x"}
    )
    assert sigv2.carried(nameless)
    assert code(nameless, until) == "InvalidAccessKeyId"


@pytest.mark.parametrize("expires", ["", "soon", "-1", "9" * 5000, "1e3"])
def test_an_expiry_that_is_no_time_is_refused(expires: str) -> None:
    query = f"AWSAccessKeyId=AKEXAMPLE&Expires={expires}&Signature=eA%3D%3D"
    sent = Sent(method="GET", path="/bucket/key", query=query, headers={"host": "x"})
    assert code(sent, datetime(2026, 1, 1, tzinfo=UTC)) == "SignatureDoesNotMatch"
