import io
import tarfile
from pathlib import Path

import pytest
from tests.client.fake_server import FakeServer

from trainshed.client.download import Download
from trainshed.client.errors import ClientError
from trainshed.client.fetch import fetch, model_uri, output_uri


def archive(*members: tuple[str, bytes | None]) -> bytes:
    """Return a tar; None as content makes a link out of the folder."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def how(fake: FakeServer) -> Download:
    return Download(api=fake.api(), progress=lambda moved: None)


def test_a_model_is_unpacked_and_its_files_are_named(fake: FakeServer, tmp_path: Path) -> None:
    job = fake.add_job("one")
    fake.objects["out/one/output/model.tar.gz"] = archive(("model.bin", b"m"), ("a/b.txt", b"b"))
    files = fetch(how(fake), model_uri(job), tmp_path / "here")
    assert files == [tmp_path / "here/a/b.txt", tmp_path / "here/model.bin"]
    assert files[1].read_bytes() == b"m"
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["a", "model.bin"]


def test_a_model_that_is_not_packed_comes_file_by_file(fake: FakeServer, tmp_path: Path) -> None:
    fake.objects |= {"out/one/output/model/a": b"1", "out/one/output/model/sub/b": b"2"}
    files = fetch(how(fake), "s3://out/one/output/model/", tmp_path)
    assert [path.read_bytes() for path in files] == [b"1", b"2"]
    assert files == [tmp_path / "a", tmp_path / "sub/b"]


@pytest.mark.parametrize("member", [("../out", b"x"), ("/abs/../../out", b"x"), ("link", None)])
def test_an_archive_that_would_leave_its_folder_is_refused(
    fake: FakeServer, tmp_path: Path, member: tuple[str, bytes | None]
) -> None:
    fake.objects["b/m.tar.gz"] = archive(member)
    with pytest.raises(ClientError, match="may not be unpacked"):
        fetch(how(fake), "s3://b/m.tar.gz", tmp_path / "in" / "here")
    assert not (tmp_path / "in" / "out").exists()
    assert not (tmp_path / "out").exists()


def test_a_key_that_would_leave_the_folder_is_refused(fake: FakeServer, tmp_path: Path) -> None:
    fake.objects["b/p/../../x"] = b"x"
    with pytest.raises(ClientError, match="outside"):
        fetch(how(fake), "s3://b/p/", tmp_path / "here")


def test_what_is_not_there_and_what_is_no_archive_is_told(fake: FakeServer, tmp_path: Path) -> None:
    fake.objects["b/broken.tar.gz"] = b"no tar at all"
    for uri, words in (
        ("s3://b/none.tar.gz", "there is no bucket"),
        ("s3://b/none/", "nothing is at"),
        ("s3://b/broken.tar.gz", "cannot be unpacked"),
        ("http://b/x", "not an address"),
    ):
        with pytest.raises(ClientError, match=words):
            fetch(how(fake), uri, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_other_output_is_looked_for_where_the_job_puts_it(fake: FakeServer) -> None:
    job = fake.add_job("one")
    assert output_uri(job) == "s3://out/one/output/output.tar.gz"
    job["OutputDataConfig"]["CompressionType"] = "NONE"
    assert output_uri(job) == "s3://out/one/output/data/"
