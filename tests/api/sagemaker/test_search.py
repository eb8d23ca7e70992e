"""Search finds training jobs by any of their properties, in any order, page by page."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.api.sagemaker.shed import NOON, Shed, channel

from trainshed.domain.errors import RequestRejected
from trainshed.domain.facts import Fact, Kind
from trainshed.domain.training import SecondaryStatus, TrainingJob

Filter = tuple[str, str | None, str | None]


def filters(asked: Sequence[Filter]) -> list[dict[str, str]]:
    given = [{"Name": name, "Operator": op, "Value": value} for name, op, value in asked]
    return [{key: value for key, value in one.items() if value is not None} for one in given]


async def search(shed: Shed, expression: Any = None, **members: Any) -> list[str]:
    """Return the names of what is found."""
    if expression is not None:
        members["SearchExpression"] = expression
    answer = await shed.call("Search", Resource="TrainingJob", **members)
    return [result["TrainingJob"]["TrainingJobName"] for result in answer["Results"]]


async def found(shed: Shed, *asked: Filter) -> list[str]:
    """Return the names of the jobs that pass all filters, sorted."""
    return sorted(await search(shed, {"Filters": filters(asked)}))


async def measure(shed: Shed, job: TrainingJob, **metrics: float) -> None:
    at = NOON.timestamp()
    points = [[name, value, at] for name, value in metrics.items()]
    await shed.records.take(job.id, 1, "algo-1", [Fact(1, at, Kind.METRICS, {"points": points})])


@pytest.fixture
async def three(shed: Shed) -> Shed:
    """A shed with three jobs, made a minute apart: first, second, third."""
    first = await shed.create(
        "first",
        HyperParameters={"lr": "0.05", "net.depth": "3", "name": '"resnet"'},
        Tags=[{"Key": "team", "Value": "vision"}, {"Key": "Key", "Value": "odd"}],
        InputDataConfig=[channel("train", "s3://in/train"), channel("test", "s3://in/tr")],
    )
    shed.pass_time(60.5)
    second = await shed.create(
        "second",
        HyperParameters={"lr": "0.5"},
        ResourceConfig={"InstanceType": "ml.p3.2xlarge", "InstanceCount": 4, "VolumeSizeInGB": 1},
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90},
        Tags=[{"Key": "team", "Value": "speech"}],
    )
    shed.pass_time(59.5)
    await shed.create("third", InputDataConfig=[channel("test", "s3://in/train/a")])
    await measure(shed, await shed.job(first), accuracy=0.9, loss=1.0)
    await measure(shed, await shed.job(second), accuracy=0.8)
    await shed.move(second, SecondaryStatus.FAILED)
    await shed.change(second, failure_reason="AlgorithmError: no", training_end=shed.now)
    return shed


ALL = ["first", "second", "third"]
CASES: list[tuple[Filter, list[str]]] = [
    (("TrainingJobName", "Equals", "first"), ["first"]),
    (("TrainingJobName", None, "first"), ["first"]),
    (("TrainingJobName", "NotEquals", "first"), ["second", "third"]),
    (("TrainingJobName", "Contains", "ir"), ["first", "third"]),
    (("TrainingJobName", "In", "third, first,none"), ["first", "third"]),
    (("TrainingJobStatus", "Equals", "Failed"), ["second"]),
    (("FailureReason", "Exists", None), ["second"]),
    (("FailureReason", "NotExists", None), ["first", "third"]),
    (("FailureReason", "NotEquals", "x"), ALL),
    (("Tags.team", "Equals", "vision"), ["first"]),
    (("Tags.team", "NotEquals", "vision"), ["second", "third"]),
    (("Tags.team", "Exists", None), ["first", "second"]),
    (("Tags.Key", "Equals", "odd"), ["first"]),
    (("Tags", "NotExists", None), ["third"]),
    (("HyperParameters.lr", "LessThan", "0.5"), ["first"]),
    (("HyperParameters.lr", "LessThanOrEqualTo", "0.5"), ["first", "second"]),
    (("HyperParameters.lr", "GreaterThan", "0"), []),  # compared with an integer, 0.5 is 0
    (("HyperParameters.lr", "GreaterThan", "0.0"), ["first", "second"]),
    (("HyperParameters.lr", "Equals", "0.50"), ["second"]),
    (("HyperParameters.net.depth", "GreaterThanOrEqualTo", "3"), ["first"]),
    (("HyperParameters.name", "Contains", "resnet"), ["first"]),
    (("HyperParameters.name", "Equals", '"resnet"'), ["first"]),
    (("HyperParameters.name", "LessThan", "7"), []),
    (("HyperParameters", "NotExists", None), ["third"]),
    (("Metrics.accuracy", "GreaterThan", "0.85"), ["first"]),
    (("Metrics.loss", "Equals", "1"), ["first"]),
    (("Metrics", "Exists", None), ["first", "second"]),
    (("FinalMetricDataList.MetricName", "Equals", "accuracy"), ["first", "second"]),
    (("AlgorithmSpecification.TrainingImage", "Equals", "image"), ALL),
    (("ResourceConfig.InstanceCount", "GreaterThanOrEqualTo", "2"), ["second"]),
    (("ResourceConfig.InstanceType", "Contains", "p3"), ["second"]),
    (("EnableManagedSpotTraining", "Equals", "True"), ["second"]),
    (("EnableManagedSpotTraining", "NotEquals", "true"), ["first", "third"]),
    (("InputDataConfig.ChannelName", "Equals", "test"), ["first", "third"]),
    (("InputDataConfig.DataSource.S3DataSource.S3Uri", "Contains", "train"), ["first", "third"]),
    (("CreationTime", "GreaterThan", "2026-01-01T12:01:00"), ["third"]),
    (("CreationTime", "Equals", "2026-01-01T12:01:00"), ["second"]),
    (("CreationTime", "LessThan", "2026-01-01T14:01:00+02:00"), ["first"]),
    (("TrainingEndTime", "Exists", None), ["second"]),
    (("TrainingEndTime", "LessThan", "2027-01-01T00:00:00"), ["second"]),
]


@pytest.mark.parametrize(("asked", "names"), CASES, ids=lambda case: str(case))
async def test_a_filter_finds(three: Shed, asked: Filter, names: list[str]) -> None:
    assert await found(three, asked) == names


async def test_filters_are_all_needed_unless_or_is_asked_for(three: Shed) -> None:
    two = filters([("Tags.team", "Exists", None), ("TrainingJobName", "Contains", "ir")])
    assert await search(three, {"Filters": two}) == ["first"]
    assert await search(three, {"Filters": two, "Operator": "And"}) == ["first"]
    assert sorted(await search(three, {"Filters": two, "Operator": "Or"})) == ALL


async def test_nested_filters_must_all_hold_for_one_element(three: Shed) -> None:
    def nested(name: str, uri: str) -> dict[str, Any]:
        asked: list[Filter] = [
            ("InputDataConfig.ChannelName", "Equals", name),
            ("InputDataConfig.DataSource.S3DataSource.S3Uri", "Contains", uri),
        ]
        return {
            "NestedFilters": [{"NestedPropertyName": "InputDataConfig", "Filters": filters(asked)}]
        }

    assert await search(three, nested("test", "train")) == ["third"]
    assert sorted(await search(three, nested("test", "in"))) == ["first", "third"]


async def test_tags_and_metrics_can_be_nested_too(three: Shed) -> None:
    def nested(owner: str, *asked: Filter) -> dict[str, Any]:
        return {"NestedFilters": [{"NestedPropertyName": owner, "Filters": filters(asked)}]}

    tag = nested("Tags", ("Tags.Key", "Equals", "team"), ("Tags.Value", "Contains", "ee"))
    assert await search(three, tag) == ["second"]
    metric = nested(
        "FinalMetricDataList",
        ("FinalMetricDataList.MetricName", "Equals", "accuracy"),
        ("FinalMetricDataList.Value", "GreaterThan", "0.85"),
    )
    assert await search(three, metric) == ["first"]


async def test_subexpressions_nest(three: Shed) -> None:
    def named(*names: str) -> dict[str, Any]:
        asked: list[Filter] = [("TrainingJobName", "Equals", name) for name in names]
        return {"Filters": filters(asked), "Operator": "Or"}

    both = {"SubExpressions": [named("first", "second"), named("second", "third")]}
    assert await search(three, both) == ["second"]
    assert sorted(await search(three, {**both, "Operator": "Or"})) == ALL


async def test_last_modified_come_first_unless_asked_otherwise(three: Shed) -> None:
    assert await search(three) == ["second", "third", "first"]
    assert await search(three, SortOrder="Ascending") == ["first", "third", "second"]
    assert await search(three, SortBy="TrainingJobName", SortOrder="Ascending") == ALL


@pytest.mark.parametrize(
    ("sort_by", "ascending"),
    [
        ("HyperParameters.lr", ["first", "second", "third"]),
        ("HyperParameters.name", ["first", "second", "third"]),
        ("Metrics.accuracy", ["second", "first", "third"]),
        ("Tags.team", ["second", "first", "third"]),
        ("TrainingEndTime", ["second", "first", "third"]),
        ("EnableManagedSpotTraining", ["first", "third", "second"]),
    ],
)
async def test_jobs_without_the_property_come_last(
    three: Shed, sort_by: str, ascending: list[str]
) -> None:
    assert await search(three, SortBy=sort_by, SortOrder="Ascending") == ascending
    down = await search(three, SortBy=sort_by, SortOrder="Descending")
    has = sum(name in down for name in ALL)
    assert has == 3
    pages = []
    token: dict[str, str] = {}
    for _ in range(3):
        answer = await three.call(
            "Search", Resource="TrainingJob", SortBy=sort_by, MaxResults=1, **token
        )
        pages += [result["TrainingJob"]["TrainingJobName"] for result in answer["Results"]]
        token = {"NextToken": answer["NextToken"]} if "NextToken" in answer else {}
    assert pages == down
    assert token == {}


async def test_a_result_is_the_whole_job_with_its_tags_and_metrics(three: Shed) -> None:
    answer = await three.call(
        "Search",
        Resource="TrainingJob",
        SearchExpression={"Filters": filters([("TrainingJobName", "Equals", "first")])},
    )
    (result,) = answer["Results"]
    job = result["TrainingJob"]
    assert job["Tags"] == [{"Key": "Key", "Value": "odd"}, {"Key": "team", "Value": "vision"}]
    assert [metric["MetricName"] for metric in job["FinalMetricDataList"]] == ["accuracy", "loss"]
    assert job["HyperParameters"]["lr"] == "0.05"
    assert job["CreationTime"] == NOON
    assert job["SecondaryStatus"] == "Starting"


async def test_other_regions_and_other_accounts_hold_nothing(three: Shed) -> None:
    assert await search(three, region="eu-west-1") == []
    assert await search(three, CrossAccountFilterOption="CrossAccount") == []
    assert len(await search(three, CrossAccountFilterOption="SameAccount")) == 3


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("TrainingJobNam", "Equals", "x"), "is no property of a TrainingJob"),
        (("HyperParameters.", "Equals", "x"), "is no property of a TrainingJob"),
        (("TrainingJobName", "LessThan", "x"), "LessThan is not supported for the text property"),
        (("CreationTime", "Contains", "2026"), "not supported for the timestamp property"),
        (("ResourceConfig", "Equals", "x"), "not supported for the structure property"),
        (("TrainingJobName", "Equals", None), "needs a Value"),
        (("TrainingJobName", None, None), "needs a Value"),
        (("ResourceConfig.InstanceCount", "Equals", "two"), "must be an integer or a floating"),
        (("ResourceConfig.InstanceCount", "Equals", "nan"), "must be an integer or a floating"),
        (("CreationTime", "LessThan", "noon"), "must be an ISO 8601 date-time"),
        (("EnableManagedSpotTraining", "Equals", "yes"), "must be true or false"),
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused(
    shed: Shed, asked: Filter, says: str
) -> None:
    with pytest.raises(RequestRejected, match=says) as refused:
        await found(shed, asked)
    assert refused.value.code == "ValidationException"


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"SearchExpression": {}}, "must have at least one of Filters"),
        ({"SearchExpression": {"SubExpressions": [{"Operator": "Or"}]}}, "at least one of"),
        ({"SortBy": "Nothing"}, "can be sorted by"),
        ({"SortBy": "ResourceConfig"}, "can be sorted by"),
        ({"VisibilityConditions": [{"Key": "a", "Value": "b"}]}, "VisibilityConditions is not"),
        ({"NextToken": "x"}, "Invalid NextToken"),
        (
            {
                "SearchExpression": {
                    "SubExpressions": [
                        {"Filters": filters([("TrainingJobName", "Equals", "x")] * 20)}
                    ]
                    * 3
                }
            },
            "more than 50",
        ),
    ],
)
async def test_a_search_that_makes_no_sense_is_refused(
    shed: Shed, members: dict[str, Any], says: str
) -> None:
    with pytest.raises(RequestRejected, match=says) as refused:
        await shed.call("Search", **{"Resource": "TrainingJob", **members})
    assert refused.value.code == "ValidationException"


@pytest.mark.parametrize(
    ("owner", "name", "says"),
    [
        ("ResourceConfig", "ResourceConfig.InstanceCount", "is no list"),
        ("InputDataConfig", "ResourceConfig.InstanceCount", "is no property"),
        ("InputDataConfig", "InputDataConfig.Nothing", "is no property"),
        ("Tags", "Tags.team", "is no property"),
    ],
)
async def test_nested_filters_that_make_no_sense_are_refused(
    shed: Shed, owner: str, name: str, says: str
) -> None:
    nested = {"NestedPropertyName": owner, "Filters": filters([(name, "Equals", "1")])}
    with pytest.raises(RequestRejected, match=says):
        await search(shed, {"NestedFilters": [nested]})


async def test_other_resources_are_not_offered_and_say_so(shed: Shed) -> None:
    with pytest.raises(RequestRejected, match="does not offer Search for Resource Endpoint") as no:
        await shed.call("Search", Resource="Endpoint")
    assert (no.value.code, no.value.status) == ("NotImplementedException", 501)


async def test_more_jobs_than_are_read_at_a_time_are_all_found(shed: Shed) -> None:
    for number in range(300):
        await shed.create(f"job-{number:03}")
    late = {"Filters": filters([("CreationTime", "LessThan", (NOON + timedelta(1)).isoformat())])}
    names: list[str] = []
    token: dict[str, str] = {}
    while len(names) < 300:
        answer = await shed.call(
            "Search", Resource="TrainingJob", SearchExpression=late, MaxResults=100, **token
        )
        names += [result["TrainingJob"]["TrainingJobName"] for result in answer["Results"]]
        token = {"NextToken": answer.get("NextToken", "")}
    assert names == [f"job-{number:03}" for number in reversed(range(300))]
    assert token == {"NextToken": ""}
