"""What is known of a service: read as data, never through botocore's code."""

import subprocess
import sys

import boto3
import pytest
from tests.wire.botocore_oracle import botocore_model

from trainshed.wire.model import SERVICES, ServiceModel, load


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_botocores_operations_shapes_and_protocol(service: str) -> None:
    model, theirs = load(service), botocore_model(service)
    assert set(model.operations) == set(theirs.operation_names)
    assert set(model.shapes) >= set(theirs.shape_names)
    assert model.protocol == theirs.resolved_protocol
    assert model.signing_name == theirs.signing_name
    assert model.target_prefix == theirs.metadata.get("targetPrefix", "")
    assert model.xml_namespace == theirs.metadata.get("xmlNamespace")


def test_the_version_is_the_one_that_boto3_uses() -> None:
    session = boto3.Session(region_name="eu-west-1")
    for service in SERVICES:
        client = session.client(service, aws_access_key_id="a", aws_secret_access_key="b")
        assert load(service).metadata.api_version == client.meta.service_model.api_version


def test_a_service_is_read_once() -> None:
    assert load("sts") is load("sts")


def test_reading_a_model_does_not_import_botocore() -> None:
    program = (
        "import sys; from trainshed.wire import model; model.load('sts'); "
        "sys.exit('botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_an_unknown_service_names_itself_and_where_it_was_sought() -> None:
    with pytest.raises(LookupError, match=r"'no-such-service' in .*botocore"):
        load("no-such-service")


def test_an_unknown_operation_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        load("sts").operation("Nothing")


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("sagemaker", "CreateTrainingJob", "ValidationException"),
        ("sagemaker-runtime", "InvokeEndpoint", "ValidationError"),
        ("logs", "DescribeLogStreams", "InvalidParameterException"),
        ("application-autoscaling", "PutScalingPolicy", "ValidationException"),
        ("sts", "AssumeRole", "ValidationError"),
        ("iam", "GetRole", "ValidationError"),
    ],
)
def test_each_service_has_its_own_name_for_a_refused_parameter(
    service: str, operation: str, code: str
) -> None:
    assert load(service).validation_code(operation) == code


def test_models_are_told_apart_by_identity_so_that_what_is_compiled_can_be_kept() -> None:
    model = load("sts")
    twin = ServiceModel(model.name, model.document, model.protocol)
    assert model != twin
    assert len({model, twin, model}) == 2
