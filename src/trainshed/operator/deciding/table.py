"""Who decides over which kind."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from trainshed.operator.deciding.base import Deciding
from trainshed.operator.deciding.batch_transform_job import BATCH_TRANSFORM_JOBS
from trainshed.operator.deciding.endpoint_config import ENDPOINT_CONFIGS
from trainshed.operator.deciding.hosting_autoscaling_policy import HOSTING_AUTOSCALING_POLICIES
from trainshed.operator.deciding.hosting_deployment import HOSTING_DEPLOYMENTS
from trainshed.operator.deciding.hyperparameter_tuning_job import HYPERPARAMETER_TUNING_JOBS
from trainshed.operator.deciding.model import MODELS
from trainshed.operator.deciding.processing_job import PROCESSING_JOBS
from trainshed.operator.deciding.training_job.deciding import TRAINING_JOBS

_ALL: Final[tuple[Deciding, ...]] = (
    TRAINING_JOBS,
    HYPERPARAMETER_TUNING_JOBS,
    BATCH_TRANSFORM_JOBS,
    PROCESSING_JOBS,
    MODELS,
    ENDPOINT_CONFIGS,
    HOSTING_DEPLOYMENTS,
    HOSTING_AUTOSCALING_POLICIES,
)

DECIDING: Final[Mapping[str, Deciding]] = MappingProxyType(
    {each.kind.plural: each for each in _ALL}
)
"""By the kind's plural."""
