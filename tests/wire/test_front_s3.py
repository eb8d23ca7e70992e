"""The front against boto3's S3 client: streams, presigned addresses, early refusals."""

import base64
import hashlib
import http.client
import io
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError, ResponseStreamingError
from tests.wire.test_payload import SIGNED, SIGNED_TRAILER, crc32, cut, framed
from tests.wire.toy_server import KEYS, Server, serving

from trainshed.wire.canonical import signing_key
from trainshed.wire.refusals import stamp
from trainshed.wire.signer import Signer
from trainshed.wire.sigv4 import Signed

BIG = bytes(range(256)) * 12_000
SIGNER = Signer(access_key="AKIATOY", secret=KEYS["AKIATOY"], region="x", service="s3")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("toy")) as running:
        yield running


def fetch(
    server: Server, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(*server.address, timeout=60)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("key", ["k", "a b/ü=+~(1)%", "/leading//double/", "dir/../x/./y"])
@pytest.mark.parametrize("body", [b"", b"abc", BIG])
def test_what_is_put_can_be_got(server: Server, key: str, body: bytes) -> None:
    s3 = server.client("s3")
    s3.put_object(Bucket="bkt", Key=key, Body=body)
    assert server.toy.objects[f"bkt/{key}"] == body
    answer = s3.get_object(Bucket="bkt", Key=key)
    assert answer["Body"].read() == body
    assert s3.head_object(Bucket="bkt", Key=key)["ContentLength"] == len(body)


@pytest.mark.parametrize("kind", ["memory", "file", "stream"])
def test_an_answer_may_come_from_memory_a_file_or_an_iterator(server: Server, kind: str) -> None:
    server.toy.objects["bkt/big"] = BIG
    answer = server.client("s3").get_object(Bucket="bkt", Key="big", VersionId=kind)
    assert answer["Body"].read() == BIG
    assert answer["ResponseMetadata"]["HTTPHeaders"].get("content-length") == (
        None if kind == "stream" else str(len(BIG))
    )


def test_a_file_that_has_just_been_replaced_is_asked_for_again(server: Server) -> None:
    server.toy.objects["bkt/k"] = b"x"
    with pytest.raises(ClientError) as caught:
        server.client("s3").get_object(Bucket="bkt", Key="k", VersionId="replaced")
    assert caught.value.response["Error"]["Code"] == "ServiceUnavailable"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


def test_an_answer_that_breaks_off_never_looks_whole(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.toy.objects["bkt/k"] = BIG
    s3 = server.client("s3")
    answer = s3.get_object(Bucket="bkt", Key="k", VersionId="short")
    with pytest.raises(ResponseStreamingError):
        answer["Body"].read()
    assert "ends" in caplog.text
    assert s3.head_object(Bucket="bkt", Key="k")


def test_a_reader_that_leaves_in_the_middle_disturbs_nobody(server: Server) -> None:
    server.toy.objects["bkt/big"] = BIG * 8
    for kind in ("file", "stream"):
        url = SIGNER.presign(
            "GET",
            f"{server.url}/bkt/big?versionId={kind}",
            datetime.now(UTC),
            expires=timedelta(minutes=1),
        )
        parts = urlsplit(url)
        with socket.create_connection(server.address) as plug:
            plug.sendall(
                f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
            )
            assert plug.recv(1000)
    assert server.client("s3").head_object(Bucket="bkt", Key="big")


def test_uploads_wait_for_the_go_ahead_and_a_refusal_comes_before_the_body(server: Server) -> None:
    s3 = server.client("s3")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.put_object(Bucket="nobody-reads", Key="k", Body=io.BytesIO(BIG))
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        server.client("s3", secret="wrong").put_object(Bucket="bkt", Key="k", Body=io.BytesIO(BIG))
    s3.put_object(Bucket="bkt", Key="after", Body=io.BytesIO(BIG))
    assert server.toy.objects["bkt/after"] == BIG


def test_a_refusal_before_the_body_is_readable_without_the_go_ahead(server: Server) -> None:
    status, headers, body = fetch(server, "PUT", f"{server.url}/bkt/k", BIG * 3)
    assert (status, headers["connection"]) == (403, "close")
    assert b"AccessDenied" in body


def test_a_payload_that_an_operation_leaves_unread_is_dropped(server: Server) -> None:
    answer = server.client("s3").upload_part(
        Bucket="bkt", Key="k", PartNumber=1, UploadId="u", Body=BIG
    )
    assert answer["ETag"] == '"ignored"'


def test_small_documents_are_read_whole_and_checked(server: Server) -> None:
    objects = [{"Key": f"k{n}"} for n in range(1000)]
    answer = server.client("s3").delete_objects(Bucket="bkt", Delete={"Objects": objects})
    assert len(answer["Deleted"]) == 1000


def test_a_bodiless_answer_has_no_body(server: Server) -> None:
    s3 = server.client("s3")
    s3.put_object(Bucket="bkt", Key="k", Body=b"x")
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket="bkt", Key="k", IfNoneMatch='"toy"')
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 304
    with pytest.raises(ClientError) as caught:
        s3.head_object(Bucket="bkt", Key="gone")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert s3.delete_object(Bucket="bkt", Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 204


@pytest.mark.parametrize(
    ("operation", "code"), [("list_buckets", "NotImplemented"), ("get_object", "NoSuchKey")]
)
def test_refusals_are_in_the_words_of_s3(server: Server, operation: str, code: str) -> None:
    params = {"Bucket": "bkt", "Key": "gone"} if operation == "get_object" else {}
    with pytest.raises(ClientError) as caught:
        getattr(server.client("s3"), operation)(**params)
    assert caught.value.response["Error"]["Code"] == code


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_presigned_addresses_put_and_get_without_keys(server: Server, version: str) -> None:
    s3 = server.client("s3", signature_version=version)
    name = {"Bucket": "bkt", "Key": "pre signed+"}
    put = s3.generate_presigned_url("put_object", Params=name)
    assert fetch(server, "PUT", put, b"by hand")[0] == 200
    get = s3.generate_presigned_url("get_object", Params=name)
    assert fetch(server, "GET", get)[2] == b"by hand"
    assert b"SignatureDoesNotMatch" in fetch(server, "GET", get.replace("signed", "sinned"))[2]
    assert b"SignatureDoesNotMatch" in fetch(server, "DELETE", get)[2]


def test_presigned_addresses_end(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with serving(tmp_path, clock=lambda: now + timedelta(hours=2)) as later:
        s3 = later.client("s3", signature_version="s3v4")
        name = {"Bucket": "bkt", "Key": "k"}
        url = s3.generate_presigned_url("put_object", Params=name, ExpiresIn=3600)
        status, _, body = fetch(later, "PUT", url, b"x")
        assert status == 403
        assert b"<Code>AccessDenied</Code>" in body
        assert b"Request has expired" in body
        url = s3.generate_presigned_url("put_object", Params=name, ExpiresIn=14_400)
        assert fetch(later, "PUT", url, b"x")[0] == 200


def signed_put(server: Server, sent: bytes, body: bytes, **extra: str) -> tuple[int, bytes]:
    url = f"{server.url}/bkt/k"
    headers = SIGNER.sign("PUT", url, extra, body, datetime.now(UTC))
    status, _, answer = fetch(server, "PUT", url, sent, headers)
    return status, answer


def test_a_tampered_upload_is_refused(server: Server) -> None:
    status, answer = signed_put(server, b"abd", b"abc")
    assert (status, b"XAmzContentSHA256Mismatch" in answer) == (400, True)
    wrong = base64.b64encode(hashlib.md5(b"x").digest()).decode()
    status, answer = signed_put(server, b"abc", b"abc", **{"content-md5": wrong})
    assert (status, b"BadDigest" in answer) == (400, True)
    status, answer = signed_put(server, b"abc", b"abc", **{"x-amz-checksum-crc32": crc32(b"x")})
    assert (status, b"BadDigest" in answer) == (400, True)


@pytest.mark.parametrize("framing", [SIGNED, SIGNED_TRAILER])
def test_signed_chunks_are_understood_as_other_sdks_send_them(server: Server, framing: str) -> None:
    now = datetime.now(UTC)
    url = f"{server.url}/bkt/chunked"
    trailers = {"x-amz-checksum-crc32": crc32(BIG)} if framing == SIGNED_TRAILER else {}
    headers = {
        "x-amz-decoded-content-length": str(len(BIG)),
        "content-encoding": "aws-chunked",
        "x-amz-trailer": ",".join(trailers),
    }
    signed = SIGNER.sign("PUT", url, {**headers, "x-amz-content-sha256": framing}, None, now)
    proof = Signed(
        access_key="AKIATOY",
        service="s3",
        region="x",
        payload_hash=framing,
        seed=signed["authorization"].rpartition("=")[2],
        stamp=stamp(now),
        scope=f"{now:%Y%m%d}/x/s3/aws4_request",
        key=signing_key(KEYS["AKIATOY"], f"{now:%Y%m%d}", "x", "s3"),
    )
    chunks = cut(BIG, [65536] * (len(BIG) // 65536))
    body = framed(chunks, proof, trailers)
    status, _, answer = fetch(server, "PUT", url, body, signed)
    assert (status, answer) == (200, b"")
    assert server.toy.objects["bkt/chunked"] == BIG
    assert "ContentEncoding" not in server.toy.calls[-1].params
    broken = body.replace(b"\x07\x08", b"\x08\x07", 1)
    assert b"SignatureDoesNotMatch" in fetch(server, "PUT", url, broken, signed)[2]


def test_boto3_sends_unsigned_chunks_with_a_trailer_over_tls(tmp_path: Path) -> None:
    certificate = Path(__file__).parent / "loopback.pem"
    with serving(tmp_path, certificate=certificate) as server:
        client = server.client("s3", verify=str(certificate))
        client.put_object(Bucket="bkt", Key="k", Body=io.BytesIO(BIG), ContentEncoding="x")
        call = server.toy.calls[-1]
        assert call.headers["x-amz-content-sha256"] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        assert call.params["ContentEncoding"] == "x"
        assert call.params["Body"].trailers == {"x-amz-checksum-crc32": crc32(BIG)}
        assert server.toy.objects["bkt/k"] == BIG
        with pytest.raises(ClientError, match="NoSuchBucket"):
            client.put_object(Bucket="nobody-reads", Key="k", Body=io.BytesIO(BIG))
        assert client.get_object(Bucket="bkt", Key="k", VersionId="file")["Body"].read() == BIG
        client.close()  # a server that stops waits for TLS connections to be closed in order


@pytest.mark.parametrize("host", ["my-bucket.localhost", "my-bucket.s3.eu-west-1.amazonaws.com"])
def test_a_bucket_in_the_host_is_understood(server: Server, host: str) -> None:
    url = f"http://{host}/some/key"
    headers = SIGNER.sign("PUT", url, {}, b"abc", datetime.now(UTC))
    assert fetch(server, "PUT", url, b"abc", headers)[0] == 200
    assert server.toy.objects["my-bucket/some/key"] == b"abc"


def test_a_header_cannot_be_smuggled_into_an_answer(server: Server) -> None:
    server.toy.objects["bkt/k"] = b"x"
    url = SIGNER.presign(
        "GET",
        f"{server.url}/bkt/k?response-content-disposition=a%0D%0Ax-evil:%201",
        datetime.now(UTC),
        expires=timedelta(minutes=1),
    )
    status, headers, body = fetch(server, "GET", url)
    assert (status, "x-evil" in headers) == (400, False)
    assert b"InvalidArgument" in body
