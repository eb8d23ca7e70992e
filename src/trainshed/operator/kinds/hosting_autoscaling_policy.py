"""HostingAutoscalingPolicy: how the instances of endpoints' variants grow and shrink."""

from typing import Final

from trainshed.operator.kinds import parts
from trainshed.operator.kinds.base import Column, Kind
from trainshed.operator.schema.structural import (
    boolean,
    integer,
    list_of,
    number,
    pairs,
    string,
    structure,
)

_TRACKING = structure(
    {
        "customizedMetricSpecification": structure(
            {
                "dimensions": pairs(),
                "metricName": string(least=1),
                "namespace": string(least=1),
                "statistic": string(least=1),
                "unit": string(),
            }
        ),
        "disableScaleIn": boolean(),
        "predefinedMetricSpecification": structure({"predefinedMetricType": string()}),
        "scaleInCooldown": integer(),
        "scaleOutCooldown": integer(),
        # The first operator's was a whole number, though its own samples gave 60.0.
        "targetValue": number(),
    }
)
_SPEC = structure(
    {
        "*region": parts.REGION,
        "maxCapacity": integer(),
        "minCapacity": integer(),
        "policyName": string(most=256),
        "policyType": string(),
        "resourceId": list_of(
            structure({"endpointName": string(least=1), "variantName": string(least=1)}), least=1
        ),
        "sageMakerEndpoint": parts.ENDPOINT,
        "scalableDimension": string(),
        "serviceNamespace": string(),
        "suspendedState": structure(
            {
                "dynamicScalingInSuspended": boolean(),
                "dynamicScalingOutSuspended": boolean(),
                "scheduledScalingSuspended": boolean(),
            }
        ),
        "targetTrackingScalingPolicyConfiguration": _TRACKING,
    }
)
_STATUS = structure(
    {
        "additional": parts.ADDITIONAL,
        "hostingAutoscalingPolicyStatus": string(),
        "lastCheckTime": parts.LAST_CHECK,
        "policyName": string(),
        "resourceIDList": list_of(string()),
        **parts.NEW_IN_STATUS,
    }
)

HOSTING_AUTOSCALING_POLICY: Final = Kind(
    kind="HostingAutoscalingPolicy",
    plural="hostingautoscalingpolicies",
    short_names=("hap",),
    operation="",
    name_member="PolicyName",
    name_limit=256,
    spec_name="policyName",
    status_name="policyName",
    status_state="hostingAutoscalingPolicyStatus",
    spec=_SPEC,
    spec_required=True,
    status=_STATUS,
    columns=(
        Column(name="Status", path=".status.hostingAutoscalingPolicyStatus"),
        parts.CREATION_TIME,
        parts.AGE,
        parts.FAILURE_REASON,
    ),
)
