"""What only some clients can ask, each in its own words."""

import hashlib
import http.client
import json
import os
from pathlib import Path
from typing import Any

import obstore
import pytest
from botocore.exceptions import ClientError
from tests.s3.asked import PROGRAMS, asked
from tests.s3.clients import Access, Aws, Boto3, Client, Obstore, Rclone, Refused, S5cmd

TREE = {"a.csv": b"1,2\n", "sub/b c.csv": b"3\n", "sub/deep/d": b"\x00" * 10, "e": b""}


def planted(folder: Path) -> Path:
    for name, data in TREE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def synced(client: Client, source: str, target: str) -> str:
    """Make ``target`` like ``source``; return what the client says of what it did."""
    match client:
        case Aws():
            return client.aws("s3", "sync", source, target)
        case S5cmd():
            glob = f"{source.removesuffix('/')}/{'*' if source.startswith('s3:') else ''}"
            return client.s5cmd("sync", glob, f"{target.removesuffix('/')}/").decode()
        case Rclone():
            sides = [side.replace("s3://", "s3:") for side in (source, target)]
            return client.rclone("sync", "-v", "--use-json-log", "--stats", "0", *sides).decode()
    raise AssertionError(client)


@asked(*PROGRAMS)
def test_a_folder_is_synced_up_and_down(client: Client, tmp_path: Path) -> None:
    up = planted(tmp_path / "up")
    synced(client, str(up), f"s3://{client.bucket}/data")
    assert sorted(client.keys()) == sorted(f"data/{name}" for name in TREE)
    down = tmp_path / "down"
    down.mkdir()
    synced(client, f"s3://{client.bucket}/data", str(down))
    assert {name: (down / name).read_bytes() for name in TREE} == TREE


@asked(*PROGRAMS)
def test_what_has_not_changed_is_not_sent_again(client: Client, s3: Any, tmp_path: Path) -> None:
    up = planted(tmp_path / "up")
    synced(client, str(up), f"s3://{client.bucket}/data")
    first = {one["Key"]: one for one in listed(s3, client.bucket)}
    (up / "a.csv").write_bytes(b"longer than it was\n")
    synced(client, str(up), f"s3://{client.bucket}/data")
    changed = [one["Key"] for one in listed(s3, client.bucket) if one != first[one["Key"]]]
    assert changed == ["data/a.csv"]


def listed(s3: Any, bucket: str) -> list[dict[str, Any]]:
    return list(s3.list_objects_v2(Bucket=bucket).get("Contents", []))


@asked("boto3", *PROGRAMS)
def test_an_object_is_moved(client: Client) -> None:
    client.put("from", b"1")
    source, target = f"s3://{client.bucket}/from", f"s3://{client.bucket}/to/it"
    match client:
        case Aws():
            client.aws("s3", "mv", source, target)
        case S5cmd():
            client.s5cmd("mv", source, target)
        case Rclone():
            client.rclone("moveto", client.at("from"), client.at("to/it"))
        case Boto3():
            client.copy("from", "to/it")
            client.remove("from")
    assert client.keys() == ["to/it"]
    assert client.get("to/it") == b"1"


@asked("boto3", "obstore", *PROGRAMS)
def test_all_objects_below_a_prefix_are_removed_at_once(client: Client) -> None:
    for name in ("d/a", "d/b/c", "kept"):
        client.put(name, b"1")
    match client:
        case Aws():
            client.aws("s3", "rm", f"s3://{client.bucket}/d/", "--recursive")
        case S5cmd():
            client.s5cmd("rm", f"s3://{client.bucket}/d/*")
        case Rclone():
            client.rclone("purge", client.at("d"))
        case Boto3():
            named = {"Objects": [{"Key": key} for key in client.keys("d/")]}
            client.s3.delete_objects(Bucket=client.bucket, Delete=named)
        case Obstore():
            obstore.delete(client.store, client.keys("d/"))
    assert client.keys() == ["kept"]


@asked("boto3", *PROGRAMS)
def test_an_object_comes_from_a_stream_of_unknown_length(client: Client) -> None:
    data = os.urandom(6_000_000)
    match client:
        case Aws():
            path = client.file(data)
            client.aws(
                "s3api", "put-object", "--bucket", client.bucket, "--key", "k", "--body", path
            )
        case S5cmd():
            client.s5cmd("pipe", f"s3://{client.bucket}/k", data=data)
        case Rclone():
            client.rclone("rcat", client.at("k"), data=data)
        case Boto3():
            with os.fdopen(os.memfd_create("k"), "w+b") as stream:
                stream.write(data)
                stream.seek(0)
                client.s3.upload_fileobj(stream, client.bucket, "k")
    assert client.get("k") == data


