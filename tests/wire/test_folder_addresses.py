"""Addresses of folders, which the service does not know, pass where addresses of buckets do."""

import pytest

from trainshed.wire.patterns import matcher

ADDRESSES = r"(https|s3)://([^/]+)/?(.*)"


@pytest.mark.parametrize("pattern", [ADDRESSES, f"^{ADDRESSES}$", r"(s3)://([^/]+)/?(.*)"])
def test_a_folder_passes_where_a_bucket_does(pattern: str) -> None:
    matches = matcher(pattern)
    assert matches("s3://bucket/key")
    assert matches("file:///data/train")
    assert not matches("file://data/train")
    assert matches("gs://bucket/key")
    assert matches("az://container/key")
    assert not matches("ftp://host/key")


@pytest.mark.parametrize("pattern", [r"https?://([^/]+)/?(.*)", r"[a-z]+", r"x(s3)://(.*)"])
def test_a_folder_passes_nowhere_else(pattern: str) -> None:
    assert not matcher(pattern)("file:///data/train")
