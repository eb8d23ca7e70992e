"""ProcessingJob: not run yet."""

from typing import Final

from trainshed.operator.deciding.unoffered import Unoffered
from trainshed.operator.kinds.processing_job import PROCESSING_JOB

PROCESSING_JOBS: Final = Unoffered(PROCESSING_JOB)
