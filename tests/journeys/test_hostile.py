"""Names and archives that would lead out of where they belong: they are held, or refused."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.journeys.conftest import settings
from tests.journeys.shed import BUCKET, Shed, channel
from tests.journeys.wire import Line, snapshot

from trainshed.testing.server import Server


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    """A server deep in a tree of which nothing but its own folder may change."""
    jail = tmp_path_factory.mktemp("jail")
    for name in ("a/secret.txt", "a/b/secret.txt", "a/b/c/secret.txt", "secret.txt"):
        (jail / name).parent.mkdir(parents=True, exist_ok=True)
        (jail / name).write_text(f"the secret of {name}")
    folder = jail / "a" / "b" / "c" / "own"
    folder.mkdir()
    with Server(folder / "data", settings(folder)) as server:
        yield Shed(server, folder)


@pytest.fixture(autouse=True)
def _untouched(shed: Shed) -> Iterator[None]:
    """Hold every test to writing nothing outside the server's own folder."""
    jail = shed.folder.parents[3]
    listed = {root: set(Path(root).iterdir()) for root in ("/", "/opt")}
    system = {name: Path(name).read_bytes() for name in ("/etc/passwd", "/etc/hosts")}
    before = snapshot(jail, shed.folder)
    yield
    assert snapshot(jail, shed.folder) == before
    assert {root: set(Path(root).iterdir()) for root in listed} == listed
    assert {name: Path(name).read_bytes() for name in system} == system
    assert "Traceback" not in shed.server.said()


@pytest.fixture
def line(shed: Shed) -> Iterator[Line]:
    opened = Line(shed.server)
    yield opened
    opened.close()


KEYS = [
    "../../escape",
    "..",
    ".",
    "a/../../../b",
    "/etc/passwd",
    "//double",
    "a/./b",
    "%2e%2e/%2e%2e/escape",
    "nul\0byte",
    "line\nbreak",
    "back\\slash",
    "x" * 1024,
    "end/",
    "🙂/ä",
]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_a_name_and_never_a_path(shed: Shed, line: Line, key: str) -> None:
    target = f"/{BUCKET}/{quote(key)}"
    body = f"content of {key}".encode()
    put = line.signed("s3", "PUT", target, body)
    assert put.status == 200, put
    got = line.signed("s3", "GET", target)
    assert (got.status, got.body) == (200, body)
    assert line.signed("s3", "DELETE", target).status == 204
    line.signed("s3", "GET", target).assert_refused()


@pytest.mark.parametrize(
    "bucket", ["..", ".", "../b", "a..b", "A", "ab", "x" * 64, "a/b", "a b", "ä", "-ab", "a\0b"]
)
def test_a_bucket_is_no_path_either(shed: Shed, line: Line, bucket: str) -> None:
    line.signed("s3", "PUT", f"/{quote(bucket, safe='')}").assert_refused()
    for key in ("/k", "/../../k"):
        line.signed("s3", "PUT", f"/{quote(bucket, safe='')}{key}", b"x").assert_refused()


@pytest.mark.parametrize("key", ["bad/../../../escape", "bad//x", "bad/./x", "bad/nul\0"])
def test_a_channel_whose_keys_would_leave_its_folder_fails_and_names_the_key(
    shed: Shed, line: Line, key: str
) -> None:
    assert line.signed("s3", "PUT", f"/{BUCKET}/{quote(key)}", b"x").status == 200
    name = shed.create("print('never')", InputDataConfig=[channel("train", "bad")])
    reason = shed.failed(name)
    assert line.signed("s3", "DELETE", f"/{BUCKET}/{quote(key)}").status == 204
    assert reason.startswith("ClientError: Data download failed:")
    assert f"s3://{BUCKET}/bad/" in reason


@pytest.mark.parametrize("name", ["..", "."])
def test_a_channel_cannot_be_named_like_a_folder_above(shed: Shed, name: str) -> None:
    shed.put({"good/x": "1"})
    job = shed.create("print('never')", InputDataConfig=[channel(name, "good")])
    assert f'"{name}" cannot be the name of a channel' in shed.failed(job)


def archive(*members: tarfile.TarInfo) -> bytes:
    """Return a sourcedir.tar.gz with a good train.py behind these members."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
        script = tarfile.TarInfo("train.py")
        content = b"print('the script ran')"
        script.size = len(content)
        tar.addfile(script, io.BytesIO(content))
    return packed.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    made.size = 1 if kind == tarfile.REGTYPE else 0
    return made


HOSTILE = {
    "up": [member("../escaped")],
    "far-up": [member("a/../../../../../../../../../tmp/escaped")],
    "absolute": [member("/opt/escaped")],
    "link-out": [member("escaped", tarfile.SYMTYPE, "/etc/passwd")],
    "link-up": [member("escaped", tarfile.SYMTYPE, "../../../..")],
    "through-a-link": [member("escaped", tarfile.SYMTYPE, "/tmp"), member("escaped/x")],
    "hard-link": [member("escaped", tarfile.LNKTYPE, "../../../etc/passwd")],
    "device": [member("escaped", tarfile.CHRTYPE)],
    "pipe": [member("escaped", tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_fails_its_job_and_names_the_member(shed: Shed, kind: str) -> None:
    name = shed.create_from_archive(archive(*HOSTILE[kind]))
    reason = shed.failed(name)
    assert "escaped" in reason
    assert "the script ran" not in shed.lines(name)
    assert not Path("/tmp/escaped").exists()


def test_an_archive_that_is_none(shed: Shed) -> None:
    for content in (b"", b"no gzip at all", archive()[: len(archive()) // 2]):
        reason = shed.failed(shed.create_from_archive(content))
        assert reason.startswith(("AlgorithmError", "ClientError")), reason
        assert "Framework Error" not in reason, reason


def test_what_a_job_links_to_outside_is_not_carried_out(shed: Shed) -> None:
    secret = shed.folder.parents[3] / "secret.txt"
    name = shed.create(
        "import os, pathlib\n"
        f"os.symlink({str(secret)!r}, '/opt/ml/model/secret')\n"
        "os.symlink('../../../../../../../..', '/opt/ml/model/up')\n"
        "os.mkfifo('/opt/ml/model/pipe')\n"
        "pathlib.Path('/opt/ml/model/good').write_text('good')\n"
        "os.symlink('good', '/opt/ml/model/inner')\n"
    )
    assert shed.ended(name)["TrainingJobStatus"] == "Completed"
    assert shed.archive(name) == {"good": b"good", "inner": b"good"}
    said = "\n".join(shed.lines(name))
    for left_out in ("model/secret", "model/up", "model/pipe"):
        assert left_out in said


def test_a_job_that_takes_its_own_rights_away_leaves_nothing(shed: Shed) -> None:
    name = shed.create(
        "import os\n"
        "os.makedirs('/opt/ml/model/deep/er')\n"
        "open('/opt/ml/model/deep/er/f', 'w').close()\n"
        "os.chmod('/opt/ml/model/deep', 0)\n"
        "os.chmod('/opt/ml/model', 0)\n"
    )
    shed.ended(name)
    shed.forget(name)
    assert not shed.server.remains()
