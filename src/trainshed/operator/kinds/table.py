"""All kinds, by their names."""

from collections.abc import Mapping
from typing import Final

from trainshed.operator.kinds.base import Kind
from trainshed.operator.kinds.batch_transform_job import BATCH_TRANSFORM_JOB
from trainshed.operator.kinds.endpoint_config import ENDPOINT_CONFIG
from trainshed.operator.kinds.hosting_autoscaling_policy import HOSTING_AUTOSCALING_POLICY
from trainshed.operator.kinds.hosting_deployment import HOSTING_DEPLOYMENT
from trainshed.operator.kinds.hyperparameter_tuning_job import HYPERPARAMETER_TUNING_JOB
from trainshed.operator.kinds.model import MODEL
from trainshed.operator.kinds.processing_job import PROCESSING_JOB
from trainshed.operator.kinds.training_job import TRAINING_JOB

KINDS: Final[Mapping[str, Kind]] = {
    kind.kind: kind
    for kind in (
        TRAINING_JOB,
        HYPERPARAMETER_TUNING_JOB,
        BATCH_TRANSFORM_JOB,
        PROCESSING_JOB,
        MODEL,
        ENDPOINT_CONFIG,
        HOSTING_DEPLOYMENT,
        HOSTING_AUTOSCALING_POLICY,
    )
}
