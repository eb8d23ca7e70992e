"""boto3 against the real server: many keys, and keys that try to be something else."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.s3.served import Served, serving
from tests.stores.objects.embedded_fixtures import copied

KEYS = [f"data/{n % 50:02}/{n:04}" for n in range(2500)]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("outer") / "data") as it:
        s3 = it.client()
        s3.create_bucket(Bucket="many")
        s3.create_bucket(Bucket="odd")
        s3.put_object(Bucket="many", Key=KEYS[0], Body=b"x")
        copied(it.folder / "records.db", "many", KEYS[0], KEYS[1:])
        yield it


@pytest.mark.parametrize("operation", ["list_objects_v2", "list_objects"])
def test_2500_keys_come_in_order_over_pages(served: Served, operation: str) -> None:
    pages = list(served.client().get_paginator(operation).paginate(Bucket="many"))
    assert [len(page["Contents"]) for page in pages] == [1000, 1000, 500]
    assert [one["Key"] for page in pages for one in page["Contents"]] == sorted(KEYS)


@pytest.mark.parametrize("operation", ["list_objects_v2", "list_objects"])
def test_prefixes_come_over_pages(served: Served, operation: str) -> None:
    paginator = served.client().get_paginator(operation)
    asked = {"Bucket": "many", "Prefix": "data/", "Delimiter": "/"}
    pages = list(paginator.paginate(**asked, PaginationConfig={"PageSize": 7}))
    found = [one["Prefix"] for page in pages for one in page["CommonPrefixes"]]
    assert found == [f"data/{n:02}/" for n in range(50)]
    assert not any("Contents" in page for page in pages)


def test_all_keys_of_a_folder_are_removed_at_once(served: Served) -> None:
    s3: Any = served.client()
    wanted = [{"Key": key} for key in KEYS if key.startswith("data/00/")]
    answer = s3.delete_objects(Bucket="many", Delete={"Objects": wanted})
    assert len(answer["Deleted"]) == len(wanted) == 50
    assert "Contents" not in s3.list_objects_v2(Bucket="many", Prefix="data/00/")


ODD = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "./x",
    "a//b",
    "//",
    "/",
    "dir/",
    "x",
    "x/y",
    "x/y/z",
    "a b+c%20d",
    "ünïcødé/🔥",
    "q?versionId=1&x=y#z",
    "tab\tnewline\n",
    "control\x01\x1f",
    "quote'\"<>&",
    "back\\slash",
    "~tilde*(parens)!",
    "é" * 512,
]


def test_any_key_is_only_a_name(served: Served) -> None:
    s3: Any = served.client()
    around = {path for path in served.folder.parent.rglob("*") if "objects" not in path.parts}
    for key in ODD:
        s3.put_object(Bucket="odd", Key=key, Body=key.encode())
    for key in ODD:
        assert s3.get_object(Bucket="odd", Key=key)["Body"].read() == key.encode()
        assert s3.head_object(Bucket="odd", Key=key)["ContentLength"] == len(key.encode())
    for operation in (s3.list_objects_v2, s3.list_objects):
        listed = [one["Key"] for one in operation(Bucket="odd")["Contents"]]
        assert listed == sorted(ODD, key=str.encode)
    for key in ODD:
        s3.copy_object(Bucket="odd", Key="copy", CopySource={"Bucket": "odd", "Key": key})
        assert s3.get_object(Bucket="odd", Key="copy")["Body"].read() == key.encode()
    after = {path for path in served.folder.parent.rglob("*") if "objects" not in path.parts}
    assert after == around
    readable = [{"Key": key} for key in [*ODD, "copy"] if key.isprintable()]
    s3.delete_objects(Bucket="odd", Delete={"Objects": readable})
    for key in ODD:
        s3.delete_object(Bucket="odd", Key=key)
    s3.delete_bucket(Bucket="odd")


def test_what_was_put_outlives_the_server(tmp_path: Path) -> None:
    data = os.urandom(100_000)
    with serving(tmp_path) as served:
        s3 = served.client()
        s3.create_bucket(Bucket="bkt")
        s3.put_object(Bucket="bkt", Key="k", Body=data, Metadata={"a": "b"})
    with serving(tmp_path) as served:
        answer = served.client().get_object(Bucket="bkt", Key="k")
        assert (answer["Body"].read(), answer["Metadata"]) == (data, {"a": "b"})
