"""AddTags, ListTags and DeleteTags on training jobs."""

from typing import Any, Final

from trainshed.api.operations import Table
from trainshed.api.sagemaker.answers import tag_list
from trainshed.api.sagemaker.checks import check_tags
from trainshed.api.sagemaker.lookup import Jobs
from trainshed.api.sagemaker.paging import start_of
from trainshed.api.sagemaker.rejections import invalid
from trainshed.domain import names
from trainshed.domain.errors import NotFound
from trainshed.stores.records.base import TagRecords
from trainshed.wire.message import Call

MAX_TAGS: Final = 50
"""On one resource (API reference, "AddTags")."""


class ResourceTags:
    """Tags what has an ARN; so far, training jobs."""

    def __init__(self, *, records: Jobs, tags: TagRecords) -> None:
        """Keep tags in ``tags``, for things that are in ``records``."""
        self._records = records
        self._tags = tags

    def operations(self) -> Table:
        """Return the operations this subject offers."""
        return {
            ("sagemaker", "AddTags"): self.add_tags,
            ("sagemaker", "ListTags"): self.list_tags,
            ("sagemaker", "DeleteTags"): self.delete_tags,
        }

    async def add_tags(self, call: Call) -> dict[str, Any]:
        """Add tags or overwrite their values; return all the resource has then."""
        arn = await self._known(call)
        tags = check_tags(call.params["Tags"])
        if not await self._tags.set_tags(arn, tags, MAX_TAGS):
            raise invalid(
                f"{arn} would have more than {MAX_TAGS} tags; delete some of its tags first."
            )
        return {"Tags": tag_list(await self._tags.tags(arn))}

    async def list_tags(self, call: Call) -> dict[str, Any]:
        """Return all tags, ordered by key; among them the digest of the image that a job ran.

        A resource has at most 50 tags and a page at least 50, so the first page is the last.
        """
        arn = await self._known(call)
        start_of(call)  # refuses tokens that are not ours; we never give one
        job = await self._records.get(arn)
        known = {names.IMAGE_TAG: job.image_digest} if job and job.image_digest else {}
        found = {**await self._tags.tags(arn), **known}
        return {"Tags": tag_list(dict(sorted(found.items())))}

    async def delete_tags(self, call: Call) -> dict[str, Any]:
        """Remove tags; keys that are not there are no error."""
        arn = await self._known(call)
        await self._tags.remove_tags(arn, call.params["TagKeys"])
        return {}

    async def _known(self, call: Call) -> str:
        """Return the call's ARN once it is known to be a training job's."""
        arn: str = call.params["ResourceArn"]
        kind_and_name = names.split_arn(arn)
        if kind_and_name is None or kind_and_name[0] != "training-job":
            raise NotFound
        if await self._records.get(arn) is None:
            raise NotFound
        return arn
