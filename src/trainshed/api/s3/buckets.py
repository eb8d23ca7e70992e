"""Operations on buckets.

Every bucket is on this machine. The region a bucket was made for is remembered and told, because
clients ask for it; requests are answered whatever region they are signed for.
"""

import re
from typing import Any, Final

from trainshed.api.s3.refusals import invalid_argument
from trainshed.domain.errors import RequestRejected
from trainshed.stores.objects.embedded import EmbeddedObjects
from trainshed.stores.objects.info import Bucket, BucketExists
from trainshed.wire.message import Call

OWNER: Final = {"ID": "3f0e2c4b" * 8, "DisplayName": "trainshed"}
"""There is one account, and it owns everything. IDs have 64 hexadecimal digits."""
_DEFAULT_REGION: Final = "us-east-1"

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]", re.ASCII)
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+", re.ASCII)
_RESERVED_STARTS: Final = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_ENDS: Final = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def is_bucket_name(name: str) -> bool:
    """Tell whether a new bucket may be called so.

    Source: Amazon S3 User Guide, "General purpose bucket naming rules".
    """
    return (
        _NAME.fullmatch(name) is not None
        and ".." not in name
        and _ADDRESS.fullmatch(name) is None
        and not name.startswith(_RESERVED_STARTS)
        and not name.endswith(_RESERVED_ENDS)
    )


class BucketOperations:
    """ListBuckets, CreateBucket, HeadBucket, DeleteBucket and what clients ask about buckets."""

    def __init__(self, store: EmbeddedObjects) -> None:
        self._store = store

    async def list_buckets(self, call: Call) -> dict[str, Any]:
        """List all buckets, or those of a region or with a prefix, page by page."""
        asked = call.params
        prefix, after = asked.get("Prefix") or "", asked.get("ContinuationToken") or ""
        most: int = asked.get("MaxBuckets") or 10_000
        if most < 1:
            raise invalid_argument("Argument max-buckets must be an integer between 1 and 10000")
        found = [
            bucket
            for bucket in await self._store.buckets()
            if bucket.name.startswith(prefix)
            and bucket.name > after
            and asked.get("BucketRegion") in (None, bucket.region)
        ]
        result: dict[str, Any] = {
            "Owner": OWNER,
            "Buckets": [_described(bucket) for bucket in found[:most]],
        }
        if asked.get("Prefix") is not None:
            result["Prefix"] = prefix
        if len(found) > most:
            result["ContinuationToken"] = found[most - 1].name
        return result

    async def create_bucket(self, call: Call) -> dict[str, Any]:
        """Make a bucket for any region.

        A bucket that is there already is answered as S3 does it: 200 for a request signed for
        us-east-1, ``BucketAlreadyOwnedByYou`` (409) elsewhere. Programs are written against both.

        Raises:
            RequestRejected: ``InvalidBucketName`` or ``BucketAlreadyOwnedByYou``.
        """
        name: str = call.params["Bucket"]
        if not is_bucket_name(name):
            raise RequestRejected("InvalidBucketName", "The specified bucket is not valid.")
        configuration = call.params.get("CreateBucketConfiguration") or {}
        region = configuration.get("LocationConstraint") or call.region or _DEFAULT_REGION
        try:
            await self._store.create_bucket(name, region)
        except BucketExists:
            if call.region != _DEFAULT_REGION:
                raise
        return {"Location": f"/{name}"}

    async def head_bucket(self, call: Call) -> dict[str, Any]:
        """Tell whether the bucket is there, and its region."""
        bucket = await self._store.bucket(call.params["Bucket"])
        return {"BucketRegion": bucket.region, "AccessPointAlias": False}

    async def delete_bucket(self, call: Call) -> dict[str, Any]:
        """Remove an empty bucket."""
        await self._store.delete_bucket(call.params["Bucket"])
        return {}

    async def get_bucket_location(self, call: Call) -> dict[str, Any]:
        """Tell the bucket's region; us-east-1 is told by an empty answer."""
        bucket = await self._store.bucket(call.params["Bucket"])
        return {} if bucket.region == _DEFAULT_REGION else {"LocationConstraint": bucket.region}

    async def get_bucket_versioning(self, call: Call) -> dict[str, Any]:
        """Tell that no versions are kept, as S3 does it: by an empty answer."""
        await self._store.bucket(call.params["Bucket"])
        return {}


def _described(bucket: Bucket) -> dict[str, Any]:
    return {"Name": bucket.name, "CreationDate": bucket.created, "BucketRegion": bucket.region}
