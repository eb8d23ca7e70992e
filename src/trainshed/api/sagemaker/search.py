"""Search over training jobs, by any of their properties.

Every job of the region is looked at: what can be asked is too free for an index, and a job is
judged in microseconds. Only names and sort values are held; the page itself is read again.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from trainshed.api.operations import Table
from trainshed.api.sagemaker import answers
from trainshed.api.sagemaker.comparisons import number_in
from trainshed.api.sagemaker.expression import Expression, parse
from trainshed.api.sagemaker.paging import Position, next_token, page_size, start_of
from trainshed.api.sagemaker.properties import Kind, kind_of, values
from trainshed.api.sagemaker.rejections import invalid, not_offered
from trainshed.domain.errors import RequestRejected
from trainshed.domain.training import TrainingJob
from trainshed.stores.records.base import JobQuery, MetricValue
from trainshed.wire.message import Call

_GULP: Final = 256
"""Jobs read at a time; others are served in between."""
_METRICS: Final = ("Metrics", "FinalMetricDataList")


SortKey = str | float | list[Any] | None
"""What a job is sorted by, as JSON; None when it has no such property."""


class SearchableJobs(Protocol):
    """The slice of ``TrainingRecords`` that is searched."""

    async def get(self, arn: str) -> TrainingJob | None:
        """Return the job, or None."""
        ...

    async def find(self, query: JobQuery) -> list[TrainingJob]:
        """Return one page of jobs."""
        ...

    async def final_metrics(self, job_id: str) -> list[MetricValue]:
        """Return the last value of each metric, ordered by name."""
        ...


class ReadableTags(Protocol):
    """The slice of ``TagRecords`` that is searched."""

    async def tags(self, arn: str) -> dict[str, str]:
        """Return the tags of one resource, ordered by key."""
        ...


class _Hit(NamedTuple):
    """A job that matches, as far as its place in the order needs it."""

    key: SortKey
    name: str
    arn: str


class SearchTraining:
    """Finds training jobs."""

    def __init__(self, *, records: SearchableJobs, tags: ReadableTags) -> None:
        """Search ``records`` and the ``tags`` on them."""
        self._records = records
        self._tags = tags

    def operations(self) -> Table:
        """Return the operations this subject offers."""
        return {("sagemaker", "Search"): self.search}

    async def search(self, call: Call) -> dict[str, Any]:
        """Return one page of the jobs that match, last modified first unless asked otherwise."""
        params = call.params
        _check_offered(params)
        expression = parse(params.get("SearchExpression"))
        sort_by = params.get("SortBy") or "LastModifiedTime"
        kind = kind_of(sort_by)
        if kind is None or kind is Kind.WHOLE:
            raise invalid(f"{sort_by} is no property of a TrainingJob that can be sorted by.")
        start = start_of(call)
        if params.get("CrossAccountFilterOption") == "CrossAccount":
            return {"Results": []}  # no other account shares anything here
        descending = params.get("SortOrder") != "Ascending"
        hits = [hit async for hit in self._hits(call.region, expression, sort_by, kind)]
        rest = _after(_in_order(hits, descending), start, descending)
        page = rest[: page_size(params)]
        answer: dict[str, Any] = {"Results": [r for hit in page if (r := await self._result(hit))]}
        if len(page) < len(rest):
            answer["NextToken"] = next_token(call, (page[-1].key, page[-1].name))
        return answer

    async def _hits(
        self, region: str, expression: Expression, sort_by: str, kind: Kind
    ) -> AsyncIterator[_Hit]:
        roots = {name.partition(".")[0] for name in (*expression.names, sort_by)}
        needs_metrics, needs_tags = not roots.isdisjoint(_METRICS), "Tags" in roots
        async for job in self._all(region):
            metrics = await self._records.final_metrics(job.id) if needs_metrics else []
            tags = await self._tags.tags(job.arn) if needs_tags else {}
            record = answers.found(job, metrics, tags)
            if expression.matches(record):
                yield _Hit(_sort_key(kind, values(record, sort_by)), job.name, job.arn)

    async def _all(self, region: str) -> AsyncIterator[TrainingJob]:
        after: Position | None = None
        while True:
            jobs = await self._records.find(
                JobQuery(region=region, sort_by="Name", after=after, limit=_GULP)
            )
            for job in jobs:
                yield job
            if len(jobs) < _GULP:
                return
            after = (jobs[-1].name, jobs[-1].name)
            await asyncio.sleep(0)

    async def _result(self, hit: _Hit) -> dict[str, Any] | None:
        """Return a hit's record; None when it was deleted meanwhile."""
        job = await self._records.get(hit.arn)
        if job is None:
            return None
        metrics = await self._records.final_metrics(job.id)
        return {"TrainingJob": answers.found(job, metrics, await self._tags.tags(job.arn))}


def _check_offered(params: dict[str, Any]) -> None:
    if params["Resource"] != "TrainingJob":
        raise RequestRejected(
            "NotImplementedException",
            f"Trainshed does not offer Search for Resource {params['Resource']}; it offers "
            "TrainingJob. Nothing was done.",
            501,
        )
    if params.get("VisibilityConditions"):
        raise not_offered("VisibilityConditions", "leave it out.")


def _sort_key(kind: Kind, found: list[Any]) -> SortKey:
    if not found:
        return None
    value = found[0]
    if isinstance(value, datetime):
        return value.timestamp()
    if kind is Kind.FREE:
        number = number_in(value)
        return [1, value] if number is None else [0, number]  # numbers before words
    plain: str | float = value
    return plain


def _in_order(hits: list[_Hit], descending: bool) -> list[_Hit]:
    """Return hits sorted, equal ones by name; those without the property last, either way."""
    present = sorted((hit for hit in hits if hit.key is not None), reverse=descending)
    absent = sorted((hit for hit in hits if hit.key is None), key=_name, reverse=descending)
    return present + absent


def _after(hits: list[_Hit], start: Position | None, descending: bool) -> list[_Hit]:
    """Return what follows ``start`` among sorted hits."""
    if start is None:
        return hits
    key, name = start

    def follows(hit: _Hit) -> bool:
        if hit.key is None or key is None:
            if (hit.key is None) != (key is None):
                return hit.key is None
            return hit.name < name if descending else hit.name > name
        at, after = (hit.key, hit.name), (key, name)
        return at < after if descending else at > after

    return [hit for hit in hits if follows(hit)]


def _name(hit: _Hit) -> str:
    return hit.name
