"""Model."""

from typing import Final

from trainshed.operator.kinds import parts
from trainshed.operator.kinds.base import Column, Kind
from trainshed.operator.schema.structural import boolean, list_of, string, structure

_SPEC = structure(
    {
        "*executionRoleArn": string(),
        "*region": parts.REGION,
        "containers": list_of(parts.CONTAINER),
        "enableNetworkIsolation": boolean(),
        "primaryContainer": parts.CONTAINER,
        "sageMakerEndpoint": parts.ENDPOINT,
        "tags": parts.TAGS,
        "vpcConfig": parts.VPC_CONFIG,
    }
)
_STATUS = structure(
    {
        "additional": parts.ADDITIONAL,
        "lastUpdateTime": parts.LAST_CHECK,
        "modelArn": string(),
        "sageMakerModelName": string(),
        "status": string(),
        **parts.NEW_IN_STATUS,
    }
)

MODEL: Final = Kind(
    kind="Model",
    plural="models",
    short_names=(),
    operation="CreateModel",
    name_member="ModelName",
    status_name="sageMakerModelName",
    status_state="status",
    spec=_SPEC,
    status=_STATUS,
    columns=(
        Column(name="Status", path=".status.status"),
        Column(name="Sage-Maker-Model-Name", path=".status.sageMakerModelName"),
        parts.AGE,
        parts.FAILURE_REASON,
    ),
)
