"""Calls to the cloud's own CloudWatch Logs, with the keys that this machine has."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError

from trainshed.client.api import Credentials
from trainshed.client.errors import ApiError, ServerUnreachable
from trainshed.operator.smlogs.source import NO_CREDENTIALS


class AmazonCalls:
    """``log_streams.Calls`` to Amazon, or wherever this machine's AWS configuration points."""

    def __init__(self, region: str) -> None:
        """Take the region of the job."""
        self._region = region
        self._clients: dict[str, Any] = {}

    def close(self) -> None:
        """Close its connections."""
        for client in self._clients.values():
            client.close()

    def call(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the operation's answer.

        Raises:
            ApiError: it was refused, or there are no keys.
            ServerUnreachable: no answer came.
        """
        try:
            if service not in self._clients:
                made = session().create_client(service, region_name=self._region)
                self._clients[service] = made
            carry_out = getattr(self._clients[service], xform_name(operation))
            return dict(carry_out(**(params or {})))
        except ClientError as error:
            told = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
            code, message = str(told.get("Code", "")), str(told.get("Message", error))
            raise ApiError(code, message, status) from error
        except NoCredentialsError as error:
            raise ApiError(NO_CREDENTIALS, "this machine has no AWS credentials", 400) from error
        except (BotoCoreError, HTTPClientError) as error:
            raise ServerUnreachable(str(error)) from error


def own_keys(region: str) -> Credentials | None:
    """Return the AWS keys that this machine has: environment, profile, or its role."""
    try:
        found = session().get_credentials()
        if found is None:
            return None
        frozen = found.get_frozen_credentials()
    except BotoCoreError:
        return None
    return Credentials(
        access_key=frozen.access_key,
        secret_key=frozen.secret_key,
        region=region,
        token=frozen.token or "",
    )


@lru_cache(maxsize=1)
def session() -> Any:  # noqa: ANN401 - botocore has no types
    """Return what knows this machine's AWS configuration; read once."""
    return botocore.session.get_session()
