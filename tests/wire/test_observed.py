"""What is told of each request that was answered."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.wire.toy_server import KEYS, NOON, Toy

from trainshed.testing.keys import FixedKeys
from trainshed.wire.front import Answered, Front
from trainshed.wire.signer import Signer

URL = "http://127.0.0.1:7070"


async def asked(folder: Path, method: str, path: str, headers: dict[str, str]) -> Answered:
    """Ask a front by hand, and return what it tells of the request."""
    told: list[Answered] = []
    front = Front(
        Toy(folder).table(), FixedKeys(KEYS), lambda: NOON, "us-east-1", observe=told.append
    )
    parts = urlsplit(path)
    scope = {
        "method": method,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": [(name.lower().encode(), text.encode()) for name, text in headers.items()],
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await front(scope, receive, send)
    (one,) = told
    assert one.status == sent[0]["status"]
    assert one.seconds > 0
    assert len(one.request_id) == 36
    return one


def signed(secret: str) -> dict[str, str]:
    headers = {
        "host": "127.0.0.1:7070",
        "content-length": "2",
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": "SageMaker.ListTrainingJobs",
    }
    signer = Signer(access_key="AKIATOY", secret=secret, region="x", service="sagemaker")
    return {**headers, **signer.sign("POST", f"{URL}/", headers, b"{}", NOON)}


async def test_a_request_is_told_with_its_operation_its_answer_and_who_asked(
    tmp_path: Path,
) -> None:
    one = await asked(tmp_path, "POST", "/", signed(KEYS["AKIATOY"]))
    assert (one.service, one.operation) == ("sagemaker", "ListTrainingJobs")
    assert (one.method, one.path, one.status) == ("POST", "/", 200)
    assert one.access_key == "AKIATOY"


async def test_a_refused_request_is_told_with_the_key_that_it_claimed(tmp_path: Path) -> None:
    one = await asked(tmp_path, "POST", "/", signed("wrong"))
    assert (one.service, one.operation, one.access_key) == ("sagemaker", "", "AKIATOY")
    assert one.status >= 400


async def test_what_is_told_has_no_query_where_signatures_are(tmp_path: Path) -> None:
    one = await asked(tmp_path, "GET", "/bucket/key?X-Amz-Signature=secret", {"host": "x"})
    assert one.path == "/bucket/key"
    assert "secret" not in repr(one)
