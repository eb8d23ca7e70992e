"""What the service says about a request that it does not take, word for word."""

from typing import Any

import pytest

from trainshed.domain.errors import RequestRejected
from trainshed.wire.model import load
from trainshed.wire.validate import check, checker, reject

SAGEMAKER = load("sagemaker")


def job(**changes: Any) -> dict[str, Any]:
    request: dict[str, Any] = {
        "TrainingJobName": "job-1",
        "RoleArn": "arn:aws:iam::123456789012:role/Trainer",
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
    }
    return {name: item for name, item in (request | changes).items() if item is not None}


def faults(shape: str = "CreateTrainingJobRequest", **changes: Any) -> list[str]:
    return check(SAGEMAKER, shape, job(**changes))


def test_a_good_request_has_no_faults() -> None:
    assert faults() == []


def test_a_missing_member_is_named_with_null_as_value() -> None:
    assert faults(RoleArn=None) == [
        "Value null at 'roleArn' failed to satisfy constraint: Member must not be null"
    ]


def test_a_null_is_a_missing_member() -> None:
    assert check(SAGEMAKER, "DescribeModelInput", {"ModelName": None}) == [
        "Value null at 'modelName' failed to satisfy constraint: Member must not be null"
    ]


def test_an_enum_lists_all_its_values_in_the_models_order() -> None:
    algorithm = {"TrainingInputMode": "Slow"}
    assert faults(AlgorithmSpecification=algorithm) == [
        (
            "Value 'Slow' at 'algorithmSpecification.trainingInputMode' failed to satisfy constraint: "  # noqa: E501
            "Member must satisfy enum value set: [Pipe, File, FastFile]"
        )
    ]


def test_a_pattern_is_repeated_as_the_model_has_it() -> None:
    assert faults(TrainingJobName="a_b") == [
        (
            "Value 'a_b' at 'trainingJobName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
        )
    ]


def test_a_pattern_holds_for_the_whole_value() -> None:
    assert faults(TrainingJobName="good\n")
    assert faults(TrainingJobName="good, then bad")


def test_a_long_value_breaks_its_length_alone() -> None:
    assert faults(TrainingJobName="a" * 64) == [
        (
            f"Value '{'a' * 64}' at 'trainingJobName' failed to satisfy constraint: "
            "Member must have length less than or equal to 63"
        )
    ]


def test_a_short_value_breaks_length_and_pattern() -> None:
    found = faults(TrainingJobName="")
    assert found[0] == (
        "Value '' at 'trainingJobName' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1"
    )
    assert "Member must satisfy regular expression pattern" in found[1]


def test_numbers_have_bounds() -> None:
    assert faults(StoppingCondition={"MaxRuntimeInSeconds": 0}) == [
        (
            "Value '0' at 'stoppingCondition.maxRuntimeInSeconds' failed to satisfy constraint: "
            "Member must have value greater than or equal to 1"
        )
    ]
    assert check(SAGEMAKER, "ListTrainingJobsRequest", {"MaxResults": 101}) == [
        (
            "Value '101' at 'maxResults' failed to satisfy constraint: "
            "Member must have value less than or equal to 100"
        )
    ]


def test_members_of_a_list_are_counted_from_one() -> None:
    variants = [
        {"VariantName": "a", "ModelName": "m", "InstanceType": "ml.m5.large"},
        {"VariantName": "b", "ModelName": "m", "InstanceType": "ml.none"},
    ]
    params = {"EndpointConfigName": "c", "ProductionVariants": variants}
    (fault,) = check(SAGEMAKER, "CreateEndpointConfigInput", params)
    assert fault.startswith("Value 'ml.none' at 'productionVariants.2.member.instanceType' failed")


def test_single_values_of_a_list_are_named_together_with_all_their_constraints() -> None:
    params = {"ResourceArn": "arn:aws:sagemaker:eu-west-1:123456789012:model/m", "TagKeys": [""]}
    (fault,) = check(SAGEMAKER, "DeleteTagsInput", params)
    assert fault == (
        "Value '[]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: "
        "[Member must have length less than or equal to 128, "
        "Member must have length greater than or equal to 1, "
        r"Member must satisfy regular expression pattern: ([\p{L}\p{Z}\p{N}_.:/=+\-@]*)]"
    )


