"""Data in stores beside the server's own, asked for when a job is created."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from trainshed.api.sagemaker.data import Data
from trainshed.api.sagemaker.elsewhere import Elsewhere
from trainshed.domain.errors import ObjectMissing, RequestRejected, StoreError
from trainshed.stores.objects.addresses import Address, parse
from trainshed.stores.objects.remote.patience import Patience
from trainshed.stores.objects.remote.store import RemoteObjects


class Nothing:
    """An embedded store without buckets."""

    async def bucket(self, name: str) -> object:
        raise ObjectMissing(name)

    async def exists_prefix(self, bucket: str, prefix: str) -> bool:
        return False


class Other:
    """A store of ``gs://there/``, and what it says."""

    def __init__(self, said: bool | StoreError | None) -> None:
        self._said = said

    def has(self, address: Address) -> bool:
        return str(address).startswith("gs://there/")

    async def holds(self, address: Address) -> bool | None:
        if isinstance(self._said, StoreError):
            raise self._said
        return self._said


def _request(data: str, output: str) -> dict[str, Any]:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": data}}
    return {
        "RoleArn": "arn:aws:iam::123456789012:role/any",
        "InputDataConfig": [{"ChannelName": "train", "DataSource": source}],
        "OutputDataConfig": {"S3OutputPath": output},
    }


@pytest.mark.parametrize("said", [True, None])
async def test_what_is_there_or_cannot_be_asked_now_is_taken(said: bool | None) -> None:
    data = Data(Nothing(), elsewhere=Other(said))
    await data.check(_request("gs://there/data", "gs://there/out"), "us-east-1")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (False, "No S3 objects found"),
        (ObjectMissing("no bucket"), "No S3 objects found"),
        (StoreError("denied"), r"refuses this server: denied\.$"),
        (StoreError("Access Denied."), r"refuses this server: Access Denied\.$"),
    ],
)
async def test_what_is_not_there_is_refused(said: bool | StoreError, why: str) -> None:
    data = Data(Nothing(), elsewhere=Other(said))
    with pytest.raises(RequestRejected, match=why):
        await data.check(_request("gs://there/data", "gs://there/out"), "us-east-1")


class Slow:
    """Stores that answer once each of them is asked; the later one is, the sooner."""

    def __init__(self, parties: int) -> None:
        self._parties = parties
        self._asked: list[asyncio.Future[None]] = []

    def has(self, address: Address) -> bool:
        return True

    async def holds(self, address: Address) -> bool | None:
        mine = asyncio.get_running_loop().create_future()
        self._asked.append(mine)
        if len(self._asked) == self._parties:
            mine.set_result(None)
        await mine
        if (before := self._asked.index(mine)) > 0:
            self._asked[before - 1].set_result(None)
        raise StoreError(f"{address} denied")


async def test_all_stores_are_asked_at_once_and_the_first_refusal_of_the_request_is_told() -> None:
    data = Data(Nothing(), elsewhere=Slow(3))
    request = {**_request("gs://one/", "gs://two/"), "CheckpointConfig": {"S3Uri": "gs://three/"}}
    async with asyncio.timeout(60):
        with pytest.raises(RequestRejected, match="gs://one/ denied"):
            await data.check(request, "us-east-1")


class Few:
    """Stores that are asked a few things at a time, and can't tell when it is one more."""

    def __init__(self) -> None:
        self._now = 0

    def has(self, address: Address) -> bool:
        return True

    async def holds(self, address: Address) -> bool | None:
        self._now += 1
        try:
            await asyncio.sleep(0)
            return None if self._now > 6 else not str(address).startswith("gs://none/")
        finally:
            self._now -= 1


async def test_a_request_with_many_channels_leaves_none_of_them_unasked() -> None:
    (channel,) = _request("gs://there/data", "")["InputDataConfig"]
    (none,) = _request("gs://none/data", "")["InputDataConfig"]
    request = {
        **_request("gs://there/data", "gs://there/out"),
        "InputDataConfig": [*[channel] * 10, none, *[channel] * 9],
    }
    with pytest.raises(RequestRejected, match="gs://none/data"):
        await Data(Nothing(), elsewhere=Few()).check(request, "us-east-1")


@pytest.mark.parametrize(
    ("address", "why"),
    [("gs://other/data", "in no store of this server"), ("s3://other/data", "No S3 objects")],
)
async def test_what_no_store_is_configured_for_is_refused(address: str, why: str) -> None:
    data = Data(Nothing(), elsewhere=Other(True))
    with pytest.raises(RequestRejected, match=why):
        await data.check(_request(address, "gs://there/out"), "us-east-1")


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


async def test_a_store_that_never_answers_is_unknown_and_holds_nobody_up(silent: str) -> None:
    store = {"prefix": "s3://far/", "endpoint": silent, "access_key": "a", "secret_key": "b"}
    elsewhere = Elsewhere(
        RemoteObjects({}, stores=[store], patience=Patience(seconds=0.1)), patience_s=0.2
    )
    assert elsewhere.has(parse("s3://far/x"))
    assert not elsewhere.has(parse("s3://near/x"))
    assert await elsewhere.holds(parse("s3://far/x")) is None
