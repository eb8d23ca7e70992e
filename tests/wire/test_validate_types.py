"""Values of a wrong JSON type are refused while reading, before any constraint is looked at."""

from datetime import UTC, datetime
from typing import Any

import pytest

from trainshed.domain.errors import RequestRejected
from trainshed.wire.model import ServiceModel, load
from trainshed.wire.validate import checker

SAGEMAKER = load("sagemaker")


def read(shape: str, value: Any, model: ServiceModel = SAGEMAKER) -> Any:
    wrong: list[str] = []
    taken = checker(model, shape, json=True)(value, None, wrong)
    assert wrong == []
    return taken


def refusal(shape: str, value: Any, model: ServiceModel = SAGEMAKER) -> str:
    with pytest.raises(RequestRejected) as caught:
        checker(model, shape, json=True)(value, None, [])
    assert caught.value.code == "SerializationException"
    assert caught.value.status == 400
    return caught.value.message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"MaxResults": "5"}, "STRING_VALUE can not be converted to an Integer (at 'maxResults')"),
        ({"MaxResults": True}, "TRUE_VALUE can not be converted to an Integer (at 'maxResults')"),
        ({"MaxResults": 1.5}, "NUMBER_VALUE can not be converted to an Integer (at 'maxResults')"),
        (
            {"MaxResults": 2**31},
            "NUMBER_VALUE can not be converted to an Integer (at 'maxResults')",
        ),
        ({"NextToken": 5}, "NUMBER_VALUE can not be converted to a String (at 'nextToken')"),
        ({"NextToken": {}}, "Start of structure or map found where not expected. (at 'nextToken')"),
        ({"NextToken": []}, "Start of list found where not expected. (at 'nextToken')"),
        (
            {"CreationTimeAfter": "soon"},
            "STRING_VALUE can not be converted to a Timestamp (at 'creationTimeAfter')",
        ),
        (
            {"CreationTimeAfter": 1e18},
            "NUMBER_VALUE can not be converted to a Timestamp (at 'creationTimeAfter')",
        ),
        ([], "Start of list found where not expected."),
        ("text", "STRING_VALUE can not be converted to a Structure"),
        (None, "NULL_VALUE can not be converted to a Structure"),
    ],
)
def test_a_wrong_type_is_named_as_json_services_name_it(value: Any, message: str) -> None:
    assert refusal("ListTrainingJobsRequest", value) == message


def test_a_place_inside_of_a_list_is_named() -> None:
    message = refusal("CreateTrainingJobRequest", {"InputDataConfig": [{}, {"ChannelName": 7}]})
    assert message.endswith("(at 'inputDataConfig.2.member.channelName')")


def test_a_whole_float_is_an_integer() -> None:
    assert read("ListTrainingJobsRequest", {"MaxResults": 5.0}) == {"MaxResults": 5}


def test_seconds_since_the_epoch_are_a_point_in_time() -> None:
    taken = read("ListTrainingJobsRequest", {"CreationTimeAfter": 1543864005.123})
    assert taken == {"CreationTimeAfter": datetime(2018, 12, 3, 19, 6, 45, 123000, tzinfo=UTC)}


def test_a_point_in_time_may_come_as_iso_8601() -> None:
    taken = read("ListTrainingJobsRequest", {"CreationTimeAfter": "2018-12-03T19:06:45Z"})
    assert taken == {"CreationTimeAfter": datetime(2018, 12, 3, 19, 6, 45, tzinfo=UTC)}


def test_numbers_that_json_cannot_write_come_as_words() -> None:
    double = next(name for name, shape in SAGEMAKER.shapes.items() if shape.type == "double")
    assert read(double, "Infinity") == float("inf")
    assert read(double, 3) == 3.0
    assert refusal(double, "many") == "STRING_VALUE can not be converted to a Double"
    assert refusal(double, 10**400) == "NUMBER_VALUE can not be converted to a Double"


def test_blobs_come_as_base64() -> None:
    logs = load("logs")
    blob = next(name for name, shape in logs.shapes.items() if shape.type == "blob")
    assert read(blob, "aGk=", logs) == b"hi"
    assert refusal(blob, "a", logs) == "STRING_VALUE can not be converted to a Blob"
    assert refusal(blob, "a!==", logs) == "STRING_VALUE can not be converted to a Blob"
