"""What is not there is told in the very words by which operators know it."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.sagemaker.shed import ACCOUNT, Shed
from tests.api.serving import serving

from trainshed.api.operations import offered
from trainshed.api.sagemaker.absent import ABSENT, AbsentKinds
from trainshed.wire.model import load

HERE = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}"
JOB = ("ValidationException", "Could not find requested job with name: nobody")
TUNING = (
    "ResourceNotFound",
    "Amazon SageMaker can't find a tuning job with the name nobody.",
)
ENDPOINT = ("ValidationException", f'Could not find endpoint "{HERE}:endpoint/nobody".')
CONFIG = (
    "ValidationException",
    f'Could not find endpoint configuration "{HERE}:endpoint-config/nobody".',
)
MODEL = ("ValidationException", f'Could not find model "{HERE}:model/nobody".')
TRAINING = ("ValidationException", "Requested resource not found.")

WEIGHTS = {"DesiredWeightsAndCapacities": [{"VariantName": "v", "DesiredWeight": 1.0}]}
ASKED: list[tuple[str, dict[str, Any], tuple[str, str]]] = [
    ("describe_training_job", {"TrainingJobName": "nobody"}, TRAINING),
    ("stop_training_job", {"TrainingJobName": "nobody"}, TRAINING),
    ("update_training_job", {"TrainingJobName": "nobody"}, TRAINING),
    ("delete_training_job", {"TrainingJobName": "nobody"}, TRAINING),
    ("describe_processing_job", {"ProcessingJobName": "nobody"}, JOB),
    ("stop_processing_job", {"ProcessingJobName": "nobody"}, JOB),
    ("delete_processing_job", {"ProcessingJobName": "nobody"}, JOB),
    ("describe_transform_job", {"TransformJobName": "nobody"}, JOB),
    ("stop_transform_job", {"TransformJobName": "nobody"}, JOB),
    ("describe_hyper_parameter_tuning_job", {"HyperParameterTuningJobName": "nobody"}, TUNING),
    ("stop_hyper_parameter_tuning_job", {"HyperParameterTuningJobName": "nobody"}, TUNING),
    ("delete_hyper_parameter_tuning_job", {"HyperParameterTuningJobName": "nobody"}, TUNING),
    ("describe_endpoint", {"EndpointName": "nobody"}, ENDPOINT),
    ("update_endpoint", {"EndpointName": "nobody", "EndpointConfigName": "c"}, ENDPOINT),
    ("update_endpoint_weights_and_capacities", {"EndpointName": "nobody", **WEIGHTS}, ENDPOINT),
    ("delete_endpoint", {"EndpointName": "nobody"}, ENDPOINT),
    ("describe_endpoint_config", {"EndpointConfigName": "nobody"}, CONFIG),
    ("delete_endpoint_config", {"EndpointConfigName": "nobody"}, CONFIG),
    ("describe_model", {"ModelName": "nobody"}, MODEL),
    ("delete_model", {"ModelName": "nobody"}, MODEL),
]
ROLE = "arn:aws:iam::123456789012:role/trainshed"
CREATED: list[tuple[str, dict[str, Any]]] = [
    ("create_model", {"ModelName": "m", "ExecutionRoleArn": ROLE}),
    ("create_endpoint", {"EndpointName": "e", "EndpointConfigName": "c"}),
    (
        "create_processing_job",
        {
            "ProcessingJobName": "p",
            "ProcessingResources": {
                "ClusterConfig": {
                    "InstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                    "VolumeSizeInGB": 1,
                }
            },
            "AppSpecification": {"ImageUri": "i"},
            "RoleArn": ROLE,
        },
    ),
]


@pytest.fixture
def client(shed: Shed) -> Iterator[Any]:
    with serving(offered(shed.operations, AbsentKinds(account=ACCOUNT).operations())) as server:
        client = server.client("sagemaker")
        yield client
        client.close()


def refused(client: Any, operation: str, asked: dict[str, Any]) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as error:
        getattr(client, operation)(**asked)
    told = error.value.response
    status = told["ResponseMetadata"]["HTTPStatusCode"]
    return told["Error"]["Code"], told["Error"]["Message"], status


def test_what_is_not_there_is_told_by_code_and_text(client: Any) -> None:
    for operation, asked, (code, text) in ASKED:
        assert refused(client, operation, asked) == (code, text, 400), operation


def test_all_that_are_answered_so_are_tried_here(client: Any) -> None:
    by_method = client.meta.method_to_api_mapping
    assert set(ABSENT) == {
        by_method[operation] for operation, *_ in ASKED if "training_job" not in operation
    }
    model = load("sagemaker")
    for operation, kind in ABSENT.items():
        shape = model.operations[operation].input
        assert shape is not None
        assert kind.member in model.shapes[shape.shape].required


def test_what_would_make_one_says_that_it_is_not_offered(client: Any) -> None:
    for operation, asked in CREATED:
        code, text, status = refused(client, operation, asked)
        assert (code, status) == ("NotImplementedException", 501)
        assert text.endswith("Nothing was done.")


def test_a_name_that_none_could_have_is_refused_as_such(client: Any) -> None:
    code, text, _ = refused(client, "describe_model", {"ModelName": "no_name"})
    assert code == "ValidationException"
    assert "Value 'no_name' at 'modelName' failed to satisfy constraint" in text
