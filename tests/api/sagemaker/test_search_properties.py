"""Search against the plainest evaluator there can be, for any expression and any jobs."""

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.api.sagemaker.shed import NOON, Shed

Job = dict[str, Any]
"""name, second, count, lr (text or None), team (text or None)."""

jobs = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.from_regex(r"[ab](-?[ab]){0,2}", fullmatch=True),
            "second": st.integers(0, 3),
            "count": st.integers(1, 3),
            "lr": st.none() | st.sampled_from(["0.1", "0.5", "2", "1e-1", "auto"]),
            "team": st.none() | st.sampled_from(["x", "y", "xy"]),
        }
    ),
    max_size=7,
    unique_by=lambda job: job["name"],
)

MEMBERS = {
    "TrainingJobName": "name",
    "CreationTime": "second",
    "ResourceConfig.InstanceCount": "count",
    "HyperParameters.lr": "lr",
    "Tags.team": "team",
}
ORDERS = ["GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo"]
EQUALITY = ["Equals", "NotEquals", "Exists", "NotExists"]


def filter_on(name: str, operators: list[str], values: list[str]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {
            "Name": st.just(name),
            "Operator": st.sampled_from(operators),
            "Value": st.sampled_from(values),
        }
    )


texts = [*EQUALITY, "Contains", "In"]
filters = st.one_of(
    filter_on("TrainingJobName", texts, ["a", "b", "a-b", "a,b", "b , a-b"]),
    filter_on("Tags.team", texts, ["x", "y", "x,y"]),
    filter_on("CreationTime", EQUALITY + ORDERS, [f"2026-01-01T12:00:0{s}" for s in range(4)]),
    filter_on("ResourceConfig.InstanceCount", EQUALITY + ORDERS, ["1", "2", "2.5"]),
    filter_on("HyperParameters.lr", EQUALITY + ORDERS, ["0.1", "0.50", "0.0", "0", "2", "auto"]),
)
expressions = st.recursive(
    st.fixed_dictionaries({"Filters": st.lists(filters, min_size=1, max_size=3)}),
    lambda inner: st.fixed_dictionaries(
        {
            "SubExpressions": st.lists(inner, min_size=1, max_size=2),
            "Operator": st.sampled_from(["And", "Or"]),
        },
        optional={"Filters": st.lists(filters, min_size=1, max_size=2)},
    ),
    max_leaves=4,
)
orders = st.fixed_dictionaries(
    {
        "SortBy": st.sampled_from(sorted(MEMBERS)),
        "SortOrder": st.sampled_from(["Ascending", "Descending"]),
        "MaxResults": st.integers(1, 4),
    }
)


def passes(job: Job, asked: dict[str, str]) -> bool:
    found, value, operator = job[MEMBERS[asked["Name"]]], asked["Value"], asked["Operator"]
    if operator in {"Exists", "NotExists"}:
        return (found is not None) == (operator == "Exists")
    if operator == "NotEquals":
        return not passes(job, {**asked, "Operator": "Equals"})
    if found is None:
        return False
    if operator == "Contains":
        return value in found
    if operator == "In":
        return found in [word.strip() for word in value.split(",")]
    if value == "auto" and operator != "Equals":
        return False  # words have no order
    left, right = comparable(asked["Name"], found, value)
    if left is None:
        return False
    return {
        "Equals": left == right,
        "GreaterThan": left > right,
        "GreaterThanOrEqualTo": left >= right,
        "LessThan": left < right,
        "LessThanOrEqualTo": left <= right,
    }[operator]


def comparable(name: str, found: Any, value: str) -> tuple[Any, Any]:
    """Return both sides as they are to be compared, (None, None) when they cannot be."""
    if name == "CreationTime":
        return found, int(value[-1])
    if name == "ResourceConfig.InstanceCount":
        return found, float(value)
    if name != "HyperParameters.lr":
        return found, value
    if value == "auto":
        return (found, value) if found == "auto" else (None, None)
    if found == "auto":
        return None, None
    return (int(float(found)) if value.isdigit() else float(found)), float(value)


def matches(job: Job, expression: dict[str, Any]) -> bool:
    verdicts = [passes(job, one) for one in expression.get("Filters", [])]
    verdicts += [matches(job, one) for one in expression.get("SubExpressions", [])]
    return any(verdicts) if expression.get("Operator") == "Or" else all(verdicts)


def in_order(found: list[Job], sort_by: str, descending: bool) -> list[str]:
    def key(job: Job) -> Any:
        value = job[MEMBERS[sort_by]]
        if sort_by == "HyperParameters.lr":
            value = (1, value) if value == "auto" else (0, float(value))
        return value, job["name"]

    has = [job for job in found if job[MEMBERS[sort_by]] is not None]
    lacks = [job for job in found if job[MEMBERS[sort_by]] is None]
    has.sort(key=key, reverse=descending)
    lacks.sort(key=lambda job: str(job["name"]), reverse=descending)
    return [job["name"] for job in has + lacks]


async def create(shed: Shed, job: Job) -> None:
    shed.now = NOON + timedelta(seconds=job["second"], milliseconds=250)
    members: dict[str, Any] = {
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": job["count"]}
    }
    if job["lr"] is not None:
        members["HyperParameters"] = {"lr": job["lr"]}
    if job["team"] is not None:
        members["Tags"] = [{"Key": "team", "Value": job["team"]}]
    await shed.create(job["name"], **members)


async def search_all(shed: Shed, **question: Any) -> list[str]:
    names: list[str] = []
    token: dict[str, str] = {}
    while True:
        answer = await shed.call("Search", Resource="TrainingJob", **question, **token)
        names += [result["TrainingJob"]["TrainingJobName"] for result in answer["Results"]]
        if "NextToken" not in answer:
            return names
        token = {"NextToken": answer["NextToken"]}


@settings(max_examples=150)
@given(made=jobs, expression=expressions, order=orders)
def test_search_finds_what_plain_evaluation_finds_in_the_order_asked_for(
    made: list[Job], expression: dict[str, Any], order: dict[str, Any]
) -> None:
    async def ask(shed: Shed) -> list[str]:
        for job in made:
            await create(shed, job)
        return await search_all(shed, SearchExpression=expression, **order)

    with tempfile.TemporaryDirectory() as folder:
        shed = Shed(Path(folder))
        try:
            found = asyncio.run(ask(shed))
        finally:
            shed.close()
    wanted = [job for job in made if matches(job, expression)]
    assert found == in_order(wanted, order["SortBy"], order["SortOrder"] == "Descending")