@asked("boto3", "aws", "rclone", "obstore")
def test_a_part_of_an_object_is_got(client: Client) -> None:
    client.put("k", b"0123456789")
    match client:
        case Aws():
            path = str(client.access.home / "part")
            asked_for = ("--bucket", client.bucket, "--key", "k", "--range", "bytes=2-4", path)
            assert json.loads(client.aws("s3api", "get-object", *asked_for))["ContentLength"] == 3
            assert Path(path).read_bytes() == b"234"
        case Rclone():
            assert client.rclone("cat", "--offset", "2", "--count", "3", client.at("k")) == b"234"
        case Boto3():
            got = client.s3.get_object(Bucket=client.bucket, Key="k", Range="bytes=2-4")
            assert got["Body"].read() == b"234"
        case Obstore():
            assert bytes(obstore.get_range(client.store, "k", start=2, end=5)) == b"234"


@asked("boto3", "s5cmd", "aws", "rclone", "obstore")
def test_a_content_type_is_kept(client: Client, s3: Any) -> None:
    match client:
        case Aws():
            source = client.file(b"1")
            client.aws("s3", "cp", source, client.at("k"), "--content-type", "x/y")
        case S5cmd():
            client.s5cmd("cp", "--content-type", "x/y", client.file(b"1"), client.at("k"))
        case Rclone():
            header = ("--header-upload", "Content-Type: x/y")
            client.rclone("copyto", *header, client.file(b"1"), client.at("k"))
        case Boto3():
            client.s3.put_object(Bucket=client.bucket, Key="k", Body=b"1", ContentType="x/y")
        case Obstore():
            obstore.put(client.store, "k", b"1", attributes={"Content-Type": "x/y"})
    assert s3.head_object(Bucket=client.bucket, Key="k")["ContentType"] == "x/y"


@asked("boto3", "s5cmd", "aws", "rclone", "obstore")
def test_a_users_own_metadata_is_kept(client: Client, s3: Any) -> None:
    match client:
        case Aws():
            client.aws("s3", "cp", client.file(b"1"), client.at("k"), "--metadata", "who=me")
        case S5cmd():
            client.s5cmd("cp", "--metadata", "who=me", client.file(b"1"), client.at("k"))
        case Rclone():
            said = ("-M", "--metadata-set", "who=me")
            client.rclone("copyto", *said, client.file(b"1"), client.at("k"))
        case Boto3():
            client.s3.put_object(Bucket=client.bucket, Key="k", Body=b"1", Metadata={"Who": "me"})
        case Obstore():
            obstore.put(client.store, "k", b"1", attributes={"who": "me"})
    assert s3.head_object(Bucket=client.bucket, Key="k")["Metadata"]["who"] == "me"


@asked("boto3", "aws", "obstore")
def test_an_object_is_made_only_where_there_is_none(client: Client) -> None:
    match client:
        case Aws():
            new = {"key": "k", "body": client.file(b"1"), "if_none_match": "*"}
            client.api("put-object", **new)
            with pytest.raises(Refused, match="PreconditionFailed"):
                client.api("put-object", **new)
        case Boto3():
            wish = {"Bucket": client.bucket, "Key": "k", "IfNoneMatch": "*"}
            client.s3.put_object(**wish, Body=b"1")
            with pytest.raises(ClientError, match="PreconditionFailed"):
                client.s3.put_object(**wish, Body=b"2")
        case Obstore():
            obstore.put(client.store, "k", b"1", mode="create")
            with pytest.raises(obstore.exceptions.AlreadyExistsError):
                obstore.put(client.store, "k", b"2", mode="create")
    assert client.get("k") == b"1"


@asked("boto3", *PROGRAMS)
def test_a_bucket_is_made_listed_and_removed(client: Client, s3: Any) -> None:
    name = f"{client.bucket}-new"
    match client:
        case Aws():
            client.aws("s3", "mb", f"s3://{name}")
            assert name in client.aws("s3", "ls")
            client.aws("s3", "rb", f"s3://{name}")
        case S5cmd():
            client.s5cmd("mb", f"s3://{name}")
            assert name in client.s5cmd("ls").decode()
            client.s5cmd("rb", f"s3://{name}")
        case Rclone():
            client.rclone("mkdir", f"s3:{name}")
            assert name in client.rclone("lsf", "s3:").decode()
            client.rclone("rmdir", f"s3:{name}")
        case Boto3():
            client.s3.create_bucket(Bucket=name)
            assert name in [one["Name"] for one in client.s3.list_buckets()["Buckets"]]
            client.s3.delete_bucket(Bucket=name)
    assert name not in [one["Name"] for one in s3.list_buckets()["Buckets"]]


@asked("boto3", *PROGRAMS)
def test_a_bucket_with_objects_is_not_removed(client: Client) -> None:
    client.put("k", b"1")
    with pytest.raises((Refused, ClientError), match=r"BucketNotEmpty|not empty"):
        match client:
            case Aws():
                client.aws("s3", "rb", f"s3://{client.bucket}")
            case S5cmd():
                client.s5cmd("rb", f"s3://{client.bucket}")
            case Rclone():
                client.rclone("rmdir", f"s3:{client.bucket}", "-vv")
            case Boto3():
                client.s3.delete_bucket(Bucket=client.bucket)
    assert client.keys() == ["k"]


