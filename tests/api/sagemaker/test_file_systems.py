"""Jobs that ask for a file system as a channel."""

from typing import Any

import pytest
from tests.api.sagemaker.shed import FakeObjects, asked

from trainshed.api.sagemaker.checks import check_request
from trainshed.api.sagemaker.data import Data
from trainshed.domain.errors import RequestRejected

ID = "fs-0123456789abcdef0"
DATA = Data(FakeObjects({"out": []}), file_systems={ID: "/mnt/a", "fs-00000001": "/mnt/b"})


def request(name: str = ID, **more: Any) -> dict[str, Any]:
    source = {
        "FileSystemId": name,
        "FileSystemAccessMode": "ro",
        "FileSystemType": "EFS",
        "DirectoryPath": "/",
    }
    data = {"FileSystemDataSource": source, **more.pop("data", {})}
    return asked(InputDataConfig=[{"ChannelName": "train", "DataSource": data, **more}])


async def test_a_file_system_that_something_stands_for_is_taken() -> None:
    check_request(request())
    await DATA.check(request(), "us-east-1")


async def test_an_unknown_one_is_refused_with_the_setting_and_what_is_known() -> None:
    with pytest.raises(RequestRejected) as refused:
        await DATA.check(request("fs-99999999"), "us-east-1")
    assert str(refused.value) == (
        "ValidationException: InputDataConfig channel 'train': this server does not know the file "
        "system fs-99999999 "
        "(known: fs-00000001, fs-0123456789abcdef0); say what stands for it in the server's "
        "setting file_systems."
    )


async def test_where_none_is_set_none_is_known() -> None:
    with pytest.raises(RequestRejected, match=r"\(known: none\)"):
        await Data(FakeObjects({"out": []})).check(request(), "us-east-1")


@pytest.mark.parametrize("mode", ["Pipe", "FastFile"])
def test_it_is_a_channel_in_file_mode_only(mode: str) -> None:
    with pytest.raises(RequestRejected, match=f"needs InputMode File, not {mode}"):
        check_request(request(InputMode=mode))


def test_it_is_the_channels_only_source() -> None:
    s3 = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://in/train/"}}
    with pytest.raises(RequestRejected, match="found S3DataSource and FileSystemDataSource"):
        check_request(request(data=s3))
