"""Kinds of things that this server does not make yet: it answers truly that there is none.

Operators ask after what they are to make or to delete, and know by code and text that it is not
there. To be told that the operation is not offered, they would try again for ever. What makes such
a thing is not offered and says so, as every other operation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from trainshed.api.operations import Table
from trainshed.domain import names
from trainshed.domain.errors import RequestRejected
from trainshed.wire.message import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of which there is none."""

    member: str
    """The request's member that names one."""
    text: str
    """What the service says of one that is not there; ``{name}`` and ``{arn}`` are put in."""
    code: str = "ValidationException"
    arn: str = ""
    """The kind, as ARNs have it."""


_JOB: Final = "Could not find requested job with name: {name}"
_PROCESSING_JOB: Final = Kind(member="ProcessingJobName", text=_JOB)
_TRANSFORM_JOB: Final = Kind(member="TransformJobName", text=_JOB)
_TUNING_JOB: Final = Kind(
    member="HyperParameterTuningJobName",
    text="Amazon SageMaker can't find a tuning job with the name {name}.",
    code="ResourceNotFound",
)
_ENDPOINT: Final = Kind(
    member="EndpointName", text='Could not find endpoint "{arn}".', arn="endpoint"
)
_ENDPOINT_CONFIG: Final = Kind(
    member="EndpointConfigName",
    text='Could not find endpoint configuration "{arn}".',
    arn="endpoint-config",
)
_MODEL: Final = Kind(member="ModelName", text='Could not find model "{arn}".', arn="model")

ABSENT: Final[Mapping[str, Kind]] = {
    "DescribeProcessingJob": _PROCESSING_JOB,
    "StopProcessingJob": _PROCESSING_JOB,
    "DeleteProcessingJob": _PROCESSING_JOB,
    "DescribeTransformJob": _TRANSFORM_JOB,
    "StopTransformJob": _TRANSFORM_JOB,
    "DescribeHyperParameterTuningJob": _TUNING_JOB,
    "StopHyperParameterTuningJob": _TUNING_JOB,
    "DeleteHyperParameterTuningJob": _TUNING_JOB,
    "DescribeEndpoint": _ENDPOINT,
    "UpdateEndpoint": _ENDPOINT,
    "UpdateEndpointWeightsAndCapacities": _ENDPOINT,
    "DeleteEndpoint": _ENDPOINT,
    "DescribeEndpointConfig": _ENDPOINT_CONFIG,
    "DeleteEndpointConfig": _ENDPOINT_CONFIG,
    "DescribeModel": _MODEL,
    "DeleteModel": _MODEL,
}
"""By operation. Codes and the beginnings of the texts are those that the operator for Kubernetes
(controllers/clientwrapper) and ACK's controller look for. A kind that comes to be offered leaves
this table."""


class AbsentKinds:
    """Says of everything that it is asked after that it is not there."""

    def __init__(self, *, account: str) -> None:
        """Name things of ``account``."""
        self._account = account

    def operations(self) -> Table:
        """Return the operations that are answered so."""
        return {("sagemaker", operation): self.refuse for operation in ABSENT}

    async def refuse(self, call: Call) -> dict[str, Any]:
        """Say that it is not there.

        Raises:
            RequestRejected: always.
        """
        kind = ABSENT[call.operation]
        name = call.params[kind.member]
        arn = names.sagemaker_arn(
            region=call.region, account=self._account, kind=kind.arn, name=name
        )
        raise RequestRejected(kind.code, kind.text.format(name=name, arn=arn))
