"""S3 clients behind the same few verbs, each in its own way of speaking S3; first the libraries.

A verb raises ``Refused`` with what the client says when the server refuses.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import boto3
import obstore
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from obstore.store import S3Store

PART = 5 * 1024 * 1024


class Refused(Exception):
    """The server refused, and the client said so."""


class Client(Protocol):
    """What every client can do. Keys are those of ``bucket``."""

    bucket: str

    def put(self, key: str, data: bytes) -> None: ...

    def get(self, key: str) -> bytes: ...

    def keys(self, prefix: str = "") -> list[str]:
        """Return all keys below, in the order told."""
        ...

    def level(self, prefix: str = "") -> tuple[list[str], list[str]]:
        """Return prefixes and keys of one level, as names below ``prefix``."""
        ...

    def size(self, key: str) -> int: ...

    def remove(self, key: str) -> None: ...

    def copy(self, source: str, target: str) -> None: ...

    def presigned(self, key: str) -> str:
        """Return an address that gets the object."""
        ...


class Access:
    """Where the server is, and with which keys; ``home`` is for programs' files."""

    def __init__(self, url: str, keys: tuple[str, str], home: Path) -> None:
        self.url = url
        self.keys = keys
        self.home = home

    def boto3(self, **config: Any) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=self.keys[0],
            aws_secret_access_key=self.keys[1],
            config=Config(retries={"total_max_attempts": 1}, **config),
        )

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "AWS_ENDPOINT_URL": self.url,
            "S3_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.keys[0],
            "AWS_SECRET_ACCESS_KEY": self.keys[1],
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_CONFIG_S3_TYPE": "s3",
            "RCLONE_CONFIG_S3_PROVIDER": "Other",
            "RCLONE_CONFIG_S3_ENDPOINT": self.url,
            "RCLONE_CONFIG_S3_ENV_AUTH": "true",
        }


class Boto3:
    """The AWS SDK for Python."""

    def __init__(self, access: Access, bucket: str) -> None:
        self.access = access
        self.bucket = bucket
        self.s3 = access.boto3()
        self._transfer = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)

    def put(self, key: str, data: bytes) -> None:
        with _refusals():
            if len(data) < PART:
                self.s3.put_object(Bucket=self.bucket, Key=key, Body=data)
                return
            path = self.access.home / "upload"
            path.write_bytes(data)
            self.s3.upload_file(str(path), self.bucket, key, Config=self._transfer)

    def get(self, key: str) -> bytes:
        with _refusals():
            found: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            return found

    def keys(self, prefix: str = "") -> list[str]:
        with _refusals():
            pages = self.s3.get_paginator("list_objects_v2")
            found = pages.paginate(Bucket=self.bucket, Prefix=prefix)
            return [one["Key"] for page in found for one in page.get("Contents", [])]

    def level(self, prefix: str = "") -> tuple[list[str], list[str]]:
        asked = {"Bucket": self.bucket, "Prefix": prefix, "Delimiter": "/"}
        pages = list(self.s3.get_paginator("list_objects").paginate(**asked))
        prefixes = [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", [])]
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return below(prefix, prefixes), below(prefix, keys)

    def size(self, key: str) -> int:
        with _refusals():
            return int(self.s3.head_object(Bucket=self.bucket, Key=key)["ContentLength"])

    def remove(self, key: str) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=key)

    def copy(self, source: str, target: str) -> None:
        with _refusals():
            origin = {"Bucket": self.bucket, "Key": source}
            self.s3.copy(origin, self.bucket, target, Config=self._transfer)

    def presigned(self, key: str) -> str:
        asked = {"Bucket": self.bucket, "Key": key}
        address: str = self.s3.generate_presigned_url("get_object", Params=asked)
        return address


class Obstore:
    """object_store, from Rust."""

    def __init__(self, access: Access, bucket: str) -> None:
        self.bucket = bucket
        self.store = S3Store(
            bucket,
            endpoint=access.url,
            access_key_id=access.keys[0],
            secret_access_key=access.keys[1],
            region="us-east-1",
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )

    def put(self, key: str, data: bytes) -> None:
        with _refusals():
            large = len(data) >= PART
            obstore.put(self.store, key, data, use_multipart=large, chunk_size=PART)

    def get(self, key: str) -> bytes:
        with _refusals():
            return bytes(obstore.get(self.store, key).bytes())

    def keys(self, prefix: str = "") -> list[str]:
        with _refusals():
            found = [one["path"] for page in obstore.list(self.store) for one in page]
            return [key for key in found if key.startswith(prefix)]

    def level(self, prefix: str = "") -> tuple[list[str], list[str]]:
        found = obstore.list_with_delimiter(self.store, prefix or None)
        prefixes = [f"{name}/" for name in found["common_prefixes"]]
        return below(prefix, prefixes), below(prefix, [one["path"] for one in found["objects"]])

    def size(self, key: str) -> int:
        with _refusals():
            return obstore.head(self.store, key)["size"]

    def remove(self, key: str) -> None:
        obstore.delete(self.store, key)

    def copy(self, source: str, target: str) -> None:
        with _refusals():
            obstore.copy(self.store, source, target)

    def presigned(self, key: str) -> str:
        return obstore.sign(self.store, "GET", key, timedelta(hours=1))


class _refusals:  # noqa: N801 - used as a function
    """Turn what a library raises into ``Refused``."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        told = (ClientError, obstore.exceptions.BaseError, FileNotFoundError)
        if isinstance(error, told):
            raise Refused(str(error)) from error


def below(prefix: str, names: list[str]) -> list[str]:
    return [name.removeprefix(prefix) for name in names]
