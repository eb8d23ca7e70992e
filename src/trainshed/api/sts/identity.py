"""GetCallerIdentity: SageMaker clients name their default bucket after the account.

Programs inside a job ask it too, and read their role from the answer.
"""

from typing import Any, Final

from trainshed.api.iam.roles import role_id
from trainshed.api.keys import JobsById
from trainshed.api.operations import Table
from trainshed.domain import keys, names
from trainshed.wire.message import Call

_SESSION: Final = "SageMaker"
"""The name of the session in which the service runs a job."""


class Identity:
    """Tells callers who they are: the one user of the one account, or a job in its role."""

    def __init__(self, *, account: str, records: JobsById) -> None:
        """Answer for ``account``, 12 digits; ``records`` knows the jobs' roles."""
        self._account = account
        self._records = records

    def operations(self) -> Table:
        """Return the operations this subject offers."""
        return {("sts", "GetCallerIdentity"): self.get_caller_identity}

    async def get_caller_identity(self, call: Call) -> dict[str, Any]:
        """Return the account and the user; for a job's key, its role as SageMaker assumes it."""
        partition = names.partition_of(call.region)
        role = await self._role(call.access_key or "")
        if role:
            user = f"{role_id(self._account, role)}:{_SESSION}"
            arn = f"arn:{partition}:sts::{self._account}:assumed-role/{role}/{_SESSION}"
        else:
            user = call.access_key or "anonymous"
            arn = f"arn:{partition}:iam::{self._account}:user/trainshed"
        return {"UserId": user, "Account": self._account, "Arn": arn}

    async def _role(self, access_key: str) -> str:
        """Return the name, without a path, of the role that a job's key stands for; "" for none."""
        key = keys.read(access_key)
        job = None if key is None else await self._records.by_id(key.job_id)
        return "" if job is None else str(job.request.get("RoleArn", "")).rpartition("/")[2]
