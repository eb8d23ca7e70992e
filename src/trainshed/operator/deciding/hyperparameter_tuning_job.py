"""HyperparameterTuningJob: not run yet."""

from typing import Final

from trainshed.operator.deciding.unoffered import Unoffered
from trainshed.operator.kinds.hyperparameter_tuning_job import HYPERPARAMETER_TUNING_JOB

HYPERPARAMETER_TUNING_JOBS: Final = Unoffered(HYPERPARAMETER_TUNING_JOB)
