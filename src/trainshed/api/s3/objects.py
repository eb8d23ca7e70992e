"""Operations that read and write objects as a whole."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, Final

from trainshed.api.s3 import attributes as kept
from trainshed.api.s3 import checksums
from trainshed.api.s3.conditions import Verdict, bare_etag, judge, span, write_condition
from trainshed.api.s3.refusals import malformed_xml, precondition_failed, refusal
from trainshed.domain.errors import RequestRejected, StoreError
from trainshed.stores.objects import events
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.info import Attributes, Condition, Staged
from trainshed.wire.message import Body, Call, File, Reply

_MOST_DELETES: Final = 1000


class ObjectOperations:
    """PutObject, GetObject, HeadObject, DeleteObject(s) and objects' tags."""

    def __init__(self, store: EmbeddedObjects) -> None:
        self._store = store

    async def put_object(self, call: Call) -> dict[str, Any]:
        """Write an object; it is on disk when this is answered."""
        asked = call.params
        kept.check_request(asked)
        described = kept.attributes_of(asked)
        body: Body | bytes | None = asked.get("Body")

        def attributes(staged: Staged) -> Attributes:
            given = checksums.verified(staged, asked, body)
            return with_checksums(described, given or checksums.computed(staged))

        info = await self._store.put(
            asked["Bucket"],
            asked["Key"],
            payload(body),
            attributes=attributes,
            condition=write_condition(asked),
            event=events.POST if call.method == "POST" else events.PUT,
            algorithms=checksums.wanted(body),
            length=announced_length(body),
        )
        return {
            "ETag": kept.quoted(info.etag),
            **kept.encryption(info.attributes),
            **checksums.members_of(info.attributes.checksums, info.attributes.checksum_type),
        }

    async def get_object(self, call: Call) -> Reply:
        """Answer with an object's bytes, or the asked part of them."""
        reply, file = await self._read(call)
        if file is not None:
            reply.result["Body"] = file
        return reply

    async def head_object(self, call: Call) -> Reply:
        """Answer as GetObject would, without the bytes."""
        reply, _ = await self._read(call)
        return reply

    async def delete_object(self, call: Call) -> dict[str, Any]:
        """Remove an object; what is not there is removed already."""
        kept.check_request(call.params)
        match = call.params.get("IfMatch")
        condition = Condition(etag=None if match is None else bare_etag(match))
        await self._store.delete(call.params["Bucket"], call.params["Key"], condition=condition)
        return {}

    async def delete_objects(self, call: Call) -> dict[str, Any]:
        """Remove up to 1,000 objects; those with a demand that fails are told one by one."""
        bucket: str = call.params["Bucket"]
        wanted: list[dict[str, Any]] = call.params["Delete"].get("Objects") or []
        if not 1 <= len(wanted) <= _MOST_DELETES:
            raise malformed_xml()
        plain = [one["Key"] for one in wanted if not _demands(one)]
        await self._store.delete_all(bucket, plain)
        deleted, errors = [{"Key": key} for key in plain], []
        for one in filter(_demands, wanted):
            try:
                await self._delete_as_demanded(bucket, one)
            except RequestRejected as said:
                errors.append({"Key": one["Key"], "Code": said.code, "Message": said.message})
            else:
                deleted.append({"Key": one["Key"]})
        quiet = call.params["Delete"].get("Quiet")
        result: dict[str, Any] = {} if quiet else {"Deleted": deleted}
        return {**result, "Errors": errors} if errors else result

    async def _delete_as_demanded(self, bucket: str, one: Mapping[str, Any]) -> None:
        """Remove an object if it is as one entry of DeleteObjects demands.

        Raises:
            RequestRejected: it is not.
        """
        kept.check_request(one)
        etag = one.get("ETag")
        condition = Condition(etag=None if etag is None else bare_etag(etag))
        try:
            await self._store.delete(bucket, one["Key"], condition=condition)
        except StoreError as error:
            if (said := refusal(error)) is None:
                raise
            raise said from error

    async def get_object_tagging(self, call: Call) -> dict[str, Any]:
        """Tell an object's tags."""
        kept.check_request(call.params)
        info = await self._store.info(call.params["Bucket"], call.params["Key"])
        tags = info.attributes.tags
        return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}

    async def put_object_tagging(self, call: Call) -> dict[str, Any]:
        """Replace an object's tags."""
        kept.check_request(call.params)
        asked: list[dict[str, str]] = call.params["Tagging"]["TagSet"]
        tags = kept.tags_of([(tag["Key"], tag["Value"]) for tag in asked])
        await self._store.set_tags(call.params["Bucket"], call.params["Key"], tags)
        return {}

    async def delete_object_tagging(self, call: Call) -> dict[str, Any]:
        """Remove an object's tags."""
        kept.check_request(call.params)
        await self._store.set_tags(call.params["Bucket"], call.params["Key"], {})
        return {}

    async def _read(self, call: Call) -> tuple[Reply, File | None]:
        """Return everything about an object, and the bytes to send; None when there are none."""
        asked = call.params
        kept.check_request(asked)
        info, path = await self._store.open(asked["Bucket"], asked["Key"])
        verdict = judge(info, asked)
        if verdict is Verdict.FAILED:
            raise precondition_failed()
        if verdict is Verdict.NOT_MODIFIED:
            result = {"ETag": kept.quoted(info.etag), "LastModified": info.modified}
            return Reply(result=result, status=304), None
        stretch = span(info, asked.get("Range"), asked.get("PartNumber"))
        result = kept.members(info, asked, whole=stretch is None)
        if stretch is None:
            result["ContentLength"] = info.size
            return Reply(result=result), File(path, 0, info.size)
        result["ContentLength"] = stretch.length
        result["ContentRange"] = stretch.content_range
        return Reply(result=result, status=206), File(path, stretch.offset, stretch.length)


def _demands(one: Mapping[str, Any]) -> bool:
    """Tell whether an entry of DeleteObjects is about a certain version of its object."""
    return one.get("ETag") is not None or one.get("VersionId") not in (None, "", "null")


async def payload(body: Body | bytes | None) -> AsyncIterator[bytes]:
    """Return a request's payload in pieces; a request may come without one."""
    if isinstance(body, bytes):
        yield body
    elif body is not None:
        async for chunk in body:
            yield chunk


def announced_length(body: Body | bytes | None) -> int | None:
    """Return how many bytes a request's payload has; None when the client did not say."""
    return len(body or b"") if body is None or isinstance(body, bytes) else body.length


def with_checksums(described: Attributes, found: dict[str, str]) -> Attributes:
    """Return attributes with the checksums of the whole object."""
    return replace(described, checksums=found, checksum_type=checksums.FULL_OBJECT)
