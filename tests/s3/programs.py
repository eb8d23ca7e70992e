"""The clients that are programs: s5cmd, rclone and the aws command."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.s3.libraries import Access, Refused, below

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]


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
        return below(prefix, prefixes), below(prefix, keys)

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
