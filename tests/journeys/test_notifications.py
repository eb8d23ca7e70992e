"""What happens in buckets is told to webhooks, whatever dies meanwhile."""

import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from trainshed.testing.server import Server

BUCKET = "watched"
_WAIT_SECONDS = 30
ARN = "arn:aws:sqs:us-east-1:123456789012"


class Receiver:
    """A webhook on loopback that remembers what it was told, and can refuse or be away."""

    def __init__(self) -> None:
        self.told: queue.Queue[tuple[dict[str, str], dict[str, Any]]] = queue.Queue()
        self.status = 200
        self.asked = threading.Semaphore(0)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.status
                if status == 200:
                    receiver.told.put((dict(self.headers), json.loads(body)))
                self.send_response(status)
                self.end_headers()
                receiver.asked.release()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook?from=shed"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def next(self) -> dict[str, Any]:
        """Return the next message that was taken."""
        return self.told.get(timeout=_WAIT_SECONDS)[1]

    def record(self) -> tuple[str, str]:
        """Return the event's name and the key of the next record."""
        (record,) = self.next()["Records"]
        return record["eventName"], record["s3"]["object"]["key"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def server(tmp_path: Path, receiver: Receiver) -> Iterator[Server]:
    settings = f"""
[webhooks.models]
url = "{receiver.url}"
token = "secret"

[webhooks.nobody]
url = "http://127.0.0.1:9/"
"""
    with Server(tmp_path / "data", settings) as found:
        yield found


def _client(server: Server) -> Any:
    access, secret = server.keys
    return boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )


def _queue(name: str, *events: str, prefix: str = "", suffix: str = "") -> dict[str, Any]:
    rules = [{"Name": "prefix", "Value": prefix}, {"Name": "suffix", "Value": suffix}]
    return {
        "QueueArn": f"{ARN}:{name}",
        "Events": list(events),
        "Filter": {"Key": {"FilterRules": [rule for rule in rules if rule["Value"]]}},
    }


def _subscribe(s3: Any, *queues: dict[str, Any], **more: Any) -> None:
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": list(queues)}, **more
    )


def test_each_change_that_was_asked_for_is_told_in_s3s_words(
    server: Server, receiver: Receiver
) -> None:
    s3 = _client(server)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="before", Body=b"")
    wanted = ("s3:ObjectCreated:*", "s3:ObjectRemoved:Delete")
    _subscribe(s3, _queue("models", *wanted, prefix="jobs/", suffix=".tar.gz"))
    headers, test = receiver.told.get(timeout=_WAIT_SECONDS)
    assert (test["Event"], test["Bucket"]) == ("s3:TestEvent", BUCKET)
    assert headers["Authorization"] == "Bearer secret"

    key = "jobs/a b+ü/model.tar.gz"
    put = s3.put_object(Bucket=BUCKET, Key=key, Body=b"weights")
    s3.put_object(Bucket=BUCKET, Key="jobs/log.txt", Body=b"")
    s3.put_object(Bucket=BUCKET, Key="other/model.tar.gz", Body=b"")
    (record,) = receiver.next()["Records"]
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["s3"]["bucket"]["name"] == BUCKET
    told = record["s3"]["object"]
    assert told["key"] == "jobs/a+b%2B%C3%BC/model.tar.gz"
    assert (told["size"], f'"{told["eTag"]}"') == (7, put["ETag"])

    source = {"Bucket": BUCKET, "Key": key}
    s3.copy_object(Bucket=BUCKET, Key="jobs/copy.tar.gz", CopySource=source)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="jobs/big.tar.gz")["UploadId"]
    named = {"Bucket": BUCKET, "Key": "jobs/big.tar.gz", "UploadId": upload}
    part = s3.upload_part(**named, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(**named, MultipartUpload=parts)
    s3.delete_object(Bucket=BUCKET, Key="jobs/copy.tar.gz")
    s3.delete_object(Bucket=BUCKET, Key="jobs/never-there.tar.gz")
    s3.delete_object(Bucket=BUCKET, Key=key)
    assert [receiver.record() for _ in range(4)] == [
        ("ObjectCreated:Copy", "jobs/copy.tar.gz"),
        ("ObjectCreated:CompleteMultipartUpload", "jobs/big.tar.gz"),
        ("ObjectRemoved:Delete", "jobs/copy.tar.gz"),
        ("ObjectRemoved:Delete", "jobs/a+b%2B%C3%BC/model.tar.gz"),
    ]


def test_what_was_asked_for_is_given_back_and_taken_away(
    server: Server, receiver: Receiver
) -> None:
    s3 = _client(server)
    s3.create_bucket(Bucket=BUCKET)
    _subscribe(s3, _queue("models", "s3:ObjectCreated:*", suffix=".gz"))
    assert receiver.next()["Event"] == "s3:TestEvent"
    (kept,) = s3.get_bucket_notification_configuration(Bucket=BUCKET)["QueueConfigurations"]
    assert kept.pop("Id")
    assert kept == _queue("models", "s3:ObjectCreated:*", suffix=".gz")
    _subscribe(s3)
    s3.put_object(Bucket=BUCKET, Key="a.gz", Body=b"")
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=BUCKET)
    # Had the object been told of, it would have been told before this.
    _subscribe(s3, _queue("models", "s3:ObjectCreated:*"))
    assert receiver.next()["Event"] == "s3:TestEvent"


