"""The variables that the platform puts into a container's environment.

``SM_*`` are not among them: the toolkit inside the container makes those.

Source: Amazon SageMaker developer guide, "How Amazon SageMaker Provides Training Information".
"""

from collections.abc import Mapping
from typing import Final


def variables(
    *,
    job_name: str,
    job_arn: str,
    region: str,
    server_url: str,
    objects: Mapping[str, str],
    environment: Mapping[str, str],
) -> dict[str, str]:
    """Return what the container finds in its environment.

    boto3 and every other AWS client in the user's script reach this platform by it. Whoever
    brings credentials or endpoints of their own gets none of ours: half of each would fit
    neither place.

    Args:
        job_name: the training job's name.
        job_arn: the training job's ARN.
        region: where the job runs.
        server_url: where AWS services other than S3 are answered; "" when nowhere.
        objects: how ``s3://`` is reached: ``endpoint``, ``access_key``, ``secret_key``;
            may be empty.
        environment: ``Environment`` of the request; it wins over everything here.
    """
    asked = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or region
    found = {
        "TRAINING_JOB_NAME": job_name,
        "TRAINING_JOB_ARN": job_arn,
        "AWS_REGION": asked,
        "AWS_DEFAULT_REGION": asked,
    }
    if not _OWN_ACCESS & environment.keys():
        found.update(_access(server_url, objects))
    found.update(environment)
    return found


_OWN_ACCESS: Final = frozenset(
    {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
    }
)
"""Any of these in the request's environment means: I have my own way in."""


def _access(server_url: str, objects: Mapping[str, str]) -> dict[str, str]:
    found = {}
    if server_url:
        found["AWS_ENDPOINT_URL"] = server_url
    if objects.get("endpoint"):
        found["AWS_ENDPOINT_URL_S3"] = objects["endpoint"]
        found["S3_ENDPOINT_URL"] = objects["endpoint"]  # what Amazon's toolkit reads
    if objects.get("access_key"):
        found["AWS_ACCESS_KEY_ID"] = objects["access_key"]
        found["AWS_SECRET_ACCESS_KEY"] = objects.get("secret_key", "")
    return found
