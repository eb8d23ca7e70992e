"""Whatever is sent, the answer is a typed refusal, never a failure, and the server goes on."""

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.wire.toy_server import KEYS, Server, serving

from trainshed.wire.signer import Signer

UNTOUCHED_SERVER = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    max_examples=60,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("toy")) as running:
        yield running


class Answer:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse, method: str) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()
        self.method = method

    @property
    def code(self) -> str:
        """The error's name, empty where there is none."""
        if self.body.startswith(b"{"):
            return str(json.loads(self.body).get("__type", ""))
        if b"<Code>" in self.body:
            return self.body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()
        return self.headers.get("x-amzn-errortype", "")


def ask(
    server: Server, method: str, target: str, headers: Mapping[str, str], body: bytes
) -> Answer:
    connection = http.client.HTTPConnection(*server.address, timeout=60)
    try:
        connection.request(method, target, body=body, headers=dict(headers))
        return Answer(connection.getresponse(), method)
    finally:
        connection.close()


def ask_signed(
    server: Server, service: str, method: str, target: str, headers: dict[str, str], body: bytes
) -> Answer:
    signer = Signer(access_key="AKIATOY", secret=KEYS["AKIATOY"], region="x", service=service)
    signed = signer.sign(method, server.url + target, headers, body, datetime.now(UTC))
    return ask(server, method, target, signed, body)


def assert_refused(answer: Answer) -> None:
    assert 400 <= answer.status < 500
    assert answer.code or answer.method == "HEAD"
    assert answer.headers.keys() & {"x-amzn-requestid", "x-amz-request-id"}


def assert_alive(server: Server) -> None:
    headers = {"X-Amz-Target": "SageMaker.ListTrainingJobs"}
    assert ask_signed(server, "sagemaker", "POST", "/", headers, b"{}").status == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["TrainingJobName", "MaxResults", "Tags", "a"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
BODIES = (
    st.binary(max_size=40)
    | JSON.map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps(value).encode()[:-1])
    | st.just(b"[" * 50_000)
)
TARGETS = st.sampled_from(
    ["SageMaker.DescribeTrainingJob", "SageMaker.ListTrainingJobs", "SageMaker.Nonsense", "", ".."]
)
WORDS = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30
)


@UNTOUCHED_SERVER
@given(target=TARGETS, body=BODIES, encoding=st.sampled_from(["", "gzip", "br"]))
def test_bodies_that_are_no_requests(
    server: Server, target: str, body: bytes, encoding: str
) -> None:
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": target,
        "Content-Encoding": encoding,
    }
    answer = ask_signed(server, "sagemaker", "POST", "/", headers, body)
    if answer.status != 200:  # an empty object, or one with unknown members, is a request
        assert_refused(answer)
    assert_alive(server)


@UNTOUCHED_SERVER
@given(authorization=WORDS, target=TARGETS, prefixed=st.booleans(), date=WORDS)
def test_authorization_headers_that_prove_nothing(
    server: Server, authorization: str, target: str, prefixed: bool, date: str
) -> None:
    start = "AWS4-HMAC-SHA256 Credential=AKIATOY/20260101/x/" if prefixed else ""
    headers = {"Authorization": start + authorization, "X-Amz-Target": target, "X-Amz-Date": date}
    assert_refused(ask(server, "POST", "/", headers, b"{}"))
    assert_alive(server)


@UNTOUCHED_SERVER
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH"]),
    path=st.lists(st.binary(max_size=8), max_size=4).map(
        lambda parts: "/" + "/".join(quote(part, safe="~") for part in parts)
    ),
    query=st.lists(
        st.tuples(
            st.sampled_from(
                ["list-type", "max-keys", "uploadId", "partNumber", "versionId", "delete", "x"]
            ),
            st.binary(max_size=6),
        ),
        max_size=3,
    ).map(lambda pairs: "&".join(f"{name}={quote(value, safe='~')}" for name, value in pairs)),
    headers=st.dictionaries(
        st.sampled_from(
            [
                "range",
                "content-md5",
                "x-amz-checksum-crc32",
                "x-amz-checksum-sha256",
                "x-amz-copy-source",
                "x-amz-tagging",
                "x-amz-decoded-content-length",
                "x-amz-expected-bucket-owner",
                "x-amz-meta-a",
                "if-modified-since",
            ]
        ),
        WORDS,
        max_size=3,
    ),
    body=st.binary(max_size=30) | st.just(b"<Delete>") | st.just(b"<a/>"),
)
def test_s3_requests_of_all_sorts(
    server: Server, method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> None:
    target = f"{path}?{query}" if query else path
    answer = ask_signed(server, "s3", method, target, headers, body)
    if answer.status == 501:
        assert answer.code == "NotImplemented" or method == "HEAD"
    elif answer.status >= 300:
        assert_refused(answer)
    assert_alive(server)


@UNTOUCHED_SERVER
@given(
    framing=st.sampled_from(
        [
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        ]
    ),
    body=st.binary(max_size=40)
    | st.just(b"3\r\nabc\r\n0")
    | st.just(b"ffffffff\r\nabc")
    | st.just(b"2;chunk-signature=" + b"0" * 64 + b"\r\nabc\r\n0\r\n\r\n"),
    length=st.sampled_from(["", "3", "x", "-1", "9" * 40]),
    trailer=st.sampled_from(["", "x-amz-checksum-crc32", ",,"]),
)
def test_chunks_that_are_none(
    server: Server, framing: str, body: bytes, length: str, trailer: str
) -> None:
    headers = {
        "x-amz-content-sha256": framing,
        "x-amz-decoded-content-length": length,
        "x-amz-trailer": trailer,
    }
    assert_refused(ask_signed(server, "s3", "PUT", "/bkt/k", headers, body))
    assert "bkt/k" not in server.toy.objects
    assert_alive(server)


@UNTOUCHED_SERVER
@given(sent=st.binary(max_size=60) | st.just(b"GET / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx"))
def test_bytes_that_are_no_http(server: Server, sent: bytes) -> None:
    with socket.create_connection(server.address, timeout=60) as plug:
        plug.sendall(sent)
        plug.shutdown(socket.SHUT_WR)
        plug.recv(1000)
    assert_alive(server)


@pytest.mark.parametrize("encoding", ["nope", "rot13", "utf-7", "shift_jis"])
def test_xml_in_an_encoding_that_is_not_read(server: Server, encoding: str) -> None:
    body = f'<?xml version="1.0" encoding="{encoding}"?><Delete/>'.encode()
    answer = ask_signed(server, "s3", "POST", "/bkt?delete", {}, body)
    assert_refused(answer)


def test_a_client_that_leaves_in_the_middle_of_its_request_is_no_error(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    signer = Signer(access_key="AKIATOY", secret=KEYS["AKIATOY"], region="x", service="s3")
    headers = signer.sign("PUT", f"{server.url}/bkt/half", {}, b"abcdef", datetime.now(UTC))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(server.address, timeout=60) as plug:
        plug.sendall(f"PUT /bkt/half HTTP/1.1\r\n{lines}Content-Length: 6\r\n\r\nabc".encode())
    assert_alive(server)
    assert "bkt/half" not in server.toy.objects
    assert not caplog.records
