"""Addresses of other stores, written to by somebody who asks the server's own."""

import pytest
from tests.api.s3.calls import Caller

from trainshed.domain.errors import RequestRejected
from trainshed.stores.objects.remote.access import Access

FAR = Access(prefix="s3://far/", endpoint="https://minio.example.com", secret_key="hidden")
PART = Access(prefix="s3://bkt/theirs/")


@pytest.fixture
def fenced(s3: Caller) -> Caller:
    """Ask a server whose settings name a store for a bucket, and one for a part of ``bkt``."""
    return Caller(s3.store, FAR, PART)


async def test_a_bucket_of_another_store_is_not_made_and_the_entry_is_named(fenced: Caller) -> None:
    with pytest.raises(RequestRejected) as refusal:
        await fenced("CreateBucket", Bucket="far")
    assert (refusal.value.code, refusal.value.status) == ("BucketAlreadyExists", 409)
    assert refusal.value.message.startswith(
        "s3://far/ lies in the store at https://minio.example.com that [[stores]] with "
        'prefix = "s3://far/" names'
    )
    assert "hidden" not in refusal.value.message
    await fenced("CreateBucket", Bucket="farther")


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("PutObject", {"Body": b"x"}),
        ("CopyObject", {"CopySource": "bkt/mine"}),
        ("CreateMultipartUpload", {}),
    ],
)
async def test_nothing_is_written_where_jobs_read_another_store(
    fenced: Caller, operation: str, more: dict[str, object]
) -> None:
    await fenced("PutObject", Bucket="bkt", Key="mine", Body=b"x")
    refused = await fenced.refused(operation, Bucket="bkt", Key="theirs/x", **more)
    assert refused == ("InvalidRequest", 400)
    listed = await fenced("ListObjectsV2", Bucket="bkt")
    assert [each["Key"] for each in listed["Contents"]] == ["mine"]


async def test_what_was_written_before_can_be_read_and_removed(s3: Caller, fenced: Caller) -> None:
    await s3("PutObject", Bucket="bkt", Key="theirs/old", Body=b"x")
    assert await fenced.content(Bucket="bkt", Key="theirs/old") == b"x"
    await fenced("CopyObject", Bucket="bkt", Key="saved", CopySource="bkt/theirs/old")
    await fenced("DeleteObject", Bucket="bkt", Key="theirs/old")
    assert await fenced.content(Bucket="bkt", Key="saved") == b"x"
