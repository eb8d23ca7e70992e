"""Exit codes: what a script may rely on."""

from collections.abc import Mapping
from typing import Any, Final

OK: Final = 0
ERROR: Final = 1
USAGE: Final = 2
JOB_FAILED: Final = 3
JOB_STOPPED: Final = 4
TIME_LIMIT: Final = 5
UNREACHABLE: Final = 6
NOT_FOUND: Final = 7
INTERRUPTED: Final = 130


def of_job(job: Mapping[str, Any]) -> int:
    """Return the code for how a job ended; ``OK`` while it runs.

    Args:
        job: DescribeTrainingJob's answer, or a summary of ListTrainingJobs.
    """
    match job["TrainingJobStatus"]:
        case "Failed":
            return JOB_FAILED
        case "Stopped" if job.get("SecondaryStatus") in {
            "MaxRuntimeExceeded",
            "MaxWaitTimeExceeded",
        }:
            return TIME_LIMIT
        case "Stopped":
            return JOB_STOPPED
        case _:
            return OK
