"""What a user of a chaos run does with objects: puts, copies, reads, tags and deletes them.

A key is one user's, who does one thing after the other: so what may be there after each answer is
known, and after a call that failed it is one of two.
"""

import hashlib
import io
from collections.abc import Callable
from random import Random
from typing import Any, Final

from boto3.s3.transfer import TransferConfig

from trainshed.testing.chaos.book import ABSENT, Book

Call = Callable[[str, Callable[[], Any]], Any]
"""Carries an operation out by its name; None when it failed, a text when it was refused."""

_KEYS: Final = 6
_LARGEST: Final = 200_000
_PART: Final = 5 * 1024 * 1024
"""The smallest part that S3 allows but for the last."""


class Storing:
    """One user's objects."""

    def __init__(self, user: str, bucket: str, book: Book, chance: Random) -> None:
        """Have none."""
        self._user = user
        self._bucket = bucket
        self._book = book
        self._chance = chance
        self._turn = 0

    def act(self, call: Call, s3: Any) -> None:
        """Do one thing."""
        doings: dict[Callable[[Call, Any], None], int] = {
            self._put: 6,
            self._copy: 3,
            self._parts: 1,
            self._read: 4,
            self._tag: 3,
            self._delete: 3,
            self._look: 2,
            self._own_bucket: 1,
        }
        (do,) = self._chance.choices(list(doings), list(doings.values()))
        do(call, s3)

    def _key(self) -> str:
        return f"objects/{self._user}/{self._chance.randrange(_KEYS)}"

    def _at(self) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._key()}

    def _note(self, key: str, answer: object, what: str) -> None:
        """Write down what is there by now, or may be."""
        with self._book.lock:
            if isinstance(answer, dict):
                self._book.objects[key] = {what}
            elif answer is None:
                self._book.objects.setdefault(key, {ABSENT}).add(what)

    def _put(self, call: Call, s3: Any) -> None:
        at, body = self._at(), self._chance.randbytes(self._chance.randrange(_LARGEST))
        answer = call("PutObject", lambda: s3.put_object(**at, Body=body))
        self._note(at["Key"], answer, digest(body))

    def _copy(self, call: Call, s3: Any) -> None:
        at, source = self._at(), self._key()
        known = self._book.objects.get(source, {ABSENT})
        if len(known) != 1 or ABSENT in known:
            return
        asked = {**at, "CopySource": f"{self._bucket}/{source}", "MetadataDirective": "REPLACE"}
        if self._chance.random() < 0.5:  # one that the source may not have
            asked["ChecksumAlgorithm"] = self._chance.choice(("SHA256", "CRC32C"))
        answer = call("CopyObject", lambda: s3.copy_object(**asked))
        self._note(at["Key"], answer, next(iter(known)))

    def _parts(self, call: Call, s3: Any) -> None:
        """Put an object in two parts; what was begun and not finished is nobody's."""
        at = self._at()
        parts = [self._chance.randbytes(_PART), self._chance.randbytes(1000)]
        made = call("CreateMultipartUpload", lambda: s3.create_multipart_upload(**at))
        if not isinstance(made, dict):
            return
        upload = {**at, "UploadId": made["UploadId"]}
        tags = []
        for number, body in enumerate(parts, 1):
            part = {**upload, "PartNumber": number, "Body": body}
            told = call("UploadPart", lambda part=part: s3.upload_part(**part))  # type: ignore[misc]
            if not isinstance(told, dict):
                call("AbortMultipartUpload", lambda: s3.abort_multipart_upload(**upload))
                return
            tags.append({"PartNumber": number, "ETag": told["ETag"]})
        whole = {**upload, "MultipartUpload": {"Parts": tags}}
        answer = call("CompleteMultipartUpload", lambda: s3.complete_multipart_upload(**whole))
        if isinstance(answer, str):  # a try whose answer was lost has completed it
            answer = None
        self._note(at["Key"], answer, digest(b"".join(parts)))

    def _read(self, call: Call, s3: Any) -> None:
        """Read an object to its end: what comes is what was put there."""
        at = self._at()
        before = set(self._book.objects.get(at["Key"], {ABSENT}))
        found = call("GetObject", lambda: _fetched(s3, at))
        if found is None:
            return
        what = digest(found) if isinstance(found, bytes) else ABSENT
        if what not in before:
            self._book.note_misread(f"{at['Key']} was read as {what}, and is one of {before}")

    def _tag(self, call: Call, s3: Any) -> None:
        at, tags = self._at(), {"TagSet": [{"Key": "kind", "Value": "chaos"}]}
        call("PutObjectTagging", lambda: s3.put_object_tagging(**at, Tagging=tags))

    def _delete(self, call: Call, s3: Any) -> None:
        at = self._at()
        if self._chance.random() < 0.5:
            answer = call("DeleteObject", lambda: s3.delete_object(**at))
        else:
            asked = {"Bucket": at["Bucket"], "Delete": {"Objects": [{"Key": at["Key"]}]}}
            answer = call("DeleteObjects", lambda: s3.delete_objects(**asked))
        self._note(at["Key"], answer, ABSENT)

    def _look(self, call: Call, s3: Any) -> None:
        at = self._at()
        call("HeadObject", lambda: s3.head_object(**at))
        listed = {"Bucket": self._bucket, "Prefix": f"objects/{self._user}/"}
        call("ListObjectsV2", lambda: s3.list_objects_v2(**listed))
        call("ListBuckets", s3.list_buckets)
        call("HeadBucket", lambda: s3.head_bucket(Bucket=self._bucket))

    def _own_bucket(self, call: Call, s3: Any) -> None:
        """Make a bucket, and delete it again."""
        self._turn += 1
        own = {"Bucket": f"{self._bucket}-{self._user}-{self._turn}"}
        if isinstance(call("CreateBucket", lambda: s3.create_bucket(**own)), dict):
            call("DeleteBucket", lambda: s3.delete_bucket(**own))


def _fetched(s3: Any, at: dict[str, str]) -> bytes:
    """Return an object's bytes as boto3 fetches files, which tries again when a body breaks off."""
    into = io.BytesIO()
    s3.download_fileobj(**at, Fileobj=into, Config=TransferConfig(use_threads=False))
    return into.getvalue()


def digest(body: bytes) -> str:
    """Return what stands for an object's bytes."""
    return hashlib.sha256(body).hexdigest()[:16]
