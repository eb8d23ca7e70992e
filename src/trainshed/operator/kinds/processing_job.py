"""ProcessingJob. Its spec has no place for a name: it is always generated."""

from typing import Final

from trainshed.operator.kinds import parts
from trainshed.operator.kinds.base import Column, Kind
from trainshed.operator.schema.structural import (
    address,
    boolean,
    described,
    integer,
    list_of,
    pairs,
    string,
    structure,
)

_LOCAL_PATH = string(most=256)
_INPUTS = list_of(
    structure(
        {
            "*inputName": string(),
            "*s3Input": structure(
                {
                    "*localPath": _LOCAL_PATH,
                    "*s3DataType": string(enum=("S3Prefix", "ManifestFile")),
                    "*s3InputMode": parts.INPUT_MODE,
                    "*s3Uri": address(),
                    "s3CompressionType": parts.COMPRESSION,
                    "s3DataDistributionType": parts.DISTRIBUTION,
                }
            ),
        }
    ),
    most=10,
)
_OUTPUTS = structure(
    {
        "*outputs": list_of(
            structure(
                {
                    "*outputName": string(),
                    "*s3Output": structure(
                        {
                            "*localPath": _LOCAL_PATH,
                            "*s3UploadMode": string(enum=("Continuous", "EndOfJob")),
                            "*s3Uri": address(),
                        }
                    ),
                }
            ),
            most=10,
        ),
        "kmsKeyId": string(most=1024),
    }
)
_SPEC = structure(
    {
        "*appSpecification": structure(
            {
                "containerArguments": list_of(string()),
                "containerEntrypoint": list_of(string()),
                "imageUri": string(),
            }
        ),
        "*processingResources": structure({"*clusterConfig": parts.PROCESSING_RESOURCES}),
        "*region": parts.REGION,
        "*roleArn": string(least=20, most=2048),
        "deletionPolicy": parts.DELETION_POLICY,
        "environment": pairs(most=100),
        "networkConfig": structure(
            {
                "enableInterContainerTrafficEncryption": boolean(),
                "enableNetworkIsolation": boolean(),
                "vpcConfig": parts.VPC_CONFIG,
            }
        ),
        "processingInputs": _INPUTS,
        "processingOutputConfig": _OUTPUTS,
        "sageMakerEndpoint": parts.ENDPOINT,
        "stop": parts.STOP,
        "stoppingCondition": structure({"maxRuntimeInSeconds": integer(least=1)}),
        "tags": {**parts.TAGS, "maxItems": 50},
    }
)
_STATUS = structure(
    {
        "additional": parts.ADDITIONAL,
        "cloudWatchLogUrl": described("Where the job's log can be read.", string()),
        "lastCheckTime": parts.LAST_CHECK,
        "processingJobStatus": string(),
        "sageMakerProcessingJobName": string(),
        **parts.NEW_IN_STATUS,
    }
)

PROCESSING_JOB: Final = Kind(
    kind="ProcessingJob",
    plural="processingjobs",
    short_names=("pj",),
    operation="CreateProcessingJob",
    name_member="ProcessingJobName",
    status_name="sageMakerProcessingJobName",
    status_state="processingJobStatus",
    spec=_SPEC,
    status=_STATUS,
    columns=(
        Column(name="Status", path=".status.processingJobStatus"),
        parts.CREATION_TIME,
        Column(name="Sagemaker-Job-Name", path=".status.sageMakerProcessingJobName"),
        parts.AGE,
        parts.FAILURE_REASON,
    ),
)
