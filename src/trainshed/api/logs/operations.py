"""The operations on log groups, streams and events.

Times are milliseconds since the epoch, as this service has them. Groups are the same in every
region: one server has one set of logs.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from trainshed.api.logs.pages import stream_page
from trainshed.api.logs.rejections import existing, invalid, missing
from trainshed.api.logs.search import Search, search_page
from trainshed.api.logs.tokens import number, parts_of, token
from trainshed.api.operations import Table
from trainshed.domain.names import partition_of
from trainshed.stores.logs.segments import CopiedStream, Logs, Stream
from trainshed.wire.message import Call

_PAGE: Final = 50
_MOST_AHEAD: Final = 2 * 60 * 60 * 1000
"""Milliseconds by which an event may be ahead of the clock (API reference, "PutLogEvents")."""
_FOLDER_PAGE: Final = 1000
"""Streams of one job or endpoint that are told without a token; more nodes than any job has."""


class LogOperations:
    """CloudWatch Logs over one server's logs."""

    def __init__(self, logs: Logs, *, account: str, clock: Callable[[], datetime]) -> None:
        """Answer from ``logs``; ARNs are of ``account``, 12 digits."""
        self._logs = logs
        self._account = account
        self._clock = clock

    def operations(self) -> Table:
        """Return the operations this subject offers."""
        return {
            ("logs", "CreateLogGroup"): self.create_log_group,
            ("logs", "CreateLogStream"): self.create_log_stream,
            ("logs", "DeleteLogGroup"): self.delete_log_group,
            ("logs", "DeleteLogStream"): self.delete_log_stream,
            ("logs", "DescribeLogGroups"): self.describe_log_groups,
            ("logs", "DescribeLogStreams"): self.describe_log_streams,
            ("logs", "PutLogEvents"): self.put_log_events,
            ("logs", "GetLogEvents"): self.get_log_events,
            ("logs", "FilterLogEvents"): self.filter_log_events,
        }

    async def create_log_group(self, call: Call) -> dict[str, Any]:
        """Make an empty group."""
        if not await self._logs.create_group(call.params["logGroupName"], self._now()):
            raise existing("log group")
        return {}

    async def create_log_stream(self, call: Call) -> dict[str, Any]:
        """Make an empty stream in a group."""
        group = await self._group(call)
        name = call.params["logStreamName"]
        if not await self._logs.create_stream(group, name, self._now()):
            raise existing("log stream")
        return {}

    async def delete_log_group(self, call: Call) -> dict[str, Any]:
        """Delete a group and its streams."""
        if not await self._logs.delete_group(call.params["logGroupName"]):
            raise missing("log group")
        return {}

    async def delete_log_stream(self, call: Call) -> dict[str, Any]:
        """Delete a stream; what a node writes into it later makes it anew."""
        group = await self._group(call)
        if not await self._logs.delete_stream(group, call.params["logStreamName"]):
            raise missing("log stream")
        return {}

    async def describe_log_groups(self, call: Call) -> dict[str, Any]:
        """Return one page of the groups, by name."""
        params = call.params
        prefix, part = params.get("logGroupNamePrefix", ""), params.get("logGroupNamePattern", "")
        if prefix and part:
            raise invalid("logGroupNamePrefix and logGroupNamePattern cannot both be given.")
        wanted = {_group_of(each) for each in params.get("logGroupIdentifiers", ())}
        behind = parts_of(params["nextToken"], "g", 1)[0] if "nextToken" in params else ""
        found = [
            group
            for group in await self._logs.groups()
            if group.name > behind
            and group.name.startswith(prefix)
            and part in group.name
            and (not wanted or group.name in wanted)
        ]
        limit = params.get("limit", _PAGE)
        answer: dict[str, Any] = {
            "logGroups": [
                {
                    "logGroupName": group.name,
                    "creationTime": group.created,
                    "metricFilterCount": 0,
                    "arn": f"{self._arn(call, group.name)}:*",
                    "logGroupArn": self._arn(call, group.name),
                    "logGroupClass": "STANDARD",
                }
                for group in found[:limit]
            ]
        }
        if len(found) > limit:
            answer["nextToken"] = token("g", found[limit - 1].name)
        return answer

    async def describe_log_streams(self, call: Call) -> dict[str, Any]:
        """Return one page of a group's streams.

        A prefix that ends in ``/`` asks for the streams of one job. They come all at once,
        whatever the limit (up to 1,000), without a token: the SageMaker SDK calls again for as
        long as it sees one, and never sends it.
        """
        params = call.params
        group, prefix = _group_name(params), params.get("logStreamNamePrefix", "")
        by_time = params.get("orderBy") == "LastEventTime"
        if by_time and prefix:
            raise invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
        names = await self._logs.stream_names(group, prefix)
        if names is None:
            raise missing("log group")
        limit = _FOLDER_PAGE if prefix.endswith("/") else params.get("limit", _PAGE)
        if by_time:
            streams, behind = _page_by_time(await self._logs.streams(group, names), params, limit)
        else:
            names, behind = _page_by_name(names, params, limit)
            streams = await self._logs.streams(group, names)
        arn = self._arn(call, group)
        answer: dict[str, Any] = {"logStreams": [_described(stream, arn) for stream in streams]}
        if behind is not None:
            answer["nextToken"] = behind
        return answer

    async def put_log_events(self, call: Call) -> dict[str, Any]:
        """Add events to a stream; sequence tokens mean nothing, as in the service today.

        Events from the future are not kept, and their number is told, as the service does it.
        Those of long ago are kept, which the service would not.
        """
        group, name = await self._group(call), call.params["logStreamName"]
        events = [(event["timestamp"], event["message"]) for event in call.params["logEvents"]]
        latest = self._now() + _MOST_AHEAD
        try:
            if not await self._logs.put(group, name, [e for e in events if e[0] <= latest]):
                raise missing("log stream")
        except CopiedStream as error:
            raise invalid(f"{error}; put your events into a stream of their own") from error
        answer: dict[str, Any] = {"nextSequenceToken": call.request_id}
        too_new = next((n for n, (ms, _) in enumerate(events) if ms > latest), None)
        if too_new is not None:
            answer["rejectedLogEventsInfo"] = {"tooNewLogEventStartIndex": too_new}
        return answer

    async def get_log_events(self, call: Call) -> dict[str, Any]:
        """Return one page of a stream, in the order the lines were written."""
        group = await self._group(call)
        reader = await self._logs.reader(group, call.params["logStreamName"])
        if reader is None:
            raise missing("log stream")
        return await asyncio.to_thread(stream_page, reader, call.params)

    async def filter_log_events(self, call: Call) -> dict[str, Any]:
        """Return one page of a group's events that match, by time."""
        params = call.params
        if "logStreamNames" in params and "logStreamNamePrefix" in params:
            raise invalid("logStreamNames and logStreamNamePrefix cannot both be given.")
        search = Search.of(params)
        group = _group_name(params)
        names = await self._logs.stream_names(group, params.get("logStreamNamePrefix", ""))
        if names is None:
            raise missing("log group")
        if "logStreamNames" in params:
            asked = dict.fromkeys(params["logStreamNames"])
            if asked.keys() - set(names):
                raise missing("log stream")
            names = list(asked)
        readers = await self._logs.readers(group, names)
        return await asyncio.to_thread(search_page, readers, search)

    async def _group(self, call: Call) -> str:
        group = _group_name(call.params)
        if not await self._logs.has_group(group):
            raise missing("log group")
        return group

    def _now(self) -> int:
        return int(self._clock().timestamp() * 1000)

    def _arn(self, call: Call, group: str) -> str:
        partition = partition_of(call.region)
        return f"arn:{partition}:logs:{call.region}:{self._account}:log-group:{group}"


