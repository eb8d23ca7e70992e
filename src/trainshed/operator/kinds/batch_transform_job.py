"""BatchTransformJob: the service's transform job."""

from typing import Final

from trainshed.operator.kinds import parts
from trainshed.operator.kinds.base import Column, Kind
from trainshed.operator.schema.structural import address, integer, pairs, string, structure

_INPUT = structure(
    {
        "*dataSource": structure(
            {
                "*s3DataSource": structure(
                    {"*s3DataType": parts.DATA_TYPE, "*s3Uri": address()},
                )
            }
        ),
        "compressionType": parts.COMPRESSION,
        "contentType": string(),
        "splitType": string(),
    }
)
_SPEC = structure(
    {
        "*modelName": string(),
        "*region": parts.REGION,
        "*transformInput": _INPUT,
        "*transformOutput": structure(
            {
                "*s3OutputPath": address(),
                "accept": string(),
                "assembleWith": string(),
                "kmsKeyId": string(),
            }
        ),
        "*transformResources": structure(
            {
                "*instanceCount": integer(least=1),
                "*instanceType": string(least=1),
                "volumeKmsKeyId": string(),
            }
        ),
        "batchStrategy": string(),
        # Two of the three are spelt with a capital: so are they in manifests.
        "dataProcessing": structure(
            {"JoinSource": string(), "OutputFilter": string(), "inputFilter": string()}
        ),
        "deletionPolicy": parts.DELETION_POLICY,
        "environment": pairs(),
        "maxConcurrentTransforms": integer(),
        "maxPayloadInMB": integer(),
        "sageMakerEndpoint": parts.ENDPOINT,
        "stop": parts.STOP,
        "tags": parts.TAGS,
        "transformJobName": string(most=63),
    }
)
_STATUS = structure(
    {
        "additional": parts.ADDITIONAL,
        "lastCheckTime": parts.LAST_CHECK,
        "sageMakerTransformJobName": string(),
        "transformJobStatus": string(),
        **parts.NEW_IN_STATUS,
    }
)

BATCH_TRANSFORM_JOB: Final = Kind(
    kind="BatchTransformJob",
    plural="batchtransformjobs",
    short_names=("btj",),
    operation="CreateTransformJob",
    name_member="TransformJobName",
    spec_name="transformJobName",
    status_name="sageMakerTransformJobName",
    status_state="transformJobStatus",
    spec=_SPEC,
    status=_STATUS,
    columns=(
        Column(name="Status", path=".status.transformJobStatus"),
        parts.CREATION_TIME,
        Column(name="Sagemaker-Job-Name", path=".status.sageMakerTransformJobName"),
        parts.AGE,
        parts.FAILURE_REASON,
    ),
)
