"""From where a job's lines are read: the first place that has them.

1. the server that the object names (``sageMakerEndpoint``), or else the Secret: itself, where this
   machine reaches it, or through the API server;
2. the job's pods, where it runs on this cluster;
3. Amazon's CloudWatch Logs, with the keys that this machine has.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import Any

from trainshed.client.api import Api, Credentials
from trainshed.client.errors import ApiError, ClientError
from trainshed.operator.smlogs import pods, routes
from trainshed.operator.smlogs.cluster import Cluster
from trainshed.operator.smlogs.log_streams import Calls, LogStreams
from trainshed.operator.smlogs.objects import Job
from trainshed.operator.smlogs.proxied import ProxiedCalls
from trainshed.operator.smlogs.source import (
    NO_CREDENTIALS,
    NoSource,
    Source,
    UnknownThere,
    Wanted,
)

_PATIENCE = 10.0
"""Seconds that a server may take for one answer before the next place is tried."""
_AMAZONS_LAG = 5.0
"""Seconds until CloudWatch Logs shows what was written; a look at a quiet stream took less."""


@dataclass(slots=True)
class _Tried:
    """Who was asked, and what each said."""

    said: list[tuple[str, str]] = field(default_factory=list)
    unknown: bool = False
    """Whether somebody answered who does not know the job."""
    trouble: bool = False
    """Whether somebody who may know the job could not be asked."""

    def in_vain(self, where: str, error: ClientError) -> None:
        """Note what somebody said."""
        self.said.append((where, str(error)))
        if isinstance(error, UnknownThere):
            self.unknown = True
        elif not (isinstance(error, ApiError) and error.code == NO_CREDENTIALS):
            self.trouble = True


@dataclass(slots=True, kw_only=True)
class Choice:
    """Looks for a place that has a job's lines."""

    cluster: Cluster
    namespace: str
    """Where the Secret and pods are looked for besides the object's namespace; "" for none."""
    now: Callable[[], datetime]
    _opened: ExitStack = field(default_factory=ExitStack, init=False)

    def close(self) -> None:
        """Close the connections of all that were asked."""
        self._opened.close()

    def source(self, job: Job, wanted: Wanted) -> Source:
        """Return the first place that has the job's lines, or knows it and may have some later.

        Raises:
            NoSource: there is none now; the message tells who was asked, and what each said.
        """
        self.close()  # what was asked in vain before
        tried = _Tried()
        for found in self._candidates(job, wanted, tried):
            try:
                found.check()
            except ClientError as error:
                tried.in_vain(found.where, error)
            else:
                return found
        raise NoSource(tried.said, later=tried.unknown and not tried.trouble)

    def _candidates(self, job: Job, wanted: Wanted, tried: _Tried) -> Iterator[Source]:
        told, troubles = None, list[str]()
        if not routes.is_amazons(job.endpoint):
            told, troubles = routes.look_up(self.cluster, self.namespace)
        tried.said += [(f"the Secret {routes.SECRET}", trouble) for trouble in troubles]
        yield from self._servers(job, wanted, told, tried)
        of_server = told.service.namespace if told is not None and told.service else ""
        for place in dict.fromkeys([self.cluster.namespace, self.namespace, of_server]):
            if place:
                yield pods.PodLogs(cluster=self.cluster, namespace=place, wanted=wanted)
        if not job.endpoint or routes.is_amazons(job.endpoint):
            where = f"Amazon CloudWatch Logs in {job.region}"
            calls = _amazon().AmazonCalls(job.region)
            self._opened.callback(calls.close)
            yield _streams(calls, job, wanted, where, _AMAZONS_LAG)

    def _servers(
        self, job: Job, wanted: Wanted, told: routes.Told | None, tried: _Tried
    ) -> Iterator[LogStreams]:
        own: Credentials | None = None
        for route in routes.routes(job.endpoint, told):
            keys = _told_keys(route, told, job.region)
            if keys is None:
                keys = own = own or _amazon().own_keys(job.region)
            if keys is None:
                why = f"there are no keys for it: no Secret {routes.SECRET}, none of AWS's"
                tried.in_vain(str(route), ClientError(why))
                continue
            yield _streams(self._calls(route, keys), job, wanted, str(route), 0.0)

    def _calls(self, route: routes.Route, keys: Credentials) -> Calls:
        match route:
            case routes.Direct():
                api = Api(route.url, keys, now=self.now, timeout=_PATIENCE)
                self._opened.callback(api.close)
                return api
            case routes.Proxied():
                return ProxiedCalls(
                    cluster=self.cluster, route=route, credentials=keys, now=self.now
                )


def _told_keys(route: routes.Route, told: routes.Told | None, region: str) -> Credentials | None:
    """Return the Secret's keys, for the server that it tells of and no other."""
    if told is None or not told.access_key or route not in routes.routes("", told):
        return None
    return Credentials(
        access_key=told.access_key,
        secret_key=told.secret_key,
        region=region,
        token=told.session_token,
    )


def _streams(calls: Calls, job: Job, wanted: Wanted, where: str, lag: float) -> LogStreams:
    return LogStreams(calls=calls, subject=job.subject, wanted=wanted, where=where, lag=lag)


def _amazon() -> Any:  # noqa: ANN401 - a module
    # Measured: botocore takes longer to import than all else together, and is rarely needed.
    return import_module("trainshed.operator.smlogs.amazon")
