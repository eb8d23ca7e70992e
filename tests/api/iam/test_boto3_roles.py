"""What SageMaker clients ask IAM before they submit a job, through the real front."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.api.serving import serving

from trainshed.api.iam.roles import Roles

ROLE = "arn:aws:iam::123456789012:role/Trainer"


@pytest.fixture
def client() -> Iterator[Any]:
    with serving(Roles(account="123456789012").operations()) as server:
        client = server.client("iam")
        yield client
        client.close()


def test_every_role_is_there_and_trusts_sagemaker(client: Any) -> None:
    role = client.get_role(RoleName="Trainer")["Role"]
    assert role["Arn"] == ROLE
    assert (role["RoleName"], role["Path"]) == ("Trainer", "/")
    # boto3 has decoded what IAM sends as URL-encoded JSON.
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert (statement["Effect"], statement["Action"]) == ("Allow", "sts:AssumeRole")


def test_a_role_keeps_its_id_and_no_two_share_one(client: Any) -> None:
    ids = [client.get_role(RoleName=name)["Role"]["RoleId"] for name in ("a", "a", "b")]
    assert ids[0] == ids[1] != ids[2]
    assert all(len(one) == 21 and one.startswith("AROA") for one in ids)


def test_every_action_is_allowed_on_every_resource(client: Any) -> None:
    answer = client.simulate_principal_policy(
        PolicySourceArn=ROLE,
        ActionNames=["s3:PutObject", "s3:GetObject"],
        ResourceArns=["arn:aws:s3:::bucket/*", "arn:aws:s3:::other"],
    )
    assert answer["IsTruncated"] is False
    results = answer["EvaluationResults"]
    assert {result["EvalDecision"] for result in results} == {"allowed"}
    assert [(result["EvalActionName"], result["EvalResourceName"]) for result in results] == [
        ("s3:PutObject", "arn:aws:s3:::bucket/*"),
        ("s3:PutObject", "arn:aws:s3:::other"),
        ("s3:GetObject", "arn:aws:s3:::bucket/*"),
        ("s3:GetObject", "arn:aws:s3:::other"),
    ]


def test_without_resources_all_are_meant(client: Any) -> None:
    answer = client.simulate_principal_policy(
        PolicySourceArn=ROLE, ActionNames=["sagemaker:CreateTrainingJob"]
    )
    (result,) = answer["EvaluationResults"]
    assert (result["EvalResourceName"], result["EvalDecision"]) == ("*", "allowed")
