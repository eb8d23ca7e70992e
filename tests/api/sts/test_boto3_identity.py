"""Who a caller is, through the real front."""

from dataclasses import replace
from typing import Any

import boto3
import pytest
from tests.api.serving import serving

from trainshed.api.iam.roles import Roles
from trainshed.api.sts.identity import Identity
from trainshed.domain import keys, names
from trainshed.domain.training import Attempt, TrainingJob
from trainshed.testing.jobs import NOON, job
from trainshed.testing.keys import FixedKeys

ACCOUNT = "123456789012"


class One:
    """Records of one job."""

    def __init__(self, only: TrainingJob) -> None:
        self.only = only

    async def by_id(self, job_id: str) -> TrainingJob | None:
        return self.only if job_id == self.only.id else None


def running(role: str) -> TrainingJob:
    attempt = Attempt(number=1, backend="local", started=NOON)
    return replace(job(RoleArn=role), attempt=attempt)


def test_a_caller_is_the_one_user_of_the_one_account() -> None:
    with serving(Identity(account=ACCOUNT, records=One(job())).operations()) as server:
        client = server.client("sts")
        identity = client.get_caller_identity()
        client.close()
    assert identity["Account"] == ACCOUNT
    assert identity["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/trainshed"
    assert identity["UserId"] == "AKIASHED"


@pytest.mark.parametrize(
    ("role", "name"),
    [
        (f"arn:aws:iam::{ACCOUNT}:role/training", "training"),
        (f"arn:aws:iam::{ACCOUNT}:role/service-role/Amazon-1", "Amazon-1"),
    ],
)
def test_a_program_inside_a_job_is_its_role_as_sagemaker_assumes_it(role: str, name: str) -> None:
    only = running(role)
    given = keys.node(names.node_id(only.id, 1, "algo-1")).given("s")
    offered = {
        **Identity(account=ACCOUNT, records=One(only)).operations(),
        **Roles(account=ACCOUNT).operations(),
    }
    known = FixedKeys({given["access_key"]: given["secret_key"]})
    with serving(offered, known) as server:
        session: Any = boto3.Session(given["access_key"], given["secret_key"])
        sts, iam = (
            session.client(service, endpoint_url=server.url, region_name="us-east-1")
            for service in ("sts", "iam")
        )
        identity = sts.get_caller_identity()
        role_id = iam.get_role(RoleName=name)["Role"]["RoleId"]
        sts.close()
        iam.close()
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/SageMaker"
    assert identity["UserId"] == f"{role_id}:SageMaker"
    assert identity["Account"] == ACCOUNT
