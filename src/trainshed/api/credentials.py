"""Short-lived keys for containers, handed out as Amazon ECS and SageMaker hand them out.

::

    GET /agent/v1/nodes/{node_id}/credentials     Authorization: <the node's credentials token>

Every AWS client asks here by itself, and again before a key expires, when its environment has
AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_CONTAINER_AUTHORIZATION_TOKEN.

Source: "Container credential provider", AWS SDKs and Tools Reference Guide.
"""

import hmac
from collections.abc import Callable
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from trainshed.api.keys import JobsById
from trainshed.domain import keys, names
from trainshed.domain.errors import RequestRejected, StoreError
from trainshed.domain.training import TrainingJob

PATH = "/agent/v1/nodes/{node_id}/credentials"


class ContainerCredentials:
    """The ASGI app behind ``PATH``."""

    def __init__(
        self,
        *,
        records: JobsById,
        secret: str,
        clock: Callable[[], datetime],
        lifetime: timedelta = keys.LIFETIME,
    ) -> None:
        """Give keys to the nodes of running jobs, as ``records`` has them.

        Keys derive from ``secret``, and are good for ``lifetime``, whole seconds.
        """
        self._records = records
        self._secret = secret
        self._clock = clock
        self._lifetime = lifetime
        self._router = Router([Route(PATH, self._answer, methods=["GET"])])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._router(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        node_id = request.path_params["node_id"]
        try:
            return JSONResponse(
                await self.give(node_id, request.headers.get("authorization", "")),
                headers={"cache-control": "no-store"},
            )
        except RequestRejected as error:
            return _refusal(error.code, error.message, error.status)
        except StoreError as error:
            # Clients ask again.
            return _refusal("ServiceUnavailable", str(error), 503)

    async def give(self, node_id: str, authorization: str) -> dict[str, str]:
        """Return a new key for a node's container, as clients expect it.

        Raises:
            RequestRejected: the Authorization header is not this node's token (401), or the node
                has no keys: its job is over, isolated, or not there (404).
        """
        expected = names.credentials_token(self._secret, node_id)
        if not hmac.compare_digest(authorization.encode(), expected.encode()):
            raise RequestRejected(
                "AccessDeniedException",
                f"the container of node {node_id} needs its own token: "
                "Authorization: <AWS_CONTAINER_AUTHORIZATION_TOKEN>",
                401,
            )
        job = await self._job(node_id)
        until = (self._clock() + self._lifetime).replace(microsecond=0)
        key = keys.container(node_id, until).given(self._secret)
        return {
            "RoleArn": str(job.request.get("RoleArn", "")),
            "AccessKeyId": key["access_key"],
            "SecretAccessKey": key["secret_key"],
            "Token": key["session_token"],
            "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    async def _job(self, node_id: str) -> TrainingJob:
        """Return the job of a node whose container may have keys."""
        try:
            key = keys.container(node_id)
        except ValueError as error:
            raise _none(f"{node_id} is no <job id>.<attempt>.<host>") from error
        job = await self._records.by_id(key.job_id)
        if job is None or not key.opens(job):
            raise _none(
                f"the job of node {node_id} is over, has gone on to another attempt, "
                "or has EnableNetworkIsolation: its container is given no keys"
            )
        return job


def _none(why: str) -> RequestRejected:
    return RequestRejected("ResourceNotFound", why, 404)


def _refusal(code: str, message: str, status: int) -> Response:
    return JSONResponse({"code": code, "message": message}, status_code=status)
