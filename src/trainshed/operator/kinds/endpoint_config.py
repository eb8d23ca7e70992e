"""EndpointConfig."""

from typing import Final

from trainshed.operator.kinds import parts
from trainshed.operator.kinds.base import Column, Kind
from trainshed.operator.schema.structural import string, structure

_SPEC = structure(
    {
        "*productionVariants": parts.VARIANTS,
        "*region": parts.REGION,
        "kmsKeyId": string(),
        "sageMakerEndpoint": parts.ENDPOINT,
        "tags": parts.TAGS,
    }
)
_STATUS = structure(
    {
        "additional": parts.ADDITIONAL,
        "endpointConfigArn": string(),
        "lastUpdateTime": parts.LAST_CHECK,
        "sageMakerEndpointConfigName": string(),
        "status": string(),
        **parts.NEW_IN_STATUS,
    }
)

ENDPOINT_CONFIG: Final = Kind(
    kind="EndpointConfig",
    plural="endpointconfigs",
    short_names=(),
    operation="CreateEndpointConfig",
    name_member="EndpointConfigName",
    status_name="sageMakerEndpointConfigName",
    status_state="status",
    spec=_SPEC,
    status=_STATUS,
    columns=(
        Column(name="Status", path=".status.status"),
        Column(name="Sage-Maker-EndpointConfig-Name", path=".status.sageMakerEndpointConfigName"),
        parts.AGE,
        parts.FAILURE_REASON,
    ),
)