@asked("boto3", "aws", "s5cmd", "rclone")
def test_sizes_add_up(client: Client) -> None:
    for name in ("a", "b"):
        client.put(f"d/{name}", b"12345")
    match client:
        case Aws():
            assert "Total Size: 10" in client.aws(
                "s3", "ls", "--summarize", "--recursive", client.at("d")
            )
        case S5cmd():
            assert json.loads(client.s5cmd("du", client.at("d/*")))["size"] == 10
        case Rclone():
            assert json.loads(client.rclone("size", "--json", client.at("d")))["bytes"] == 10
        case Boto3():
            assert sum(one["Size"] for one in listed(client.s3, client.bucket)) == 10


@asked("aws", "rclone", "boto3")
def test_the_etag_is_the_md5_that_clients_compare_with(client: Client) -> None:
    client.put("k", b"some bytes")
    md5 = hashlib.md5(b"some bytes").hexdigest()
    match client:
        case Aws():
            assert client.api("head-object", key="k")["ETag"] == f'"{md5}"'
        case Rclone():
            assert client.rclone("md5sum", client.at("k")).decode().split()[0] == md5
        case Boto3():
            assert listed(client.s3, client.bucket)[0]["ETag"] == f'"{md5}"'


@asked("boto3", "aws")
def test_a_folder_marker_is_an_object_like_any(client: Client) -> None:
    match client:
        case Aws():
            client.api("put-object", key="dir/")
        case Boto3():
            client.s3.put_object(Bucket=client.bucket, Key="dir/")
    client.put("dir/a", b"1")
    assert client.keys() == ["dir/", "dir/a"]
    client.remove("dir/a")
    assert client.keys() == ["dir/"]


@asked("boto3", "aws")
def test_tags_are_put_got_and_removed(client: Client) -> None:
    client.put("k", b"1")
    tags = {"TagSet": [{"Key": "kind", "Value": "a b"}]}
    match client:
        case Aws():
            client.api("put-object-tagging", key="k", tagging=json.dumps(tags))
            assert client.api("get-object-tagging", key="k")["TagSet"] == tags["TagSet"]
            client.api("delete-object-tagging", key="k")
            assert client.api("get-object-tagging", key="k")["TagSet"] == []
        case Boto3():
            named = {"Bucket": client.bucket, "Key": "k"}
            client.s3.put_object_tagging(**named, Tagging=tags)
            assert client.s3.get_object_tagging(**named)["TagSet"] == tags["TagSet"]
            client.s3.delete_object_tagging(**named)
            assert client.s3.get_object_tagging(**named)["TagSet"] == []


@asked("boto3", "aws")
def test_an_upload_in_parts_may_be_given_up(client: Client) -> None:
    match client:
        case Aws():
            upload = client.api("create-multipart-upload", key="k")["UploadId"]
            part = {"key": "k", "upload_id": upload, "part_number": "1", "body": client.file(b"1")}
            client.api("upload-part", **part)
            assert len(client.api("list-multipart-uploads")["Uploads"]) == 1
            client.api("abort-multipart-upload", key="k", upload_id=upload)
            assert "Uploads" not in client.api("list-multipart-uploads")
        case Boto3():
            upload = client.s3.create_multipart_upload(Bucket=client.bucket, Key="k")
            named = {"Bucket": client.bucket, "Key": "k", "UploadId": upload["UploadId"]}
            client.s3.upload_part(**named, PartNumber=1, Body=b"1")
            client.s3.abort_multipart_upload(**named)
            with pytest.raises(ClientError, match="NoSuchUpload"):
                client.s3.list_parts(**named)
    assert client.keys() == []


@asked("boto3", "aws")
@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_a_checksum_is_verified_kept_and_told(client: Client, algorithm: str) -> None:
    match client:
        case Aws():
            body = client.file(b"data")
            client.api("put-object", key="k", body=body, checksum_algorithm=algorithm)
            told = client.api("head-object", key="k", checksum_mode="ENABLED")
        case Boto3():
            new = {"Bucket": client.bucket, "Key": "k"}
            client.s3.put_object(**new, Body=b"data", ChecksumAlgorithm=algorithm)
            told = client.s3.head_object(**new, ChecksumMode="ENABLED")
    assert (bool(told[f"Checksum{algorithm}"]), told["ChecksumType"]) == (True, "FULL_OBJECT")
    assert client.get("k") == b"data"


@asked("boto3", "aws")
def test_a_client_waits_until_it_is_told_to_go_on(client: Client, access: Access) -> None:
    """Both send ``Expect: 100-continue``; what is refused is refused before the payload comes."""
    client.put("k", b"x" * 3_000_000)
    assert client.size("k") == 3_000_000
    host = access.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=20)
    connection.putrequest("PUT", f"/{client.bucket}/unsigned")
    for header, value in (("Expect", "100-continue"), ("Content-Length", "1000000000")):
        connection.putheader(header, value)
    connection.endheaders()
    assert connection.getresponse().status == 403
    connection.close()
