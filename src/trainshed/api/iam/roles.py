"""GetRole and SimulatePrincipalPolicy: what SageMaker clients ask before they submit a job.

There are no roles and no policies here: whoever may call the server may do everything, so every
role exists, may be assumed by SageMaker, and is allowed every action. The answers say just that.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from trainshed.api.operations import Table
from trainshed.domain import names
from trainshed.wire.message import Call

_TRUST: Final = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
_SINCE_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Roles:
    """Answers for every role."""

    def __init__(self, *, account: str) -> None:
        """Answer for ``account``, 12 digits."""
        self._account = account

    def operations(self) -> Table:
        """Return the operations this subject offers."""
        return {
            ("iam", "GetRole"): self.get_role,
            ("iam", "SimulatePrincipalPolicy"): self.simulate_principal_policy,
        }

    async def get_role(self, call: Call) -> dict[str, Any]:
        """Return the role of any name; its trust policy is URL-encoded JSON, as IAM has it."""
        name = call.params["RoleName"]
        partition = names.partition_of(call.region)
        return {
            "Role": {
                "Path": "/",
                "RoleName": name,
                "RoleId": role_id(self._account, name),
                "Arn": f"arn:{partition}:iam::{self._account}:role/{name}",
                "CreateDate": _SINCE_EVER,
                "AssumeRolePolicyDocument": quote(json.dumps(_TRUST), safe=""),
                "MaxSessionDuration": 3600,
            }
        }

    async def simulate_principal_policy(self, call: Call) -> dict[str, Any]:
        """Return "allowed" for each action on each resource asked about."""
        resources = call.params.get("ResourceArns") or ["*"]
        return {
            "EvaluationResults": [
                {
                    "EvalActionName": action,
                    "EvalResourceName": resource,
                    "EvalDecision": "allowed",
                    "MatchedStatements": [],
                    "MissingContextValues": [],
                }
                for action in call.params["ActionNames"]
                for resource in resources
            ],
            "IsTruncated": False,
        }


def role_id(account: str, name: str) -> str:
    """Return the id of a role: always the same for the same account and name."""
    digest = hashlib.sha256(f"{account}/{name}".encode()).hexdigest()
    return f"AROA{digest[:17].upper()}"
