"""Clients that write to a server which is killed again and again, and what must be left afterwards.

A bigger run than the tests': ``python -m tests.s3.killing --uploads 5000 --seed 7 FOLDER``. Each
writer has keys of its own and knows what every one of them may hold: exactly what was acknowledged
last, or, where the answer never came, that or what was sent since. One key is everybody's.
"""

import argparse
import hashlib
import random
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from trainshed.testing.server import Server

BUCKET = "bkt"
SHARED = "shared"
WRITERS = 5
KEYS = 6
"""Of each writer's own."""
LARGE = 5 * 1024 * 1024
"""Bytes of a part that is not the last."""
SIZES = (0, 1, 1_000, 60_000, 200_000, 1_500_000)

Content = bytes | None
"""SHA-256 of what a key holds; None for nothing."""


class Lost(Exception):
    """The answer never came."""


class Run:
    """One server, its writers, and what they have sent."""

    def __init__(self, folder: Path, seed: int, uploads: int) -> None:
        self.server = Server(folder)
        self.seed = seed
        self.kills = 0
        self._left = uploads
        self._taken = threading.Condition()
        self.up = threading.Event()
        self.over = threading.Event()
        self.may_hold: dict[str, set[Content]] = defaultdict(lambda: {None})
        self.md5: dict[bytes, str] = {}
        """ETags by content."""
        self.faults: list[str] = []

    def take(self) -> int | None:
        """Return the number of the next upload; None when all have been taken."""
        with self._taken:
            self._left -= 1
            self._taken.notify_all()
            return self._left if self._left >= 0 else None

    def client(self) -> Any:
        access, secret = self.server.keys
        return boto3.client(
            "s3",
            endpoint_url=self.server.url,
            region_name="us-east-1",
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=30, connect_timeout=5),
        )

    def carry_out(self) -> None:
        """Let all writers write, and kill the server at random moments meanwhile."""
        self.server.start()
        self.client().create_bucket(Bucket=BUCKET)
        self.up.set()
        threads = [
            threading.Thread(target=Writer(self, number).write, daemon=True)
            for number in range(WRITERS)
        ]
        for thread in threads:
            thread.start()
        chance = random.Random(self.seed)
        while self._until(chance.randrange(5, 50), chance.uniform(0, 0.05)):
            self.up.clear()
            self.server.kill()
            self.kills += 1
            self.server.start()
            self.up.set()
        for thread in threads:
            thread.join(60)
            if thread.is_alive():
                self.faults.append("a writer hangs")
        self.server.kill()
        self.server.start()

    def _until(self, uploads: int, seconds: float) -> bool:
        """Wait for some more uploads and then a moment; tell whether any are left."""
        with self._taken:
            target = self._left - uploads
            self._taken.wait_for(lambda: self._left < max(target, 0) or self.faults, timeout=120)
            over = self._left < 0 or self.faults
        return not over and not self.over.wait(seconds)

    def check(self) -> list[str]:
        """Return what is wrong with what is left."""
        s3, faults = self.client(), list(self.faults)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        listed = {one["Key"]: one for page in pages for one in page.get("Contents", [])}
        for key in listed.keys() - self.may_hold.keys():
            faults.append(f"phantom: nobody ever wrote {key}")
        for key, contents in self.may_hold.items():
            faults += self._fault(s3, key, contents, listed.get(key))
        return faults + self._litter()

    def _fault(self, s3: Any, key: str, contents: set[Content], listed: Any) -> list[str]:
        if listed is None:
            return [] if None in contents else [f"lost: {key} is gone"]
        answer = s3.get_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
        data = answer["Body"].read()  # boto3 compares it with its checksum
        found = hashlib.sha256(data).digest()
        if found not in contents:
            known = "nobody ever sent" if found not in self.md5 else "is older than the last"
            return [f"torn or lost: {key} holds {len(data)} bytes that {known}"]
        if not answer["ETag"] == listed["ETag"] == self.md5[found]:
            return [f"torn: {key} has the ETag {answer['ETag']}, sent was {self.md5[found]}"]
        return [] if listed["Size"] == len(data) else [f"torn: {key} is listed with another size"]

    def _litter(self) -> list[str]:
        """Return files that no row names, and rows whose file is not there or of another size."""
        self.server.stop()  # what was deleted a moment ago goes now at the latest
        with sqlite3.connect(self.server.data / "trainshed.db") as records:
            rows = "SELECT file, size FROM objects UNION SELECT file, size FROM parts"
            named = dict(records.execute(rows).fetchall())
            (held,) = records.execute("SELECT bytes FROM object_space").fetchone()
        records.close()
        folder = self.server.data / "objects"
        found = {path.name: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
        faults = [f"phantom: no row names {file}" for file in found.keys() - named.keys()]
        faults += [
            f"torn: {file} has {found.get(file)} of {size} bytes"
            for file, size in named.items()
            if found.get(file) != size
        ]
        if held != sum(named.values()):
            faults.append(f"{sum(named.values())} bytes are held, {held} are counted")
        return faults


class Writer:
    """One client, whose every step depends on the seed and its number alone."""

    def __init__(self, run: Run, number: int) -> None:
        self._run = run
        self._chance = random.Random(f"{run.seed}-{number}")
        self._keys = [f"{number}/{n}" for n in range(KEYS)]
        self._s3 = run.client()

    def write(self) -> None:
        try:
            while self._run.take() is not None:
                key = SHARED if self._chance.random() < 0.1 else self._chance.choice(self._keys)
                step = self._chance.choices(
                    [self._put, self._multipart, self._copy, self._delete], [60, 8, 16, 16]
                )[0]
                step(key)
        except (AssertionError, ClientError) as error:
            self._run.faults.append(f"a writer was told {error!r}")

    def _put(self, key: str) -> None:
        data = self._chance.randbytes(self._chance.choice(SIZES))
        content = self._note(data, f'"{hashlib.md5(data).hexdigest()}"')
        self._change(key, content, lambda: self._s3.put_object(Bucket=BUCKET, Key=key, Body=data))

    def _multipart(self, key: str) -> None:
        """Send parts; one that is lost is sent again when the server is back."""
        parts = [self._chance.randbytes(LARGE), self._chance.randbytes(1_000)]
        digests = [hashlib.md5(part) for part in parts]
        joint = hashlib.md5(b"".join(digest.digest() for digest in digests)).hexdigest()
        content = self._note(b"".join(parts), f'"{joint}-2"')
        target = {"Bucket": BUCKET, "Key": key}
        upload = {**target, "UploadId": self._until(self._s3.create_multipart_upload, **target)}
        upload["UploadId"] = upload["UploadId"]["UploadId"]
        sent = []
        for number, part in enumerate(parts, 1):
            told = self._until(self._s3.upload_part, **upload, PartNumber=number, Body=part)
            assert told["ETag"].strip('"') == digests[number - 1].hexdigest()
            sent.append({"PartNumber": number, "ETag": told["ETag"]})
        self._change(
            key,
            content,
            lambda: self._s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": sent}),
        )

    def _copy(self, key: str) -> None:
        """Copy a key of which is known what it holds."""
        source = self._chance.choice(self._keys)
        contents = self._run.may_hold[source]
        if source == key or len(contents) > 1 or None in contents:
            return
        (content,) = contents
        self._change(
            key,
            content,
            lambda: self._s3.copy_object(
                Bucket=BUCKET, Key=key, CopySource={"Bucket": BUCKET, "Key": source}
            ),
        )

    def _delete(self, key: str) -> None:
        self._change(key, None, lambda: self._s3.delete_object(Bucket=BUCKET, Key=key))

    def _note(self, data: bytes, etag: str) -> bytes:
        content = hashlib.sha256(data).digest()
        self._run.md5[content] = etag
        return content

    def _change(self, key: str, content: Content, ask: Callable[[], Any]) -> None:
        """Ask for a change, and note what the key may hold afterwards."""
        known = self._run.may_hold[key]
        known.add(content)
        try:
            self._asked(ask)
        except Lost:
            return
        if key != SHARED:
            self._run.may_hold[key] = {content}

    def _until(self, ask: Callable[..., Any], **members: Any) -> Any:
        while True:
            try:
                return self._asked(lambda: ask(**members))
            except Lost:
                continue

    def _asked(self, ask: Callable[[], Any]) -> Any:
        assert self._run.up.wait(60), "the server does not come back"
        try:
            return ask()
        except BotoCoreError as error:
            raise Lost from error


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--uploads", type=int, default=5000)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    asked = options.parse_args()
    run = Run(asked.folder, asked.seed, asked.uploads)
    run.carry_out()
    faults = run.check()
    print(f"seed {run.seed}: {asked.uploads} uploads, {run.kills} kills, {len(faults)} faults")
    for fault in faults:
        print(fault)


if __name__ == "__main__":
    main()
