"""A spec becomes a request whatever the case of its names, or says what keeps it from that."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trainshed.operator.crds import spec_schema
from trainshed.operator.kinds.table import KINDS
from trainshed.operator.mapping import SpecRejected, to_request, to_spec
from trainshed.wire.model import load

TRAINING = KINDS["TrainingJob"]
MODEL = load("sagemaker")
SHAPES = MODEL.shapes
NEW = yaml.safe_load(
    (Path(__file__).parent / "manifests" / "training-new-members.yaml").read_text()
)
MAPS = {"environment", "profilingParameters", "ruleParameters"}
TEXTS = st.text("abcXYZ0189-_./: ", min_size=1, max_size=12)


def values(shape_name: str) -> st.SearchStrategy[Any]:
    """Return values of a shape, as the service has them."""
    shape = SHAPES[shape_name]
    match shape.type:
        case "structure":
            required = {name: values(shape.members[name].shape) for name in shape.required}
            optional = {
                name: values(ref.shape)
                for name, ref in shape.members.items()
                if name not in shape.required
            }
            return st.fixed_dictionaries(required, optional=optional)
        case "list":
            return st.lists(values(shape.element.shape), min_size=1, max_size=2)
        case "map":
            return st.dictionaries(TEXTS, values(shape.map_value.shape), min_size=1, max_size=2)
        case "boolean":
            return st.booleans()
        case "integer" | "long":
            return st.integers(1, 5000)
        case "string" if shape.enum:
            return st.sampled_from(shape.enum)
        case "string":
            return TEXTS
    raise AssertionError(shape.type)


def one_of_the_members(shape_name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return requests with a few members of a shape: all at once take long to make."""
    shape = SHAPES[shape_name]
    made = {
        name: values(ref.shape)
        for name, ref in shape.members.items()
        if name not in {"TrainingJobName", "ServerlessJobConfig"}
    }
    return st.lists(st.sampled_from(sorted(made)), min_size=1, max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: made[name] for name in names})
    )


REQUESTS = one_of_the_members("CreateTrainingJobRequest")


def in_other_letters(value: Any, random: Random) -> Any:
    """Return a spec with letters of its members' names in either case; a map's keys stay."""
    if isinstance(value, list):
        return [in_other_letters(item, random) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        "".join(random.choice((c.lower(), c.upper())) for c in name): inner
        if name in MAPS and isinstance(inner, dict)
        else in_other_letters(inner, random)
        for name, inner in value.items()
    }


@given(REQUESTS)
def test_a_spec_written_from_a_request_is_that_request_again(request: dict[str, Any]) -> None:
    spec = to_spec(TRAINING, spec_schema(TRAINING), request)
    assert to_request(TRAINING, spec, "n") == {"TrainingJobName": "n", **request}


@given(REQUESTS, st.integers(0, 99))
def test_the_case_of_names_is_nothing(request: dict[str, Any], seed: int) -> None:
    spec = to_spec(TRAINING, spec_schema(TRAINING), request)
    assert to_request(TRAINING, in_other_letters(spec, Random(seed)), "n") == {
        "TrainingJobName": "n",
        **request,
    }


def test_what_speaks_to_the_operator_is_no_part_of_the_request() -> None:
    spec = {
        "region": "us-east-2",
        "sageMakerEndpoint": "http://127.0.0.1:8000",
        "SageMakerEndpoint": "http://127.0.0.1:8000",
        "stop": True,
        "deletionPolicy": "Retain",
        "trainingJobName": "another",
    }
    assert to_request(TRAINING, spec, "this-one") == {"TrainingJobName": "this-one"}


