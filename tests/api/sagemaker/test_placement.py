"""The tags by which a request says where it runs, and what it is told of its image."""

from dataclasses import replace
from typing import Any

import pytest
from tests.api.sagemaker.shed import Shed

from trainshed.domain.errors import RequestRejected


def tag(key: str, value: str) -> dict[str, Any]:
    return {"Tags": [{"Key": key, "Value": value}]}


async def test_a_tag_names_the_backend_and_stays_a_tag(shed: Shed) -> None:
    arn = await shed.create(**tag("trainshed:backend", "docker"))
    assert (await shed.job(arn)).backend == "docker"
    assert await shed.tags.tags(arn) == {"trainshed:backend": "docker"}


async def test_a_backend_that_is_not_there_is_refused_with_those_that_are(shed: Shed) -> None:
    with pytest.raises(RequestRejected) as refused:
        await shed.create(**tag("trainshed:backend", "moon"))
    assert refused.value.code == "ValidationException"
    assert "'moon'" in refused.value.message
    assert "it has: docker, local." in refused.value.message


async def test_a_tag_asks_for_shared_memory(shed: Shed) -> None:
    arn = await shed.create(**tag("trainshed:shm-size", "4g"))
    assert (await shed.job(arn)).shm == 4 << 30


@pytest.mark.parametrize("size", ["", "0", "-1g", "much", "1gg", "9" * 250 + "t"])
async def test_a_size_that_is_none_is_refused(shed: Shed, size: str) -> None:
    with pytest.raises(RequestRejected) as refused:
        await shed.create(**tag("trainshed:shm-size", size))
    assert f"{size!r} is no size; write one such as 512m or 4g" in refused.value.message


async def test_the_digest_of_the_image_that_ran_is_a_tag(shed: Shed) -> None:
    arn = await shed.create(**tag("team", "vision"))
    job = await shed.job(arn)
    assert await shed.records.swap(job, replace(job, image_digest="sha256:abc"))
    told = await shed.call("ListTags", ResourceArn=arn)
    assert told["Tags"] == [
        {"Key": "team", "Value": "vision"},
        {"Key": "trainshed:image", "Value": "sha256:abc"},
    ]
