"""Tags on training jobs: at most fifty, each key once."""

import pytest
from tests.api.sagemaker.shed import Shed

from trainshed.domain.errors import RequestRejected


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


async def test_tags_are_added_overwritten_listed_and_removed(shed: Shed) -> None:
    arn = await shed.create(Tags=tags(team="vision", stage="dev"))

    added = await shed.call("AddTags", ResourceArn=arn, Tags=tags(stage="prod", owner="ada"))
    assert added == {"Tags": tags(owner="ada", stage="prod", team="vision")}

    assert await shed.call("DeleteTags", ResourceArn=arn, TagKeys=["owner", "nothing"]) == {}
    listed = await shed.call("ListTags", ResourceArn=arn, MaxResults=50)
    assert listed == {"Tags": tags(stage="prod", team="vision")}


async def test_fifty_tags_are_the_most(shed: Shed) -> None:
    fifty = {f"key-{number:02}": "" for number in range(50)}
    arn = await shed.create(Tags=tags(**fifty))

    with pytest.raises(RequestRejected, match="more than 50 tags") as refused:
        await shed.call("AddTags", ResourceArn=arn, Tags=tags(another=""))

    assert refused.value.code == "ValidationException"
    assert await shed.tags.tags(arn) == fifty
    await shed.call("AddTags", ResourceArn=arn, Tags=tags(**{"key-07": "changed"}))
    assert (await shed.tags.tags(arn))["key-07"] == "changed"
    assert len((await shed.call("ListTags", ResourceArn=arn))["Tags"]) == 50


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ([*tags(a="1"), *tags(a="2")], "Duplicate tag keys found: 'a'"),
        (tags(**{"AWS:mine": "1"}), "kept for AWS"),
    ],
)
async def test_tags_that_cannot_be_are_refused(
    shed: Shed, found: list[dict[str, str]], says: str
) -> None:
    arn = await shed.create()
    with pytest.raises(RequestRejected, match=says):
        await shed.call("AddTags", ResourceArn=arn, Tags=found)
    assert await shed.tags.tags(arn) == {}


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:sagemaker:us-east-1:123456789012:training-job/none",
        "arn:aws:sagemaker:eu-west-1:123456789012:training-job/digits",
        "arn:aws:sagemaker:us-east-1:123456789012:model/digits",
        "arn:aws:sagemaker:us-east-1:123456789012:odd",
    ],
)
async def test_what_is_not_there_has_no_tags(shed: Shed, arn: str) -> None:
    await shed.create()
    for operation, more in (
        ("AddTags", {"Tags": tags(a="1")}),
        ("ListTags", {}),
        ("DeleteTags", {"TagKeys": ["a"]}),
    ):
        with pytest.raises(RequestRejected, match="Requested resource not found") as refused:
            await shed.call(operation, ResourceArn=arn, **more)
        assert refused.value.code == "ValidationException"


async def test_a_second_page_of_tags_never_comes(shed: Shed) -> None:
    arn = await shed.create()
    with pytest.raises(RequestRejected, match="Invalid NextToken"):
        await shed.call("ListTags", ResourceArn=arn, NextToken="more")
