"""GetCallerIdentity: SageMaker clients name their default bucket after the account."""

from typing import Any

from trainshed.api.operations import Table
from trainshed.domain import names
from trainshed.wire.message import Call


class Identity:
    """Tells callers who they are: everybody is the one user of the one account."""

    def __init__(self, *, account: str) -> None:
        """Answer for ``account``, 12 digits."""
        self._account = account

    def operations(self) -> Table:
        """Return the operations this subject offers."""
        return {("sts", "GetCallerIdentity"): self.get_caller_identity}

    async def get_caller_identity(self, call: Call) -> dict[str, Any]:
        """Return the account and the user."""
        partition = names.partition_of(call.region)
        return {
            "UserId": call.access_key or "anonymous",
            "Account": self._account,
            "Arn": f"arn:{partition}:iam::{self._account}:user/trainshed",
        }
