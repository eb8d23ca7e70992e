"""Old manifests, as people have them, fit the schemas and become requests that are taken."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from trainshed.operator.crds import crd, spec_schema
from trainshed.operator.kinds.table import KINDS
from trainshed.operator.mapping import to_request, to_spec
from trainshed.operator.schema.service import input_shape
from trainshed.wire.model import load
from trainshed.wire.validate import check

MANIFESTS = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted(Path(__file__).with_name("manifests").glob("*.yaml"))
}
OF_ONE_REQUEST = {
    name: manifest for name, manifest in MANIFESTS.items() if KINDS[manifest["kind"]].operation
}


def faults(manifest: dict[str, Any]) -> list[str]:
    """Return what an API server would refuse, where it would, as far as the schema tells."""
    schema = crd(KINDS[manifest["kind"]])["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    found = jsonschema.Draft4Validator(schema).iter_errors(manifest)
    return [f"{'.'.join(map(str, fault.path))}: {fault.message}" for fault in found]


def unknown(value: Any, schema: dict[str, Any], path: str = "") -> list[str]:
    """Return the members that an API server would prune."""
    if isinstance(value, list):
        return [bad for item in value for bad in unknown(item, schema["items"], f"{path}[]")]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    return [
        bad
        for name, inner in value.items()
        for bad in (
            unknown(inner, schema["properties"][name], f"{path}.{name}")
            if name in schema["properties"]
            else [f"{path}.{name}"]
        )
    ]


def test_there_is_a_manifest_of_each_kind() -> None:
    assert {manifest["kind"] for manifest in MANIFESTS.values()} == KINDS.keys()


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_fits_its_schema_and_nothing_of_it_is_pruned(name: str) -> None:
    manifest = MANIFESTS[name]
    assert faults(manifest) == []
    assert unknown(manifest["spec"], dict(spec_schema(KINDS[manifest["kind"]]))) == []


@pytest.mark.parametrize("name", OF_ONE_REQUEST)
def test_a_manifest_becomes_a_request_that_the_service_takes(name: str) -> None:
    manifest = MANIFESTS[name]
    kind = KINDS[manifest["kind"]]
    request = to_request(kind, manifest["spec"], "as-generated")
    assert check(load("sagemaker"), input_shape(kind.operation), request) == []
    assert request[kind.name_member] == "as-generated"


@pytest.mark.parametrize("name", OF_ONE_REQUEST)
def test_a_request_written_as_a_spec_is_that_request_again(name: str) -> None:
    manifest = MANIFESTS[name]
    kind = KINDS[manifest["kind"]]
    request = to_request(kind, manifest["spec"], "as-generated")
    spec = to_spec(kind, spec_schema(kind), request)
    assert to_request(kind, spec, "as-generated") == request
    assert faults({**manifest, "spec": {"region": "us-east-2", **spec}}) == []


def test_a_training_job_is_asked_for_member_by_member() -> None:
    assert to_request(KINDS["TrainingJob"], MANIFESTS["training-spot"]["spec"], "spot-1") == {
        "TrainingJobName": "spot-1",
        "HyperParameters": {
            "max_depth": "4",
            "eta": "0.3",
            "objective": "multi:softmax",
            "num_round": "7",
        },
        "AlgorithmSpecification": {
            "TrainingImage": "123456789012.dkr.ecr.us-east-2.amazonaws.com/boosted-trees:1",
            "TrainingInputMode": "File",
        },
        "RoleArn": "arn:aws:iam::111122223333:role/training",
        "OutputDataConfig": {"S3OutputPath": "s3://trees/models/"},
        "ResourceConfig": {
            "InstanceCount": 1,
            "InstanceType": "ml.m4.xlarge",
            "VolumeSizeInGB": 5,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 3599, "MaxWaitTimeInSeconds": 3600},
        "InputDataConfig": [
            {
                "ChannelName": channel,
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://trees/digits/{channel}/",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
                "ContentType": "text/csv",
                "CompressionType": "None",
            }
            for channel in ("train", "validation")
        ],
        "EnableManagedSpotTraining": True,
        "CheckpointConfig": {"S3Uri": "s3://trees/checkpoints/"},
    }


def test_parameters_of_the_debugger_go_where_the_service_has_them() -> None:
    request = to_request(KINDS["TrainingJob"], MANIFESTS["training-debugger"]["spec"], "debugged")
    collections = request["DebugHookConfig"]["CollectionConfigurations"]
    assert collections[1]["CollectionParameters"] == {'save_interval"': "250"}
    rule = request["DebugRuleConfigurations"][0]
    assert rule["RuleParameters"] == {"rule_to_invoke": "LossNotDecreasing", "num_steps": "12"}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"algorithmSpecification": {"trainingInputMode": "file"}}, "'file' is not one of"),
        ({"outputDataConfig": {"s3OutputPath": "/srv/models"}}, "does not match"),
        ({"resourceConfig": {"instanceCount": 0}}, "is not valid under any of the given"),
        ({"hyperParameters": [{"name": "eta", "value": 0.3}]}, "0.3 is not of type 'string'"),
        ({"hyperParameters": {"eta": "0.3"}}, "is not of type 'array'"),
        ({"deletionPolicy": "Delete"}, "is not one of ['Stop', 'Retain', 'Abandon']"),
        ({"sageMakerEndpoint": "localhost:8000"}, "does not match"),
        ({"trainingJobName": "n" * 64}, "is too long"),
    ],
)
def test_the_schema_refuses_what_the_first_operator_refused(
    wrong: dict[str, Any], told: str
) -> None:
    manifest = MANIFESTS["training"]
    assert told in "; ".join(faults({**manifest, "spec": {**manifest["spec"], **wrong}}))


@pytest.mark.parametrize("member", ["roleArn", "region", "stoppingCondition", "resourceConfig"])
def test_the_schema_asks_for_what_the_first_operator_asked_for(member: str) -> None:
    spec = {key: value for key, value in MANIFESTS["training"]["spec"].items() if key != member}
    assert faults({**MANIFESTS["training"], "spec": spec}) == [
        f"spec: '{member}' is a required property"
    ]
