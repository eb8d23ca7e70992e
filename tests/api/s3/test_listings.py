"""Operations that list keys."""

from typing import Any

import pytest
from tests.api.s3.calls import Caller

KEYS = ["a", "a/1", "a/2", "b/x/1", "b/y", "c d+e", "ü/1", "Z"]


@pytest.fixture
async def filled(s3: Caller) -> Caller:
    for key in KEYS:
        await s3("PutObject", Bucket="bkt", Key=key, Body=b"x")
    return s3


def named(page: dict[str, Any]) -> list[str]:
    return [o["Key"] for o in page["Contents"]] + [p["Prefix"] for p in page["CommonPrefixes"]]


async def test_keys_come_in_the_order_of_their_bytes(filled: Caller) -> None:
    page = await filled("ListObjectsV2", Bucket="bkt")
    assert named(page) == ["Z", "a", "a/1", "a/2", "b/x/1", "b/y", "c d+e", "ü/1"]
    assert (page["KeyCount"], page["IsTruncated"], page["MaxKeys"]) == (8, False, 1000)
    assert page["Contents"][0].keys() == {"Key", "LastModified", "ETag", "Size", "StorageClass"}
    assert (page["Name"], page["Prefix"]) == ("bkt", "")
    owned = await filled("ListObjectsV2", Bucket="bkt", FetchOwner=True)
    assert all("Owner" in listed for listed in owned["Contents"])


async def test_a_delimiter_gathers_what_lies_below(filled: Caller) -> None:
    top = await filled("ListObjectsV2", Bucket="bkt", Delimiter="/")
    assert named(top) == ["Z", "a", "c d+e", "a/", "b/", "ü/"]
    assert top["KeyCount"] == 6
    below = await filled("ListObjectsV2", Bucket="bkt", Delimiter="/", Prefix="b/")
    assert named(below) == ["b/y", "b/x/"]
    assert (below["Delimiter"], below["Prefix"]) == ("/", "b/")


@pytest.mark.parametrize("delimiter", ["", "/"])
@pytest.mark.parametrize("size", [1, 2, 3])
async def test_pages_follow_each_other_without_gap(
    filled: Caller, delimiter: str, size: int
) -> None:
    whole = named(await filled("ListObjectsV2", Bucket="bkt", Delimiter=delimiter))
    for operation, asked, told in (
        ("ListObjectsV2", "ContinuationToken", "NextContinuationToken"),
        ("ListObjects", "Marker", "NextMarker"),
    ):
        found: list[str] = []
        more: dict[str, Any] = {}
        while True:
            page = await filled(operation, Bucket="bkt", Delimiter=delimiter, MaxKeys=size, **more)
            found += named(page)
            assert page["IsTruncated"] is (told in page)
            if told not in page:
                break
            assert len(named(page)) == size
            more = {asked: page[told]}
        assert sorted(found) == sorted(whole)


async def test_a_listing_starts_after_a_key_until_a_token_says_otherwise(filled: Caller) -> None:
    page = await filled("ListObjectsV2", Bucket="bkt", StartAfter="b", MaxKeys=1)
    assert named(page) == ["b/x/1"]
    assert page["StartAfter"] == "b"
    token = page["NextContinuationToken"]
    page = await filled("ListObjectsV2", Bucket="bkt", StartAfter="b", ContinuationToken=token)
    assert named(page) == ["b/y", "c d+e", "ü/1"]
    assert page["ContinuationToken"] == token
    assert named(await filled("ListObjects", Bucket="bkt", Marker="b/y")) == ["c d+e", "ü/1"]


async def test_names_are_percent_encoded_on_request(filled: Caller) -> None:
    asked = {"Bucket": "bkt", "EncodingType": "url"}
    page = await filled("ListObjectsV2", **asked, StartAfter="c")
    assert named(page) == ["c%20d%2Be", "%C3%BC/1"]
    assert page["EncodingType"] == "url"
    page = await filled("ListObjects", **asked, Prefix="c d", Delimiter="+", MaxKeys=1)
    assert named(page) == ["c%20d%2B"]
    assert (page["Prefix"], page["Delimiter"]) == ("c%20d", "%2B")


async def test_page_sizes(filled: Caller) -> None:
    none = await filled("ListObjectsV2", Bucket="bkt", MaxKeys=0)
    assert (named(none), none["IsTruncated"]) == ([], False)
    assert (await filled("ListObjectsV2", Bucket="bkt", MaxKeys=5000))["MaxKeys"] == 1000
    assert await filled.refused("ListObjectsV2", Bucket="bkt", MaxKeys=-1) == (
        "InvalidArgument",
        400,
    )


@pytest.mark.parametrize("token", ["a", "%", "//79/g=="])
async def test_a_token_that_was_never_given_is_refused(filled: Caller, token: str) -> None:
    refused = await filled.refused("ListObjectsV2", Bucket="bkt", ContinuationToken=token)
    assert refused == ("InvalidArgument", 400)


async def test_an_unknown_encoding_is_refused(filled: Caller) -> None:
    refused = await filled.refused("ListObjects", Bucket="bkt", EncodingType="xml")
    assert refused == ("InvalidArgument", 400)
