"""``trainshed pull``: killed and run again, and as a service that brings every model."""

import io
import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from tests.cli.conftest import Shell
from tests.cli.stalling import StallingProxy, stalling
from tests.cli.test_commands import finished
from tests.client.fake_server import KEYS, FakeServer
from tests.client.test_fetch import archive

MIB = 1024 * 1024


@pytest.fixture
def proxy(fake: FakeServer) -> Iterator[StallingProxy]:
    with stalling(("127.0.0.1", int(fake.url.rpartition(":")[2]))) as between:
        yield between


@pytest.fixture
def afar(shell: Shell, proxy: StallingProxy) -> Shell:
    """A shell that reaches the server by the proxy, with ``--aws``."""
    shell.environment |= {
        "AWS_ENDPOINT_URL": proxy.url,
        "AWS_REGION": KEYS.region,
        "AWS_ACCESS_KEY_ID": KEYS.access_key,
        "AWS_SECRET_ACCESS_KEY": KEYS.secret_key,
        "AWS_CONFIG_FILE": "/dev/null",
    }
    return shell


def packed(content: bytes) -> bytes:
    """Return a model's archive, quickly made."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=0) as tar:
        info = tarfile.TarInfo("model.bin")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def test_a_pull_that_was_killed_brings_only_the_rest(
    fake: FakeServer, afar: Shell, proxy: StallingProxy
) -> None:
    fake.buckets.add("out")
    finished(fake, "one")
    content = os.urandom(40 * MIB)
    fake.objects["out/one/output/model.tar.gz"] = packed(content)
    proxy.stall_after(down=30 * MIB)
    with afar.begin("pull", "one", "--aws") as process:
        assert proxy.stalled.wait(60), process.communicate(timeout=5)
        process.kill()
        process.communicate(timeout=30)
    assert not (afar.folder / "one/model.bin").exists()
    proxy.go_on()
    assert afar("pull", "one", "--aws").lines == [str(afar.folder / "one/model.bin")]
    assert proxy.moved["down"] < 14 * MIB  # of 10, and a begun piece of each of three streams
    assert (afar.folder / "one/model.bin").read_bytes() == content
    assert [path.name for path in (afar.folder / "one").iterdir()] == ["model.bin"]


def test_why_there_is_no_model_is_told(shell: Shell, fake: FakeServer) -> None:
    fake.buckets.add("out")
    fake.add_job("runs")
    finished(fake, "failed", "Failed", FailureReason="AlgorithmError: boom")
    finished(fake, "empty")
    for name, why in (
        ("runs", "has no model yet: it is InProgress (Starting)"),
        ("failed", "because it failed: AlgorithmError: boom"),
        ("empty", "is Completed and has no model"),
    ):
        assert why in shell("pull", name, code=1).err
        assert why in shell("artifacts", "ls", name, code=1).err
    assert "no job is called" in shell("pull", "none", code=7).err
    shell("pull", code=2)
    shell("pull", "empty", "--follow", code=2)
    shell("pull", "--follow", "--status", "InProgress", code=2)


def test_a_model_is_told_to_programs(shell: Shell, fake: FakeServer) -> None:
    finished(fake, "one")
    fake.objects["out/one/output/model.tar.gz"] = archive(("model.bin", b"m"))
    facts = json.loads(shell("pull", "one", "--to", "here", "-o", "json").out)
    here = shell.folder / "here"
    assert facts == {
        "job": "one",
        "status": "Completed",
        "model": "s3://out/one/output/model.tar.gz",
        "folder": str(here),
        "files": [str(here / "model.bin")],
    }


class Service:
    """``trainshed pull --follow``, while it runs."""

    def __init__(self, shell: Shell, *words: str) -> None:
        self.home = shell.folder / "home"
        options = ["--to", str(self.home), "-o", "json", "--every", "1s", *words]
        self.process = shell.begin("pull", "--follow", *options)
        self.said("bringing models to")

    def said(self, words: str) -> None:
        """Wait until it says this on stderr."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if words in line:
                return
        raise AssertionError(f"it ended without saying {words!r}")

    def next(self) -> dict[str, object]:
        """Return the next model that it tells of."""
        assert self.process.stdout is not None
        found: dict[str, object] = json.loads(self.process.stdout.readline())
        return found

    def stuff(self) -> None:
        """Leave no room in the pipe that is its stderr: it waits where it would say something."""
        assert self.process.stderr is not None
        pipe = os.open(f"/proc/self/fd/{self.process.stderr.fileno()}", os.O_WRONLY | os.O_NONBLOCK)
        with suppress(BlockingIOError):
            while True:
                os.write(pipe, b"\n")
        os.close(pipe)

    def end(self, number: int) -> subprocess.CompletedProcess[str]:
        """Send a signal; return what else it said."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return subprocess.CompletedProcess([], self.process.returncode, out, err)


def over(fake: FakeServer, name: str, model: bytes = b"") -> None:
    fake.objects[f"out/{name}/output/model.tar.gz"] = model or archive(("model.bin", b"m"))
    fake.add_job(name, TrainingJobStatus="Completed", LastModifiedTime=time.time() + 1000)


def test_the_service_brings_each_model_once_over_restarts(fake: FakeServer, afar: Shell) -> None:
    finished(fake, "long-over")
    service = Service(afar, "--aws")
    while "ListTrainingJobs" not in fake.asked:
        assert service.process.poll() is None
    over(fake, "one")
    told = service.next()
    assert (told["job"], told["files"], told["bytes"]) == ("one", 1, 1)
    assert told["folder"] == str(service.home / "one")
    ended = service.end(signal.SIGTERM)
    assert (ended.returncode, ended.stdout) == (0, "")
    over(fake, "two")
    service = Service(afar, "--aws")
    assert service.next()["job"] == "two"
    assert "another trainshed pull" in afar("pull", "--follow", "--to", "home", code=1).err
    service.end(signal.SIGKILL)
    said = afar("pull", "--follow", "--once", "--to", "home", "--aws", "-o", "json")
    assert [json.loads(line)["job"] for line in said.lines] in ([], ["two"])  # told, maybe again
    assert sorted(path.name for path in service.home.iterdir() if path.is_dir()) == ["one", "two"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_model_that_was_told_of_is_not_told_of_again_after_an_end(
    fake: FakeServer, shell: Shell, number: int, code: int
) -> None:
    service = Service(shell, "--existing", "-o", "table")
    service.stuff()
    over(fake, "one")
    assert service.process.stdout is not None
    assert service.process.stdout.readline() == f"{service.home / 'one'}\n"
    ended = service.end(number)  # before it could write down what it told of
    assert (ended.returncode, ended.stdout) == (code, "")
    over(fake, "two")
    said = shell("pull", "--follow", "--once", "--to", "home")
    assert said.lines == [str(service.home / "two")]


def test_the_service_ends_in_the_middle_of_a_model_and_goes_on_from_there(
    fake: FakeServer, afar: Shell, proxy: StallingProxy
) -> None:
    content = os.urandom(40 * MIB)
    over(fake, "big", packed(content))
    proxy.stall_after(down=30 * MIB)
    service = Service(afar, "--aws", "--existing")
    assert proxy.stalled.wait(60)
    ended = service.end(signal.SIGTERM)
    assert ended.returncode == 0
    assert "goes on at the next start" in ended.stderr
    assert not (service.home / "big").exists()
    proxy.go_on()
    service = Service(afar, "--aws")
    assert service.next()["job"] == "big"
    assert proxy.moved["down"] < 14 * MIB  # of 10, and a begun piece of each of three streams
    assert (service.home / "big/model.bin").read_bytes() == content
    service.end(signal.SIGTERM)


def test_the_service_waits_for_a_server_that_is_not_there(shell: Shell, fake: FakeServer) -> None:
    record = shell.data_dir / "server.json"
    there = record.read_text()
    record.unlink()
    service = Service(shell, "--since", "1h")
    service.said("does not answer")
    over(fake, "one")
    record.write_text(there)
    service.said("answers again")
    assert service.next()["job"] == "one"
    assert service.end(signal.SIGINT).returncode == 130
