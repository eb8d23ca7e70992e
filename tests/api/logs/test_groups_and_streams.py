"""Groups and streams, as boto3 sees them."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.logs.conftest import GROUP, NOON_MS, LogServer

ARN = "arn:aws:logs:eu-west-1:123456789012:log-group:"


def refusal(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    said = error.value.response["Error"]
    return said["Code"], said["Message"]


def test_a_group_is_made_once_told_and_deleted(client: Any) -> None:
    client.create_log_group(logGroupName="my/group", tags={"a": "b"})
    with pytest.raises(ClientError) as error:
        client.create_log_group(logGroupName="my/group")
    assert refusal(error) == (
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
    )
    (group,) = client.describe_log_groups()["logGroups"]
    assert group["logGroupName"] == "my/group"
    assert group["creationTime"] == NOON_MS
    assert group["arn"] == f"{ARN}my/group:*"
    client.delete_log_group(logGroupName="my/group")
    assert client.describe_log_groups()["logGroups"] == []


def test_groups_are_told_page_by_page_in_order(client: Any) -> None:
    names = [f"g/{n}" for n in range(7)] + ["other"]
    for name in reversed(names):
        client.create_log_group(logGroupName=name)
    pages = client.get_paginator("describe_log_groups").paginate(PaginationConfig={"PageSize": 3})
    assert [group["logGroupName"] for page in pages for group in page["logGroups"]] == names

    def found(**filters: Any) -> list[str]:
        return [each["logGroupName"] for each in client.describe_log_groups(**filters)["logGroups"]]

    assert found(logGroupNamePrefix="g/", limit=7) == names[:7]
    assert "nextToken" not in client.describe_log_groups(logGroupNamePrefix="g/", limit=7)
    assert found(logGroupNamePattern="the") == ["other"]
    assert found(logGroupIdentifiers=[f"{ARN}g/3", "g/5"]) == ["g/3", "g/5"]


def test_a_stream_is_made_once_told_and_deleted(client: Any) -> None:
    client.create_log_group(logGroupName="g")
    client.create_log_stream(logGroupName="g", logStreamName="s/1")
    with pytest.raises(ClientError) as error:
        client.create_log_stream(logGroupName="g", logStreamName="s/1")
    assert refusal(error) == (
        "ResourceAlreadyExistsException",
        "The specified log stream already exists",
    )
    assert client.describe_log_streams(logGroupName="g")["logStreams"] == [
        {
            "logStreamName": "s/1",
            "creationTime": NOON_MS,
            "arn": f"{ARN}g:log-stream:s/1",
            "storedBytes": 0,
        }
    ]
    client.delete_log_stream(logGroupName="g", logStreamName="s/1")
    assert client.describe_log_streams(logGroupName="g")["logStreams"] == []


NO_GROUP = {"logGroupName": "none"}
NO_STREAM = {"logGroupName": "g", "logStreamName": "none"}
BY_ARN = {"logGroupIdentifier": f"{ARN}g", "logStreamName": "none"}
EVENTS = {"logEvents": [{"timestamp": 1, "message": "x"}]}


@pytest.mark.parametrize(
    ("operation", "given", "what"),
    [
        ("delete_log_group", NO_GROUP, "group"),
        ("create_log_stream", {**NO_GROUP, "logStreamName": "s"}, "group"),
        ("delete_log_stream", {**NO_GROUP, "logStreamName": "s"}, "group"),
        ("delete_log_stream", NO_STREAM, "stream"),
        ("describe_log_streams", NO_GROUP, "group"),
        ("describe_log_streams", {"logGroupIdentifier": f"{ARN}none"}, "group"),
        ("put_log_events", {**NO_GROUP, "logStreamName": "s", **EVENTS}, "group"),
        ("put_log_events", {**NO_STREAM, **EVENTS}, "stream"),
        ("get_log_events", {**NO_GROUP, "logStreamName": "s"}, "group"),
        ("get_log_events", NO_STREAM, "stream"),
        ("get_log_events", BY_ARN, "stream"),
        ("filter_log_events", NO_GROUP, "group"),
        ("filter_log_events", {"logGroupName": "g", "logStreamNames": ["none"]}, "stream"),
    ],
)
def test_what_is_missing_is_said_in_the_services_words(
    client: Any, operation: str, given: dict[str, Any], what: str
) -> None:
    client.create_log_group(logGroupName="g")
    with pytest.raises(ClientError) as error:
        getattr(client, operation)(**given)
    assert refusal(error) == (
        "ResourceNotFoundException",
        f"The specified log {what} does not exist.",
    )


def test_a_jobs_streams_appear_with_its_first_line(server: LogServer, client: Any) -> None:
    server.write("j/algo-1-5", (1000, "a"), (3000, "b"))
    (stream,) = client.describe_log_streams(logGroupName=GROUP)["logStreams"]
    assert stream["logStreamName"] == "j/algo-1-5"
    assert stream["creationTime"] == stream["firstEventTimestamp"] == 1000
    assert stream["lastEventTimestamp"] == 3000


def test_a_job_of_many_nodes_has_no_further_page(server: LogServer, client: Any) -> None:
    """The SageMaker SDK asks again, without a token, for as long as it is given one."""
    for n in range(60):
        server.write(f"j/algo-{n}-5", (1000, "a"))
    server.write("j2/algo-1-5", (1000, "a"))
    for limit in (1, 50):
        answer = client.describe_log_streams(
            logGroupName=GROUP, logStreamNamePrefix="j/", orderBy="LogStreamName", limit=limit
        )
        assert len(answer["logStreams"]) == 60
        assert "nextToken" not in answer


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("order", ["LogStreamName", "LastEventTime"])
def test_streams_are_told_page_by_page_in_order(
    server: LogServer, client: Any, order: str, descending: bool
) -> None:
    times = {"b": 5, "a": 7, "d": 6, "c": 6, "e": 9}
    for name, ms in times.items():
        server.write(name, (ms, "x"))
    client.create_log_stream(logGroupName=GROUP, logStreamName="f")
    by_time = sorted({**times, "f": 0}.items(), key=lambda item: (item[1], item[0]))
    wanted = "abcdef" if order == "LogStreamName" else "".join(name for name, _ in by_time)
    pages = client.get_paginator("describe_log_streams").paginate(
        logGroupName=GROUP,
        orderBy=order,
        descending=descending,
        PaginationConfig={"PageSize": 2},
    )
    found = [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
    assert "".join(found) == (wanted[::-1] if descending else wanted)
    assert "nextToken" not in client.describe_log_streams(logGroupName=GROUP, limit=6)


def test_nonsense_is_refused(server: LogServer, client: Any) -> None:
    server.write("s", (1, "x"))
    nonsense = [
        {"logGroupName": GROUP, "orderBy": "LastEventTime", "logStreamNamePrefix": "s"},
        {"logGroupName": GROUP, "logGroupIdentifier": GROUP},
        {},
        {"logGroupName": GROUP, "nextToken": "t/1/s"},
    ]
    for given in nonsense:
        with pytest.raises(ClientError, match="InvalidParameterException"):
            client.describe_log_streams(**given)
