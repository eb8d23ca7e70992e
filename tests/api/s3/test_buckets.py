"""Operations on buckets."""

import pytest
from tests.api.s3.calls import Caller

from trainshed.api.s3.buckets import is_bucket_name


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("abc", True),
        ("a" * 63, True),
        ("my.bucket-1", True),
        ("1-2", True),
        ("sagemaker-eu-west-1-000000000000", True),
        ("ab", False),
        ("a" * 64, False),
        ("Abc", False),
        ("a_b", False),
        ("-abc", False),
        ("abc-", False),
        (".abc", False),
        ("a..b", False),
        ("192.168.5.4", False),
        ("xn--abc", False),
        ("sthree-abc", False),
        ("abc-s3alias", False),
        ("abc--ol-s3", False),
        ("äbc", False),
        ("a\nb", False),
        ("abc\n", False),
        ("../abc", False),
    ],
)
def test_bucket_names_follow_the_published_rules(name: str, fits: bool) -> None:
    assert is_bucket_name(name) is fits


async def test_a_name_against_the_rules_is_refused(s3: Caller) -> None:
    assert await s3.refused("CreateBucket", Bucket="A") == ("InvalidBucketName", 400)


async def test_buckets_are_listed_by_name_prefix_and_page(s3: Caller) -> None:
    for name in ("bkt-b", "bkt-a", "other"):
        await s3("CreateBucket", Bucket=name)
    found = await s3("ListBuckets", Prefix="bkt", MaxBuckets=2)
    assert [bucket["Name"] for bucket in found["Buckets"]] == ["bkt", "bkt-a"]
    rest = await s3("ListBuckets", Prefix="bkt", ContinuationToken=found["ContinuationToken"])
    assert [bucket["Name"] for bucket in rest["Buckets"]] == ["bkt-b"]
    assert "ContinuationToken" not in rest
    assert len((await s3("ListBuckets"))["Buckets"]) == 4


async def test_any_location_is_taken_and_told(s3: Caller) -> None:
    place = {"LocationConstraint": "eu-west-1"}
    await s3("CreateBucket", Bucket="far", CreateBucketConfiguration=place)
    await s3("CreateBucket", Bucket="here", region="ap-south-1")
    assert await s3("GetBucketLocation", Bucket="far") == place
    assert (await s3("HeadBucket", Bucket="far"))["BucketRegion"] == "eu-west-1"
    assert await s3("GetBucketLocation", Bucket="here") == {"LocationConstraint": "ap-south-1"}
    assert await s3("GetBucketLocation", Bucket="bkt") == {}
    listed = (await s3("ListBuckets", BucketRegion="eu-west-1"))["Buckets"]
    assert [bucket["Name"] for bucket in listed] == ["far"]


async def test_making_a_bucket_twice_is_answered_as_in_its_region(s3: Caller) -> None:
    await s3("PutObject", Bucket="bkt", Key="k", Body=b"x")
    assert await s3("CreateBucket", Bucket="bkt") == {"Location": "/bkt"}
    assert await s3.content(Bucket="bkt", Key="k") == b"x"
    twice = await s3.refused("CreateBucket", Bucket="bkt", region="eu-west-1")
    assert twice == ("BucketAlreadyOwnedByYou", 409)


async def test_only_an_empty_bucket_is_removed(s3: Caller) -> None:
    await s3("PutObject", Bucket="bkt", Key="k", Body=b"x")
    assert await s3.refused("DeleteBucket", Bucket="bkt") == ("BucketNotEmpty", 409)
    await s3("DeleteObject", Bucket="bkt", Key="k")
    await s3("DeleteBucket", Bucket="bkt")
    assert await s3.refused("HeadBucket", Bucket="bkt") == ("NoSuchBucket", 404)


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("HeadBucket", {}),
        ("DeleteBucket", {}),
        ("GetBucketLocation", {}),
        ("GetBucketVersioning", {}),
        ("ListObjects", {}),
        ("ListObjectsV2", {}),
        ("ListMultipartUploads", {}),
        ("GetObject", {"Key": "k"}),
        ("HeadObject", {"Key": "k"}),
        ("PutObject", {"Key": "k", "Body": b"x"}),
        ("DeleteObject", {"Key": "k"}),
        ("DeleteObjects", {"Delete": {"Objects": [{"Key": "k"}]}}),
        ("CopyObject", {"Key": "k", "CopySource": "missing/k"}),
        ("GetObjectTagging", {"Key": "k"}),
        ("CreateMultipartUpload", {"Key": "k"}),
        ("UploadPart", {"Key": "k", "UploadId": "u", "PartNumber": 1, "Body": b"x"}),
        ("ListParts", {"Key": "k", "UploadId": "u"}),
        ("AbortMultipartUpload", {"Key": "k", "UploadId": "u"}),
    ],
)
async def test_a_missing_bucket_is_told_by_every_operation(
    s3: Caller, operation: str, params: dict[str, object]
) -> None:
    assert await s3.refused(operation, Bucket="missing", **params) == ("NoSuchBucket", 404)