@pytest.mark.parametrize(
    ("queues", "said"),
    [
        ([_queue("unknown", "s3:ObjectCreated:*")], "known: models, nobody"),
        ([_queue("models", "s3:ObjectRestore:*")], "is not supported for notifications"),
        (
            [_queue("models", "s3:ObjectCreated:*"), _queue("nobody", "s3:ObjectCreated:Put")],
            "ambiguously defined",
        ),
        (
            [
                _queue("models", "s3:ObjectCreated:Put", prefix="a", suffix=".gz"),
                _queue("models", "s3:ObjectCreated:Put", prefix="a/b", suffix="r.gz"),
            ],
            "ambiguously defined",
        ),
    ],
)
def test_what_cannot_be_told_is_refused(
    server: Server, queues: list[dict[str, Any]], said: str
) -> None:
    s3 = _client(server)
    s3.create_bucket(Bucket=BUCKET)
    with pytest.raises(ClientError, match=said) as caught:
        _subscribe(s3, *queues)
    assert caught.value.response["Error"]["Code"] == "InvalidArgument"
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=BUCKET)


def test_rules_that_no_key_fits_both_of_are_allowed(server: Server, receiver: Receiver) -> None:
    s3 = _client(server)
    s3.create_bucket(Bucket=BUCKET)
    created = "s3:ObjectCreated:*"
    _subscribe(
        s3, _queue("models", created, suffix=".gz"), _queue("models", created, suffix=".json")
    )
    assert receiver.next()["Event"] == "s3:TestEvent"
    s3.put_object(Bucket=BUCKET, Key="a.json", Body=b"")
    assert receiver.record() == ("ObjectCreated:Put", "a.json")


def test_nothing_is_lost_while_the_webhook_is_away_and_the_server_is_killed(
    server: Server, receiver: Receiver
) -> None:
    s3 = _client(server)
    s3.create_bucket(Bucket=BUCKET)
    _subscribe(s3, _queue("models", "s3:ObjectCreated:*"))
    assert receiver.next()["Event"] == "s3:TestEvent"
    receiver.status = 503
    while receiver.asked.acquire(blocking=False):
        pass
    keys = [f"model-{n}" for n in range(5)]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    assert receiver.asked.acquire(timeout=_WAIT_SECONDS)
    server.kill()
    receiver.status = 200
    server.start()
    told = [receiver.record()[1] for _ in keys]
    # At least once, and here exactly once, because each was refused before.
    assert sorted(told) == keys
    assert receiver.told.empty()
