"""Reaches a server as AWS clients do: by the environment, a profile, the machine's own role.

So a machine far from the server needs no folder of it, and what works on the server's data works on
Amazon's.
"""

import os
from collections.abc import Callable
from datetime import datetime

from trainshed.client.api import Api, Credentials
from trainshed.client.errors import ClientError


def connect(now: Callable[[], datetime]) -> Api:
    """Return calls to what the AWS environment names: AWS_ENDPOINT_URL, else AWS itself.

    Raises:
        ClientError: it names no region, or no keys.
    """
    # Measured: 60 ms, for who asks for AWS only.
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    from botocore.session import Session  # noqa: PLC0415

    session = Session()
    try:
        # botocore itself does not read AWS_REGION, as the other SDKs do.
        region = os.environ.get("AWS_REGION") or session.get_config_variable("region")
        keys = session.get_credentials()
        frozen = keys.get_frozen_credentials() if keys is not None else None
        resolver = session.get_component("endpoint_resolver")
    except BotoCoreError as error:
        raise ClientError(
            f"the AWS environment cannot be used: {error}", "aws configure"
        ) from error
    if not region:
        raise ClientError("the AWS environment names no region", "export AWS_REGION=…")
    if frozen is None:
        raise ClientError(
            "the AWS environment has no keys", "export AWS_ACCESS_KEY_ID=…, or: aws configure"
        )

    def endpoint(service: str) -> str:
        of_service = os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}", "")
        if named := of_service or os.environ.get("AWS_ENDPOINT_URL", ""):
            return named.rstrip("/")
        found = resolver.construct_endpoint(service, region)
        return f"https://{found['hostname']}"

    return Api(
        endpoint("sagemaker"),
        Credentials(
            access_key=frozen.access_key,
            secret_key=frozen.secret_key,
            region=region,
            token=frozen.token or "",
        ),
        now=now,
        endpoints={service: endpoint(service) for service in ("s3", "logs", "sts")},
    )
