"""The variables that the platform puts into a container's environment.

``SM_*`` are not among them: the toolkit inside the container makes those.

Sources: Amazon SageMaker developer guide, "How Amazon SageMaker Provides Training Information";
AWS SDKs and Tools Reference Guide, "Container credential provider".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WARM_POOL_CACHE_VARIABLE: Final = "SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"
"""Names the folder that a warm pool keeps for the next job. Source: Amazon SageMaker developer
guide, "SageMaker AI Managed Warm Pools"."""


def variables(
    *,
    job_name: str,
    job_arn: str,
    region: str,
    access: Mapping[str, str],
    environment: Mapping[str, str],
    warm_pool_cache: str = "",
) -> dict[str, str]:
    """Return what the container finds in its environment.

    boto3 and every other AWS client in the user's script reach this platform by it. Whoever
    brings credentials or endpoints of their own gets none of ours: half of each would fit
    neither place.

    Args:
        job_name: the training job's name.
        job_arn: the training job's ARN.
        region: where the job runs.
        access: what ``access`` returned; empty for a job that reaches nothing.
        environment: ``Environment`` of the request; it wins over everything here.
        warm_pool_cache: where the container finds what its warm pool keeps; "" for none.
    """
    asked = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or region
    found = {
        "TRAINING_JOB_NAME": job_name,
        "TRAINING_JOB_ARN": job_arn,
        "AWS_REGION": asked,
        "AWS_DEFAULT_REGION": asked,
    }
    if warm_pool_cache:
        found[WARM_POOL_CACHE_VARIABLE] = warm_pool_cache
    if not own_access(environment):
        found.update(access)
    found.update(environment)
    return found


def own_access(environment: Mapping[str, str]) -> bool:
    """Tell whether a request's ``Environment`` brings its own way to AWS's services."""
    return not _OWN_ACCESS.isdisjoint(environment)


_OWN_ACCESS: Final = frozenset(
    {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
    }
)
"""Any of these in the request's environment means: I have my own way in."""


def access(*, server_url: str, objects_url: str, credentials: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which AWS clients reach this platform.

    Args:
        server_url: where the container reaches services other than S3; "" when nowhere.
        objects_url: where it reaches S3; "" when nowhere.
        credentials: ``url`` and ``token``, where short-lived keys are given (AWS clients ask only
            over https, loopback, or at 169.254.170.2); or the keys themselves: ``access_key``,
            ``secret_key`` and, if there is one, ``session_token``. Empty when it is given none.
    """
    found = {
        "AWS_ENDPOINT_URL": server_url,
        "AWS_ENDPOINT_URL_S3": objects_url,
        "S3_ENDPOINT_URL": objects_url,  # what Amazon's toolkit reads
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": credentials.get("url", ""),
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": credentials.get("token", ""),
        "AWS_ACCESS_KEY_ID": credentials.get("access_key", ""),
        "AWS_SECRET_ACCESS_KEY": credentials.get("secret_key", ""),
        "AWS_SESSION_TOKEN": credentials.get("session_token", ""),
    }
    return {name: value for name, value in found.items() if value}
