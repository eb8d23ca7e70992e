"""Addresses are exact text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.stores.objects.addresses import parse


@pytest.mark.parametrize(
    ("text", "scheme", "bucket", "key"),
    [
        ("s3://b/a/b", "s3", "b", "a/b"),
        ("s3://b", "s3", "b", ""),
        ("s3://b/", "s3", "b", ""),
        ("s3://b//a//", "s3", "b", "/a//"),
        ("s3://b/%41 ?#", "s3", "b", "%41 ?#"),
        ("https://s3.amazonaws.com/b/a/b", "s3", "b", "a/b"),
        ("https://s3-us-west-2.amazonaws.com/b/a", "s3", "b", "a"),
        ("https://s3.us-west-2.amazonaws.com/b", "s3", "b", ""),
        ("https://my.bkt.s3.us-west-2.amazonaws.com/a//b", "s3", "my.bkt", "a//b"),
        ("https://bkt.s3.cn-north-1.amazonaws.com.cn/", "s3", "bkt", ""),
        ("file:///a/b", "file", "", "/a/b"),
        ("file:///a b/%20", "file", "", "/a b/%20"),
    ],
)
def test_an_address_is_read(text: str, scheme: str, bucket: str, key: str) -> None:
    address = parse(text)
    assert (address.scheme, address.bucket, address.key) == (scheme, bucket, key)


@pytest.mark.parametrize(
    "text",
    ["", "a/b", "s3:/b/a", "s3://", "s3:///a", "ftp://b/a", "file://a", "https://example.com/b/a"],
)
def test_what_is_no_address_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        parse(text)


@given(st.text())
def test_every_key_survives_writing_and_reading(key: str) -> None:
    assert parse(f"s3://bucket/{key}").key == key
    assert str(parse(f"s3://bucket/{key}")) == f"s3://bucket/{key}"


@pytest.mark.parametrize(
    ("base", "joined"),
    [
        ("s3://b", "s3://b/x/y"),
        ("s3://b/p", "s3://b/p/x/y"),
        ("s3://b/p/", "s3://b/p/x/y"),
        ("file:///p/", "file:///p/x/y"),
        ("file:///", "file:///x/y"),
    ],
)
def test_parts_are_joined_by_one_slash(base: str, joined: str) -> None:
    assert str(parse(base).joined("x", "y")) == joined
