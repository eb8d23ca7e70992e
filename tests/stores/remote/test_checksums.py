import pytest

from trainshed.stores.objects.remote.checksums import told


@pytest.mark.parametrize(
    ("headers", "etag", "algorithm"),
    [
        ({}, "0" * 32, "MD5"),
        ({}, "0" * 32 + "-2", ""),
        ({"x-amz-server-side-encryption": "aws:kms"}, "0" * 32, ""),
        ({"x-amz-server-side-encryption": "AES256"}, "0" * 32, "MD5"),
        ({"x-amz-checksum-crc32": "AAAAAA==-2", "x-amz-checksum-type": "COMPOSITE"}, "", ""),
        ({"x-amz-checksum-sha256": "A" * 43 + "="}, "", "SHA256"),
        ({"x-amz-checksum-xxhash64": "AAAA"}, "", ""),
    ],
)
def test_what_a_store_says_of_an_object_is_believed_where_it_can_be_compared(
    headers: dict[str, str], etag: str, algorithm: str
) -> None:
    assert told(headers, etag)[0] == algorithm
