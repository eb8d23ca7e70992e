"""BatchTransformJob: not run yet."""

from typing import Final

from trainshed.operator.deciding.unoffered import Unoffered
from trainshed.operator.kinds.batch_transform_job import BATCH_TRANSFORM_JOB

BATCH_TRANSFORM_JOBS: Final = Unoffered(BATCH_TRANSFORM_JOB)
