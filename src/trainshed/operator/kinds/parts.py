"""Parts of specs and statuses that several kinds have, with the bounds of the first operator."""

from typing import Final

from trainshed.operator.kinds.base import Column
from trainshed.operator.schema.structural import (
    address,
    boolean,
    described,
    integer,
    list_of,
    moment,
    pairs,
    string,
    structure,
)

REGION: Final = described("The AWS region whose service is called.", string(least=1))
ENDPOINT: Final = described(
    "Where SageMaker's API answers, when not where the operator looks by default.",
    string(pattern="^(https|http)://.*$"),
)
STOP: Final = described("true stops the resource's work; the object stays.", boolean())
DELETION_POLICY: Final = described(
    "What becomes of a running job when the object is deleted. Stop: it is stopped, and the object "
    "stays until it has ended (for a bounded time). Retain: it runs on, and the object goes. "
    "Abandon: the object goes without a word to the service.",
    string(enum=("Stop", "Retain", "Abandon")),
)
ROLE: Final = string(least=20)
TAGS: Final = list_of(structure({"*key": string(least=1), "*value": string()}))
VPC_CONFIG: Final = structure(
    {
        "*securityGroupIds": list_of(string(), least=1, most=5),
        "*subnets": list_of(string(), least=1, most=16),
    }
)

INPUT_MODE: Final = string(enum=("File", "Pipe"))
COMPRESSION: Final = string(enum=("None", "Gzip"))
DISTRIBUTION: Final = string(enum=("FullyReplicated", "ShardedByS3Key"))
DATA_TYPE: Final = string(enum=("S3Prefix", "ManifestFile", "AugmentedManifestFile"))

METRICS: Final = list_of(structure({"*name": string(least=1), "*regex": string(least=1)}))
CHANNELS: Final = list_of(
    structure(
        {
            "*channelName": string(least=1, pattern=r"[A-Za-z0-9\.\-_]+"),
            "*dataSource": structure(
                {
                    "fileSystemDataSource": structure(
                        {
                            "*directoryPath": string(),
                            "*fileSystemAccessMode": string(),
                            "*fileSystemId": string(),
                            "*fileSystemType": string(),
                        }
                    ),
                    "s3DataSource": structure(
                        {
                            "*s3DataType": DATA_TYPE,
                            "*s3Uri": address(),
                            "s3DataDistributionType": DISTRIBUTION,
                            "attributeNames": list_of(string()),
                        }
                    ),
                }
            ),
            "compressionType": COMPRESSION,
            "contentType": string(),
            "inputMode": INPUT_MODE,
            "recordWrapperType": string(),
            "shuffleConfig": structure({"*seed": integer()}),
        }
    ),
    least=1,
)
OUTPUT: Final = structure({"*s3OutputPath": address(), "kmsKeyId": string()})
CHECKPOINTS: Final = structure({"*s3Uri": address(), "localPath": string()})

_RESOURCES = {
    "instanceCount": integer(least=1),
    "instanceType": string(least=1),
    "volumeSizeInGB": integer(least=1),
    "volumeKmsKeyId": string(),
}
_ONE_TYPE = ["instanceCount", "instanceType", "volumeSizeInGB"]
TRAINING_RESOURCES: Final = {
    **structure(_RESOURCES),
    "anyOf": [
        {"required": _ONE_TYPE},
        {"required": ["instanceGroups"]},
        {"required": ["instancePreferences"]},
    ],
}
"""Where newer members stand for one type of instance, that one need not be named."""
PROCESSING_RESOURCES: Final = {**structure(_RESOURCES), "required": _ONE_TYPE}
STOPPING_CONDITION: Final = structure(
    {"maxRuntimeInSeconds": integer(least=1), "maxWaitTimeInSeconds": integer(least=1)}
)
CONTAINER: Final = structure(
    {
        "containerHostname": string(),
        "environment": pairs(),
        "image": string(),
        "mode": string(enum=("SingleModel", "MultiModel")),
        "modelDataUrl": string(),
        "modelPackageName": string(),
    }
)
VARIANTS: Final = list_of(
    structure(
        {
            "*initialInstanceCount": integer(least=1),
            "*instanceType": string(),
            "*modelName": string(least=1),
            "*variantName": string(least=1),
            "acceleratorType": string(),
            "initialVariantWeight": {"type": "number"},
        }
    ),
    least=1,
)

ADDITIONAL: Final = described("Why something failed, or what is waited for.", string())
LAST_CHECK: Final = described("When the service was last asked.", moment())
CONDITIONS: Final = {
    **list_of(
        structure(
            {
                "*type": string(most=316),
                "*status": string(enum=("True", "False", "Unknown")),
                "*reason": string(least=1, most=1024),
                "message": string(most=32768),
                "*lastTransitionTime": moment(),
                "observedGeneration": integer(least=0),
            }
        )
    ),
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
}
OBSERVED_GENERATION: Final = described(
    "The metadata.generation that this status tells of.", integer(least=0)
)
NEW_IN_STATUS: Final = {
    "conditions": CONDITIONS,
    "observedGeneration": OBSERVED_GENERATION,
    "failureReason": described("Why the service says that it failed.", string()),
}
"""What the first operator told of no kind."""

CREATION_TIME: Final = Column(
    name="Creation-Time", path=".metadata.creationTimestamp", format="date"
)
AGE: Final = Column(name="Age", path=".metadata.creationTimestamp", type="date")
FAILURE_REASON: Final = Column(name="Failure-Reason", path=".status.failureReason", wide=True)