def test_values_of_a_map_are_named_together_as_java_prints_the_map() -> None:
    assert faults(HyperParameters={"lr": "0.1", "x": "two\nlines"}) == [
        (
            "Value '{lr=0.1, x=two\nlines}' at 'hyperParameters' failed to satisfy constraint: "
            "Map value must satisfy constraint: [Member must have length less than or equal to 2500, "  # noqa: E501
            "Member must have length greater than or equal to 0, "
            "Member must satisfy regular expression pattern: .*]"
        )
    ]


def test_keys_of_a_map_are_named_together() -> None:
    (fault,) = faults(Environment={"1A": "x"})
    assert (
        "at 'environment' failed to satisfy constraint: Map keys must satisfy constraint: ["
        in fault
    )


def test_a_map_has_a_length() -> None:
    (fault,) = faults(HyperParameters={f"k{n}": "v" for n in range(101)})
    assert fault.endswith("Member must have length less than or equal to 100")


def test_nothing_may_be_null_in_a_list() -> None:
    (fault,) = faults(Tags=[None])
    assert fault == (
        "Value '[null]' at 'tags' failed to satisfy constraint: "
        "Member must satisfy constraint: [Member must not be null]"
    )


def test_a_union_has_exactly_one_member() -> None:
    union = "MetricSpecification"
    predefined = {"Predefined": {"PredefinedMetricType": "t"}}
    customized = {"Customized": {"MetricName": "m"}}
    assert check(SAGEMAKER, union, predefined) == []
    for params in ({}, predefined | customized):
        (fault,) = check(SAGEMAKER, union, params)
        assert fault.endswith("Member must have exactly one of its members set")


def test_a_secret_is_not_repeated() -> None:
    secret = next(
        name
        for name, shape in SAGEMAKER.shapes.items()
        if shape.sensitive and shape.type == "string" and shape.max
    )
    wrong: list[str] = []
    value = "hidden" * 10000
    checker(SAGEMAKER, secret, json=False)(value, (None, "password"), wrong)
    assert wrong[0].startswith("Value at 'password' failed to satisfy constraint: ")
    assert "hidden" not in wrong[0]


def test_a_huge_value_is_cut_in_the_message() -> None:
    (fault,) = faults(HyperParameters={"k": "x" * 1_000_000})
    assert len(fault) < 5000


def test_unknown_members_are_dropped_at_every_depth() -> None:
    given = job(Newer=1, OutputDataConfig={"S3OutputPath": "s3://b/o", "Newer": {"a": []}})
    wrong: list[str] = []
    taken = checker(SAGEMAKER, "CreateTrainingJobRequest", json=True)(given, None, wrong)
    assert taken == job(OutputDataConfig={"S3OutputPath": "s3://b/o"})
    assert wrong == []


def test_many_faults_are_counted_and_joined() -> None:
    with pytest.raises(RequestRejected) as caught:
        reject(["Value null at 'a' failed", "Value null at 'b' failed"])
    assert caught.value.code == "ValidationException"
    assert caught.value.status == 400
    assert caught.value.message == (
        "2 validation errors detected: Value null at 'a' failed; Value null at 'b' failed"
    )


def test_one_fault_is_in_the_singular() -> None:
    with pytest.raises(RequestRejected) as caught:
        reject(["x"], "ValidationError")
    assert str(caught.value) == "ValidationError: 1 validation error detected: x"


def test_an_answer_does_not_grow_with_the_number_of_faults() -> None:
    tags = {"ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:a", "Tags": [{}] * 100_000}
    keys = {"ResourceArn": tags["ResourceArn"], "TagKeys": ["\0"] * 100_000}
    parameters = {f"{n}\0": "\0" for n in range(100_000)}
    for shape, params in (
        ("AddTagsInput", tags),
        ("DeleteTagsInput", keys),
        ("CreateTrainingJobRequest", job(HyperParameters=parameters)),
    ):
        faults = check(SAGEMAKER, shape, params)
        assert 0 < len(faults) < 110
        assert sum(map(len, faults)) < 50_000