def _group_name(params: dict[str, Any]) -> str:
    """Return the name of the group that is meant, however it was given."""
    if ("logGroupName" in params) == ("logGroupIdentifier" in params):
        raise invalid("Exactly one of logGroupName and logGroupIdentifier must be given.")
    if "logGroupName" in params:
        return str(params["logGroupName"])
    return _group_of(params["logGroupIdentifier"])


def _group_of(identifier: str) -> str:
    """Return the group's name from its name or its ARN."""
    before, _, name = identifier.partition(":log-group:")
    return name if before.startswith("arn:") else identifier


def _page_by_name(
    names: list[str], params: dict[str, Any], limit: int
) -> tuple[list[str], str | None]:
    """Return the page's names and the token of the next."""
    descending = params.get("descending", False)
    if "nextToken" in params:
        behind = parts_of(params["nextToken"], "n", 1)[0]
        names = [name for name in names if (name < behind if descending else name > behind)]
    if descending:
        names = names[::-1]
    return names[:limit], token("n", names[limit - 1]) if len(names) > limit else None


def _page_by_time(
    streams: list[Stream], params: dict[str, Any], limit: int
) -> tuple[list[Stream], str | None]:
    """Return the page's streams and the token of the next; streams without events are oldest."""
    descending = params.get("descending", False)
    keyed = {(stream.last or 0, stream.name): stream for stream in streams}
    keys = sorted(keyed, reverse=descending)
    if "nextToken" in params:
        last, name = parts_of(params["nextToken"], "t", 2)
        behind = (number(last), name)
        keys = [key for key in keys if (key < behind if descending else key > behind)]
    page = [keyed[key] for key in keys[:limit]]
    return page, token("t", *keys[limit - 1]) if len(keys) > limit else None


def _described(stream: Stream, group_arn: str) -> dict[str, Any]:
    found = {
        "logStreamName": stream.name,
        "creationTime": stream.created,
        "firstEventTimestamp": stream.first,
        "lastEventTimestamp": stream.last,
        "lastIngestionTime": stream.last,
        "arn": f"{group_arn}:log-stream:{stream.name}",
        "storedBytes": 0,  # the service's own answer for every stream since 2019
    }
    return {member: value for member, value in found.items() if value is not None}
