"""Five S3 clients behind the same few verbs, each in its own way of speaking S3.

A verb raises ``Refused`` with what the client says when the server refuses.
"""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import boto3
import obstore
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from obstore.store import S3Store

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
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
        return _below(prefix, prefixes), _below(prefix, keys)

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
        return _below(prefix, prefixes), _below(prefix, [one["path"] for one in found["objects"]])

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


class Program:
    """What the three programs share."""

    def __init__(self, access: Access, bucket: str) -> None:
        self.access = access
        self.bucket = bucket

    def run(self, *arguments: str, data: bytes = b"") -> bytes:
        """Run the program, and return what it prints."""
        ended = subprocess.run(
            arguments,
            env=self.access.environment(),
            cwd=self.access.home,
            input=data,
            capture_output=True,
            timeout=60,
            check=False,
        )
        if ended.returncode:
            raise Refused((ended.stdout + ended.stderr).decode())
        return ended.stdout

    def file(self, data: bytes) -> str:
        path = self.access.home / "upload"
        path.write_bytes(data)
        return str(path)


class S5cmd(Program):
    """s5cmd, on the AWS SDK for Go, version 1."""

    def s5cmd(self, *arguments: str, data: bytes = b"") -> bytes:
        return self.run(str(BIN / "s5cmd"), "-r", "0", "--json", *arguments, data=data)

    def at(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def put(self, key: str, data: bytes) -> None:
        self.s5cmd("cp", "-p", "5", "--raw", self.file(data), self.at(key))

    def get(self, key: str) -> bytes:
        return self.run(str(BIN / "s5cmd"), "-r", "0", "cat", "--raw", self.at(key))

    def keys(self, prefix: str = "") -> list[str]:
        return [one["key"] for one in self._listed(f"{prefix}*")]

    def level(self, prefix: str = "") -> tuple[list[str], list[str]]:
        found = self._listed(prefix)
        names = [(one["key"], one["type"]) for one in found]
        prefixes = [name for name, kind in names if kind == "directory"]
        keys = [name for name, kind in names if kind != "directory"]
        return _below(prefix, prefixes), _below(prefix, keys)

    def size(self, key: str) -> int:
        return int(json.loads(self.s5cmd("head", "--raw", self.at(key))).get("size", 0))

    def remove(self, key: str) -> None:
        self.s5cmd("rm", "--raw", self.at(key))

    def copy(self, source: str, target: str) -> None:
        self.s5cmd("cp", "--raw", self.at(source), self.at(target))

    def presigned(self, key: str) -> str:
        return self.run(str(BIN / "s5cmd"), "presign", self.at(key)).decode().strip()

    def _listed(self, pattern: str) -> list[dict[str, Any]]:
        try:
            lines = self.s5cmd("ls", self.at(pattern)).decode().splitlines()
        except Refused as refused:
            if "no object found" not in str(refused):
                raise
            return []
        found = [json.loads(line) for line in lines]
        for one in found:
            one["key"] = one["key"].removeprefix(self.at(""))
        return found


class Rclone(Program):
    """rclone, on the AWS SDK for Go, version 2; provider "Other"."""

    def rclone(self, *arguments: str, data: bytes = b"") -> bytes:
        flags = ("--retries", "1", "--low-level-retries", "1", "--s3-upload-cutoff", "5M")
        return self.run(str(BIN / "rclone"), *flags, *arguments, data=data)

    def at(self, key: str) -> str:
        return f"s3:{self.bucket}/{key}"

    def put(self, key: str, data: bytes) -> None:
        self.rclone("copyto", "--no-check-dest", self.file(data), self.at(key))

    def get(self, key: str) -> bytes:
        self.size(key)  # cat of nothing is no error
        return self.rclone("cat", self.at(key))

    def keys(self, prefix: str = "") -> list[str]:
        lines = self.rclone("lsf", "-R", "--files-only", self.at("")).decode()
        return [key for key in sorted(lines.splitlines()) if key.startswith(prefix)]

    def level(self, prefix: str = "") -> tuple[list[str], list[str]]:
        names = self.rclone("lsf", self.at(prefix)).decode().splitlines()
        prefixes = [name for name in names if name.endswith("/")]
        return sorted(prefixes), sorted(set(names) - set(prefixes))

    def size(self, key: str) -> int:
        found = json.loads(self.rclone("lsjson", "--stat", self.at(key)) or b"null")
        if found is None or found["IsDir"]:
            raise Refused("object not found: 404")
        return int(found["Size"])

    def remove(self, key: str) -> None:
        self.rclone("deletefile", self.at(key))

    def copy(self, source: str, target: str) -> None:
        self.rclone("copyto", self.at(source), self.at(target))

    def presigned(self, key: str) -> str:
        return self.rclone("link", self.at(key)).decode().strip()


class Aws(Program):
    """The aws command."""

    def __init__(self, access: Access, bucket: str) -> None:
        super().__init__(access, bucket)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.s3.aws_commands"],
            env=access.environment(),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def aws(self, *arguments: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if answer["code"]:
            raise Refused(answer["out"] + answer["err"])
        return str(answer["out"])

    def api(self, operation: str, **members: str) -> Any:
        named = [word for name, value in members.items() for word in (f"--{name}", value)]
        named = [word.replace("_", "-") if word.startswith("--") else word for word in named]
        said = self.aws("s3api", operation, "--bucket", self.bucket, *named)
        return json.loads(said) if said.strip() else {}

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def at(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def put(self, key: str, data: bytes) -> None:
        self.aws("s3", "cp", self.file(data), self.at(key))

    def get(self, key: str) -> bytes:
        path = self.access.home / "download"
        self.aws("s3", "cp", self.at(key), str(path))
        return path.read_bytes()

    def keys(self, prefix: str = "") -> list[str]:
        found = self.api("list-objects-v2", prefix=prefix)
        return [one["Key"] for one in found.get("Contents", [])]

    def level(self, prefix: str = "") -> tuple[list[str], list[str]]:
        lines = self.aws("s3", "ls", self.at(prefix)).splitlines()
        prefixes = [line.split("PRE ", 1)[1] for line in lines if " PRE " in line]
        return prefixes, [line.split(maxsplit=3)[3] for line in lines if " PRE " not in line]

    def size(self, key: str) -> int:
        return int(self.api("head-object", key=key)["ContentLength"])

    def remove(self, key: str) -> None:
        self.aws("s3", "rm", self.at(key))

    def copy(self, source: str, target: str) -> None:
        self.aws("s3", "cp", self.at(source), self.at(target))

    def presigned(self, key: str) -> str:
        return self.aws("s3", "presign", self.at(key)).strip()


CLIENTS = {"boto3": Boto3, "s5cmd": S5cmd, "aws": Aws, "rclone": Rclone, "obstore": Obstore}


class _refusals:  # noqa: N801 - used as a function
    """Turn what a library raises into ``Refused``."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        told = (ClientError, obstore.exceptions.BaseError, FileNotFoundError)
        if isinstance(error, told):
            raise Refused(str(error)) from error


def _below(prefix: str, names: list[str]) -> list[str]:
    return [name.removeprefix(prefix) for name in names]
