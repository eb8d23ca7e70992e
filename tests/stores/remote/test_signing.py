"""Signatures, compared with those of Amazon's own client."""

import datetime

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from trainshed.stores.objects.remote import signing
from trainshed.stores.objects.remote.access import Access

HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("token", ["", "of/the+session=="])
def test_a_request_is_signed_as_amazons_client_signs_it(token: str) -> None:
    access = Access.of(
        {"access_key": "AK", "secret_key": "secret", "region": "eu-central-1", "token": token}
    )
    path, query = signing.path_of("b", "a b/ü+%?.csv"), signing.query_of({"list-type": "2"})
    headers = {"host": "example.com", "range": "bytes=0-1"}
    sent = signing.signed(
        access, ("GET", path, query), headers, HASH, datetime.datetime.now(datetime.UTC)
    )
    theirs = AWSRequest("GET", f"https://example.com{path}?{query}", headers)
    theirs.headers["x-amz-content-sha256"] = HASH
    theirs.context["timestamp"] = sent["x-amz-date"]
    theirs.headers["x-amz-date"] = sent["x-amz-date"]
    signer = S3SigV4Auth(Credentials("AK", "secret", token or None), "s3", "eu-central-1")
    if token:
        theirs.headers["x-amz-security-token"] = token
    canonical = signer.canonical_request(theirs)
    signature = signer.signature(signer.string_to_sign(theirs, canonical), theirs)
    assert sent["authorization"].endswith(f"Signature={signature}")
    assert sent.get("x-amz-security-token", "") == token
