"""HostingDeployment: an endpoint together with its models and their configuration."""

from typing import Final

from trainshed.operator.kinds import parts
from trainshed.operator.kinds.base import Column, Kind
from trainshed.operator.schema.structural import (
    boolean,
    described,
    integer,
    list_of,
    moment,
    number,
    pairs,
    string,
    structure,
)

_MODELS = list_of(
    structure(
        {
            "*executionRoleArn": parts.ROLE,
            "*name": string(),
            "containers": list_of(parts.CONTAINER, least=1),
            "enableNetworkIsolation": boolean(),
            "primaryContainer": described(
                "The containerHostname of the container that answers.", string()
            ),
            "vpcConfig": parts.VPC_CONFIG,
        }
    )
)
_SPEC = structure(
    {
        "*models": _MODELS,
        "*productionVariants": parts.VARIANTS,
        "*region": parts.REGION,
        "endpointName": string(most=63),
        "excludeRetainedVariantProperties": list_of(
            structure(
                {
                    "*variantPropertyType": string(
                        enum=("DesiredInstanceCount", "DesiredWeight", "DataCaptureConfig")
                    )
                }
            )
        ),
        "kmsKeyId": string(),
        "retainAllVariantProperties": boolean(),
        "sageMakerEndpoint": parts.ENDPOINT,
        "tags": parts.TAGS,
    }
)
_IMAGES = list_of(
    structure({"resolutionTime": moment(), "resolvedImage": string(), "specifiedImage": string()})
)
_STATUS = structure(
    {
        "additional": parts.ADDITIONAL,
        "creationTime": moment(),
        "endpointArn": string(),
        "endpointConfigName": string(),
        "endpointName": string(),
        "endpointStatus": string(),
        "endpointUrl": described("Where the endpoint is invoked.", string()),
        "lastCheckTime": parts.LAST_CHECK,
        "lastModifiedTime": moment(),
        "modelNames": pairs(),
        "productionVariants": list_of(
            structure(
                {
                    "*variantName": string(),
                    "currentInstanceCount": integer(),
                    "currentWeight": number(),
                    "deployedImages": _IMAGES,
                    "desiredInstanceCount": integer(),
                    "desiredWeight": number(),
                }
            )
        ),
        **parts.NEW_IN_STATUS,
    }
)

HOSTING_DEPLOYMENT: Final = Kind(
    kind="HostingDeployment",
    plural="hostingdeployments",
    short_names=("hd",),
    operation="",
    name_member="EndpointName",
    spec_name="endpointName",
    status_name="endpointName",
    status_state="endpointStatus",
    spec=_SPEC,
    status=_STATUS,
    columns=(
        Column(name="Status", path=".status.endpointStatus"),
        Column(name="Sagemaker-endpoint-name", path=".status.endpointName"),
        parts.AGE,
        parts.FAILURE_REASON,
    ),
)