def test_new_members_are_passed_on() -> None:
    request = to_request(TRAINING, NEW["spec"], "new")
    assert request["Environment"] == {"LOG_LEVEL": "debug"}
    assert request["AlgorithmSpecification"]["ContainerEntrypoint"] == ["python3", "-u"]
    assert request["RetryStrategy"] == {"MaximumRetryAttempts": 3}
    assert request["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 600
    assert request["InputDataConfig"][0]["InputMode"] == "FastFile"


@pytest.mark.parametrize(
    "form", [[{"name": "a", "value": "1"}, {"name": "b"}], {"a": "1", "b": ""}]
)
def test_a_map_may_stand_as_a_list_of_pairs(form: Any) -> None:
    assert to_request(TRAINING, {"hyperParameters": form}, "n")["HyperParameters"] == {
        "a": "1",
        "b": "",
    }


def test_numbers_are_of_the_kind_that_the_service_wants() -> None:
    request = to_request(
        KINDS["EndpointConfig"],
        {
            "productionVariants": [
                {"variantName": "v", "initialInstanceCount": 2.0, "initialVariantWeight": 1}
            ]
        },
        "n",
    )
    variant = request["ProductionVariants"][0]
    assert isinstance(variant["InitialInstanceCount"], int)
    assert isinstance(variant["InitialVariantWeight"], float)


def test_what_is_null_or_an_empty_choice_is_left_out() -> None:
    spec = {
        "vpcConfig": None,
        "inputDataConfig": [{"channelName": "train", "compressionType": "", "contentType": ""}],
    }
    assert to_request(TRAINING, spec, "n") == {
        "TrainingJobName": "n",
        "InputDataConfig": [{"ChannelName": "train", "ContentType": ""}],
    }


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (
            {"retryStrategy": {"maximumRetryAttempts": "3"}},
            "spec.retryStrategy.maximumRetryAttempts: found '3', where a whole number belongs",
        ),
        (
            {"resourceConfig": {"instanceCount": 1.5}},
            "spec.resourceConfig.instanceCount: found 1.5, where a whole number belongs",
        ),
        (
            {"hyperParameters": [{"name": "eta", "value": 0.3}]},
            "spec.hyperParameters.eta: found 0.3, where a text belongs (put it in quotes)",
        ),
        (
            {"hyperParameters": [{"value": "0.3"}]},
            "spec.hyperParameters[0]: found {'value': '0.3'}, where {name, value} belongs",
        ),
        (
            {"hyperParameters": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]},
            "spec.hyperParameters[1]: a has another value further up; give it once",
        ),
        (
            {"retryStrategy": {"maximumRetryAttempts": 1}, "tags": [{"key": "a"}, {"ky": "b"}]},
            "spec.tags[1].ky: there is no such member; known are key, value",
        ),
        (
            {"vpcConfig": {"subnets": ["s"], "Subnets": ["s"]}},
            "spec.vpcConfig.Subnets: stands there twice, in letters of another case",
        ),
        (
            {"checkpointConfig": {"localpath": "/x", "s3Path": "s3://b"}},
            "spec.checkpointConfig.s3Path: there is no such member; known are s3Uri, localPath",
        ),
        (
            {"enableManagedSpotTraining": "yes"},
            "spec.enableManagedSpotTraining: found 'yes', where true or false belongs",
        ),
        ({"tags": {"a": "b"}}, "spec.tags: found {'a': 'b'}, where a list belongs"),
        ({"vpcConfig": []}, "spec.vpcConfig: found [], where an object belongs"),
    ],
)
def test_what_can_t_be_sent_is_told_with_its_place_and_what_would_fit(
    spec: dict[str, Any], told: str
) -> None:
    with pytest.raises(SpecRejected) as caught:
        to_request(TRAINING, spec, "n")
    assert caught.value.faults == (told,)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(SpecRejected) as caught:
        to_request(TRAINING, {"roleArn": 1, "tag": []}, "n")
    assert len(caught.value.faults) == 2
    assert str(caught.value) == "; ".join(caught.value.faults)


def test_a_long_value_is_cut_in_what_is_told() -> None:
    with pytest.raises(SpecRejected, match=r"found \['xxx.*\.\.\., where"):
        to_request(TRAINING, {"roleArn": ["x" * 5000]}, "n")


def test_a_kind_of_several_requests_has_none_of_its_own() -> None:
    with pytest.raises(KeyError):
        to_request(KINDS["HostingDeployment"], {}, "n")
